"""What every script of measurements does first: find the programs, the proxies and the machine."""

import datetime
import os
import pathlib
import platform
import sys

from . import proxies
from .measure import Environment
from .processes import raise_file_limit

PLACES = {"sluice": "net/sluice", "load": "perf/load", "origin": "perf/origin",
          "relay": "perf/relay", "fanout": "perf/fanout"}


def add_arguments(parser):
    """The flags that make_environment() reads."""
    parser.add_argument("--cpus", default="0,1", metavar="PROXY,LOAD", help="default 0,1")
    parser.add_argument("--build", default=proxies.PEERS_DIRECTORY.parents[1] / "build/release",
                        type=pathlib.Path, help="where sluice and the load tools were built")
    for name in PLACES:
        parser.add_argument(f"--{name}", metavar="PROGRAM", help="instead of the build's")


def make_environment(arguments):
    programs = {name: str(pathlib.Path(getattr(arguments, name) or arguments.build / place).resolve())
                for name, place in PLACES.items()}
    for name in ("load", "origin"):
        if not os.access(programs[name], os.X_OK):
            raise SystemExit(f"there is no {programs[name]}; build the release preset")
    # Debian has them in sbin, which is not in everybody's PATH.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    proxy_cpu, load_cpu = (int(cpu) for cpu in arguments.cpus.split(","))
    missing = {proxy_cpu, load_cpu} - os.sched_getaffinity(0)
    if missing:
        raise SystemExit(f"CPU {missing.pop()} is not ours to use, see --cpus")
    return Environment(programs, proxy_cpu, load_cpu, raise_file_limit())


def usable(names, programs):
    """The proxies that can run here; says why others cannot."""
    found = []
    for name in dict.fromkeys(names):
        why = proxies.check_name(name, programs)
        if why:
            print(f"without {name}: {why}", file=sys.stderr)
        else:
            found.append(name)
    if not found:
        raise SystemExit("no proxy is left")
    return found


def machine(names, environment):
    """What figures depend on, for the record."""
    cpu = [line.partition(":")[2].strip() for line in
           pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {base: proxies.version_of(base, environment.programs)
                for base in dict.fromkeys(proxies.split_name(name)[0] for name in names)}
    return {"cpus": os.cpu_count(), "cpu": cpu[0] if cpu else platform.machine(),
            "kernel": platform.release(), "date": datetime.date.today().isoformat(),
            "versions": {base: text for base, text in versions.items() if text}}
