"""What processes cost, as the kernel accounts for it: CPU time, memory, sockets."""

import dataclasses
import os
import pathlib
import re
import subprocess

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclasses.dataclass
class Cpu:
    """CPU seconds and voluntary context switches (times it slept) of some processes."""
    user_s: float = 0.0
    system_s: float = 0.0
    sleeps: int = 0

    def __sub__(self, other):
        return Cpu(self.user_s - other.user_s, self.system_s - other.system_s,
                   self.sleeps - other.sleeps)

    @property
    def total_s(self):
        return self.user_s + self.system_s


def cpu_of(pids):
    total = Cpu()
    for pid in pids:
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            status = "".join(path.read_text() for path in
                             pathlib.Path(f"/proc/{pid}/task").glob("*/status"))
        except OSError:
            continue
        # proc(5): the name in parentheses may hold blanks; utime and stime are fields 14 and 15.
        fields = stat.rpartition(")")[2].split()
        total.user_s += int(fields[11]) / TICKS_PER_S
        total.system_s += int(fields[12]) / TICKS_PER_S
        total.sleeps += sum(map(int, re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)))
    return total


def busy_of_cpu(cpu):
    """Seconds that a CPU has been busy since boot, whoever ran on it (steal left out)."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == f"cpu{cpu}":
            user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[1:8])
            return (user + nice + system + irq + softirq) / TICKS_PER_S
    return 0.0


def memory_of(pids):
    """Bytes of resident and of proportional memory."""
    total = {"Rss": 0, "Pss": 0}
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        for key in total:
            total[key] += int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M)[1]) * 1024
    return {"rss": total["Rss"], "pss": total["Pss"]}


def sockets_of(listen_port, upstream_port):
    """The proxy's own TCP sockets (clients', and those to a TCP upstream): how many, and the
    kernel's memory for what they queue. Where ss is missing: of the whole machine."""
    condition = f"sport = :{listen_port}"
    if upstream_port:
        condition += f" or dport = :{upstream_port}"
    try:
        text = subprocess.run(["ss", "-tmnH", "state", "connected", condition], check=True,
                              capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        line = re.search(r"^TCP: inuse (\d+).* mem (\d+)",
                         pathlib.Path("/proc/net/sockstat").read_text(), re.M)
        return {"count": int(line[1]), "bytes": int(line[2]) * PAGE_BYTES, "machine": True}
    # ss(8): r and w are bytes queued to be read and written, f is memory reserved for more.
    found = re.findall(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)", text)
    return {"count": len(found), "bytes": sum(int(n) for each in found for n in each),
            "machine": False}


# What a connection is made of in the kernel: sockets, their inodes, files, ports, what waits on
# them (epoll of origin and load, io_uring's polls and requests), and plain kmalloc.
SOCKET_CACHES = re.compile(r"TCP|TCPv6|tcp_bind.*|sock_inode_cache|filp|dentry|eventpoll_.*|"
                           r"io_kiocb|nf_conntrack|request_sock_TCP|skbuff_.*|"
                           r"kmalloc-(cg-)?[0-9]+k?")


def slabs():
    """Bytes of the slab caches that connections live in, of the whole machine (root only)."""
    found = {}
    for line in pathlib.Path("/proc/slabinfo").read_text().splitlines()[2:]:
        # name, active objects, objects, object size, objects a slab, pages a slab, : tunables,
        # three of these, : slabdata, active slabs, slabs, shared
        fields = line.split()
        if SOCKET_CACHES.fullmatch(fields[0]):
            found[fields[0]] = int(fields[14]) * int(fields[5]) * PAGE_BYTES
    return found


def tcp_memory():
    """Bytes that the machine's TCP sockets hold for what they queue (what tcp_mem bounds)."""
    line = re.search(r"^TCP: .* mem (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.M)
    return int(line[1]) * PAGE_BYTES
