"""A rig whose client, gateway and upstream live in network namespaces of their own, joined by two
links that can go down, lose packets or be narrow. Needs root and the tools below."""

import ctypes
import os
import re
import shlex
import shutil
import subprocess

from .rig import Rig
from .wire import DEADLINE_S, wait_until

TOOLS = ("ip", "tc", "ss", "nft")
CLONE_NEWNET = 0x40000000  # linux/sched.h
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def current_namespace():
    return open("/proc/thread-self/ns/net")


class Namespace:
    """A network namespace without a name, which ends with its last user. In a `with` the calling
    thread is in it, and so is what the thread then makes: sockets, threads, processes."""

    def __init__(self):
        self.outside = []
        with current_namespace() as outside:
            call(libc.unshare, CLONE_NEWNET)
            self.file = current_namespace()
            call(libc.setns, outside.fileno(), CLONE_NEWNET)
        self.path = f"/proc/{os.getpid()}/fd/{self.file.fileno()}"

    def __enter__(self):
        self.outside.append(current_namespace())
        call(libc.setns, self.file.fileno(), CLONE_NEWNET)

    def __exit__(self, *_):
        with self.outside.pop() as outside:
            call(libc.setns, outside.fileno(), CLONE_NEWNET)

    def run(self, command):
        """The output of a command that is run there."""
        with self:
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.returncode == 0, done
        return done.stdout

    @staticmethod
    def run_here(command):
        subprocess.run(shlex.split(command), check=True, timeout=DEADLINE_S)

    def socket_bytes(self):
        """The kernel's memory for what all TCP connections there have received or still have to send."""
        sizes = re.findall(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f-?\d+,w(\d+)", self.run("ss -tnmH"))
        return sum(int(received) + int(unsent) for received, unsent in sizes)


class Link:
    """A pair of devices of one name, in a near and a far namespace."""

    def __init__(self, name, near, far, subnet):
        self.name = name
        self.near = near
        self.far = far
        self.near_address = f"{subnet}.1"
        self.far_address = f"{subnet}.2"
        near.run(f"ip link add {name} type veth peer name {name} netns {far.path}")
        near.run(f"ip address add {self.near_address}/24 dev {name}")
        far.run(f"ip address add {self.far_address}/24 dev {name}")
        far.run(f"ip link set {name} up")
        self.up(near)

    def down(self, end):
        end.run(f"ip link set {self.name} down")

    def up(self, end):
        end.run(f"ip link set {self.name} up")
        for side in (self.near, self.far):
            wait_until(lambda: "state UP" in side.run(f"ip link show {self.name}"), f"{self.name} is up")

    def lose(self, one_in=1):
        """Of the packets that arrive at either end one in so many is lost, by chance."""
        for end in (self.near, self.far):
            end.run(f"nft add table inet {self.name} ;"
                    f" add chain inet {self.name} arriving {{ type filter hook input priority 0 ; }} ;"
                    f" add rule inet {self.name} arriving iifname {self.name}"
                    f" numgen random mod {one_in} == 0 counter drop")

    def lost(self):
        """How many packets lose() has dropped."""
        rules = [end.run(f"nft list table inet {self.name}") for end in (self.near, self.far)]
        return sum(int(re.search(r"counter packets (\d+)", text).group(1)) for text in rules)

    def lose_no_more(self):
        for end in (self.near, self.far):
            end.run(f"nft delete table inet {self.name}")

    def limit(self, rate):
        """The most that goes towards the far end from now on. What waits for it is not lost."""
        self.near.run(f"tc qdisc replace dev {self.name} root tbf rate {rate} burst 2kb limit 1mb")


class NetworkRig(Rig):
    """client - client_link - gateway, in the middle - upstream_link - upstream. A test runs in the
    middle, where it reaches the gateway's admin port."""

    def __init__(self):
        super().__init__()
        self.middle, self.client_side, self.upstream_side = Namespace(), Namespace(), Namespace()
        self.middle.run("ip link set lo up")
        self.client_link = Link("client", self.middle, self.client_side, "10.0.1")
        self.upstream_link = Link("upstream", self.middle, self.upstream_side, "10.0.2")

    def upstream(self, handler=None, **options):
        with self.upstream_side:
            return super().upstream(handler, host=self.upstream_link.far_address, **options)

    def gateway(self, upstream, *flags, **options):
        return super().gateway(upstream, "--listen", "0.0.0.0:0", *flags, **options)

    def client(self, gateway, **options):
        with self.client_side:
            return super().client(gateway, host=self.client_link.near_address, **options)

    def neighbour(self, gateway):
        """A client beside the gateway, on a path of its own."""
        return super().client(gateway)


def why_unavailable():
    """Why there can be no such rig here, or None."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    try:
        Namespace()
    except OSError as error:
        return f"no network namespaces here: {error}"
    return None
