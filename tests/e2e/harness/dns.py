"""A real DNS server (dnsmasq) for the network namespace that a test runs in, and a system that asks
it: a resolv.conf and a hosts file of the gateway's own."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading

from .wire import DEADLINE_S, wait_until

# linux/sched.h, sys/mount.h
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


class NameServer:
    """Serves the names of `.test` that it is told, to whoever asks 127.0.0.1, port 53. `source`: where it
    gets others from; it knows them all unless told otherwise."""

    def __init__(self, folder, ttl_s=1, source="--local=/test/"):
        self.hosts = folder / "names"
        self.hosts.write_text("", encoding="ascii")
        self.process = subprocess.Popen(
            [shutil.which("dnsmasq") or "/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
             "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", "--user=root",
             "--pid-file=", "--log-facility=-", "--log-queries", f"--addn-hosts={self.hosts}",
             f"--local-ttl={ttl_s}", source],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(folder / "dnsmasq.log", "wb"))
        self.log = folder / "dnsmasq.log"
        wait_until(lambda: b"read " in self.log.read_bytes(), "dnsmasq has read its names")

    def serve(self, **names):
        """From now on these are all names: NAME="ADDRESS ..." for NAME.test."""
        self.hosts.write_text("".join(f"{address} {name}.test\n" for name, addresses in names.items()
                                      for address in addresses.split()), encoding="ascii")
        read = self.log.read_bytes().count(b"read ")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.read_bytes().count(b"read ") > read, "dnsmasq has read its names")

    def queries(self, name):
        return self.log.read_bytes().count(f" {name} from ".encode())

    def stop(self):
        """It says nothing any more."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)


class FailingServer:
    """A server that a NameServer asks, and that answers every question with SERVFAIL."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1#%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            question, sender = self.socket.recvfrom(4096)
            if not question:
                return
            self.socket.sendto(question[:2] + b"\x81\x82" + question[4:6] + bytes(6) + question[12:], sender)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join(DEADLINE_S)
        self.socket.close()


def system_files(folder, resolv_conf="nameserver 127.0.0.1\n", hosts="127.0.0.1 localhost\n::1 localhost\n"):
    """What to call in a child: these are its /etc/resolv.conf and /etc/hosts."""
    libc = ctypes.CDLL(None, use_errno=True)
    files = {"/etc/resolv.conf": resolv_conf, "/etc/hosts": hosts}
    for path, text in files.items():
        (folder / os.path.basename(path)).write_text(text, encoding="ascii")

    def mount():
        failed = libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        for path in files:
            source = os.fsencode(folder / os.path.basename(path))
            failed = failed or libc.mount(source, os.fsencode(os.path.realpath(path)), None, MS_BIND, None)
        if failed:
            raise OSError(ctypes.get_errno(), "mount")

    return mount


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
