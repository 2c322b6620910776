"""Processes of a comparison: started on their CPUs, ended by pid, never outliving the script."""

import ctypes
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """A program did not come up; the text says why."""


def raise_file_limit():
    """As many descriptors as the system lets us have; returns that number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (1 << 20, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            return limit
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def quiet_ports():
    """Those below the range that the kernel takes for outgoing connections, from any of them on: scripts that run at
    the same time would else choose the same one, before a server listens there, or while it is down."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10_000, first)
    start = random.randrange(len(ports))
    return [*ports[start:], *ports[:start]]


def free_port():
    """A port that nobody has at the moment."""
    for port in quiet_ports():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise StartError("no free port below the ephemeral range")


class HeldPort:
    """A port of ours, also while the program that listens on it is dead: others find it taken. The
    program has to set SO_REUSEPORT, as origin does."""

    def __init__(self):
        for self.port in quiet_ports():
            self.socket = socket.socket()
            try:
                self.socket.bind(("127.0.0.1", self.port))
            except OSError:
                self.socket.close()
                continue
            # Only now, so that two of us cannot hold the same one.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            return
        raise StartError("no free port below the ephemeral range")

    def stop(self):
        self.socket.close()


class Process:
    """A program on the CPUs that it was given, with its output in a file."""

    def __init__(self, name, command, cpus, directory):
        self.name = name
        self.log = pathlib.Path(directory) / f"{name}.log"

        def prepare():
            os.sched_setaffinity(0, cpus)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        with open(self.log, "wb") as log:
            try:
                self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=log, cwd=directory, preexec_fn=prepare)
            except OSError as error:
                raise StartError(f"{name}: {error}") from error

    @property
    def running(self):
        return self.child.poll() is None

    def tree(self):
        """The pids of the process and everything below it."""
        pids = [self.child.pid]
        for pid in pids:  # grows while it is walked
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    pids.extend(int(child) for child in children.read_text().split())
                except OSError:
                    continue
        return pids

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "said nothing"

    def fail(self, what):
        raise StartError(f"{self.name} {what}: {self.last_words()}")

    def wait_for_line(self, text, within_s, poll_s=0.02):
        """The first line with the text in it; None where it does not come in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines():
                if text in line:
                    return line
            if not self.running:
                return None
            time.sleep(poll_s)
        return None

    def wait_for_port(self, port, within_s=10):
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if not self.running:
                self.fail(f"has ended with status {self.child.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.fail(f"does not listen on port {port}")

    def interrupt(self):
        if self.running:
            self.child.send_signal(signal.SIGINT)

    def wait(self, within_s):
        """The exit status; None where it is still running after that time."""
        try:
            return self.child.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        """Asks it to end, then makes it end, its children too."""
        pids = self.tree() if self.running else []
        if self.running:
            self.child.terminate()
            if self.wait(2) is None:
                self.child.kill()
                self.wait(5)
        for pid in pids[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
