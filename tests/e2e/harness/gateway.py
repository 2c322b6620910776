"""The gateway's process under test, as an operator sees it: flags, standard error, signals, exit
status and the admin port."""

import http.client
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import threading

from .wire import DEADLINE_S, wait_until

SANITIZER_REPORT = re.compile(
    r"(Address|Leak|Thread|UndefinedBehavior|Memory)Sanitizer|runtime error:")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def binary():
    path = os.environ.get("SLUICE_BIN")
    assert path, "SLUICE_BIN must name the gateway's binary"
    return path


def sanitized():
    """Whether the binary carries a sanitizer, whose own memory and time must be allowed for."""
    with open(binary(), "rb") as file:
        return b"__asan_init" in file.read()


class Metrics:
    """One scrape: sums of samples by name and labels."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                found = SAMPLE.match(line)
                assert found, f"not a sample: {line!r}"
                name, labels, value = found.groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))
        self.names = {name for name, _, _ in self.samples}

    def sum(self, name, **labels):
        """The sum over all samples of that name that carry those labels; 0 where there is none."""
        return sum(value for sample, have, value in self.samples
                   if sample == name and labels.items() <= have.items())


def become(user, locked_bytes):
    """What to call in a child that is to be somebody else, who may lock so much memory (root may
    lock any). What a user has locked may take a while to be free again: each test has its own."""
    def become_user():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (locked_bytes, locked_bytes))
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)

    return become_user


class Gateway:
    """Starts the gateway on free ports and waits until it listens. `open_files`: RLIMIT_NOFILE's
    soft and hard value; `before_exec`: what the child calls before it is the gateway; `listens`: the
    flags or their file say where."""

    def __init__(self, *flags, open_files=None, before_exec=None, listens=False):
        command = [binary(), *flags]
        for name, value in (("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0"), ("--threads", "1")):
            if name not in flags and not (listens and name == "--listen"):
                command += [name, value]
        command += shlex.split(os.environ.get("SLUICE_EXTRA_FLAGS", ""))

        def prepare():
            if open_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
            if before_exec:
                before_exec()

        # Freed memory returns at once, so that a resident size means something.
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1"]))
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", preexec_fn=prepare,
            env={**os.environ, "ASAN_OPTIONS": sanitizer})
        self.pid = self.process.pid
        self.stderr = []
        self.stdout = []
        self.readers = [threading.Thread(target=self._collect, args=pipe, daemon=True)
                        for pipe in ((self.process.stderr, self.stderr),
                                     (self.process.stdout, self.stdout))]
        for reader in self.readers:
            reader.start()
        wants_admin = "off" not in [value for name, value in zip(flags, flags[1:]) if name == "--admin"]
        try:
            self.port = self._wait_port("listening")
            self.admin_port = self._wait_port("admin") if wants_admin else None
        except AssertionError:
            self.kill()
            raise
        # Its own upstream holds the other end of each connection, too.
        self.fds_an_upstream = 2 if "--demo" in flags else 1
        self.own_fds = self.open_fds()
        self.own_operations = self.metrics().sum("sluice_ring_operations") if wants_admin else 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout_s=DEADLINE_S):
        """Waits for the process to end by itself; returns its status. No sanitizer report allowed."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s:\n{self.errors()}") from None
        for reader in self.readers:
            reader.join(DEADLINE_S)
        assert not SANITIZER_REPORT.search(self.errors()), self.errors()
        return status

    def stop(self):
        """SIGTERM, and a clean exit."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait_exit()
        assert status == 0, f"exit status {status}:\n{self.errors()}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def errors(self):
        return "".join(self.stderr)

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def open_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def admin(self, path, accept=None, method="GET", host=None):
        """Asks the admin port; returns the response (status, headers) and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=DEADLINE_S)
        headers = {name: value for name, value in (("Accept", accept), ("Host", host)) if value}
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response, response.read().decode()
        finally:
            connection.close()

    def metrics(self):
        response, text = self.admin("/metrics")
        assert response.status == 200
        return Metrics(text)

    def streams(self):
        """The live streams that /streams lists."""
        return json.loads(self.admin("/streams")[1])

    def wait_metric(self, name, value, timeout_s=DEADLINE_S, **labels):
        """Waits until the sum of these samples is at least `value`."""
        wait_until(lambda: self.metrics().sum(name, **labels) >= value,
                   f"{name} {labels} >= {value}", timeout_s)

    def wait_idle(self):
        """No stream is open, and all that streams hold is given back."""
        held = {}  # shown where it does not come to nothing

        def nothing_held():
            held.clear()
            held.update(self._held())
            return not held

        wait_until(nothing_held, held)

    def _held(self):
        """What is held beyond what the gateway had from the start and idle connections need: a file
        descriptor and a receive each."""
        metrics = self.metrics()

        def gauge(name):
            assert name in metrics.names, f"no metric {name}"
            return metrics.sum(name)

        clients = gauge("sluice_client_connections")
        upstreams = gauge("sluice_upstream_idle_connections")
        counts = {name: gauge(name) for name in (
            "sluice_active_streams", "sluice_active_event_streams", "sluice_buffer_pool_leases",
            "sluice_buffer_pool_heap_blocks")}
        counts["busy upstream connections"] = gauge("sluice_upstream_connections") - upstreams
        counts["operations"] = gauge("sluice_ring_operations") - self.own_operations - clients - upstreams
        counts["fds"] = self.open_fds() - self.own_fds - clients - upstreams * self.fds_an_upstream
        return {name: count for name, count in counts.items() if count > 0}

    def _collect(self, pipe, lines):
        for line in pipe:
            lines.append(line)

    def _wait_port(self, what):
        pattern = re.compile(rf"^sluice: {what} on \S*:(\d+)\s*$", re.MULTILINE)

        def port():
            assert self.process.poll() is None, f"the gateway did not start:\n{self.errors()}"
            return pattern.search(self.errors())

        return int(wait_until(port, f"the line 'sluice: {what} on ...'").group(1))
