"""One measurement of a hub: one hub, one scenario, once, from fresh processes."""

import dataclasses
import os
import pathlib
import shutil
import time

from . import proxies, usage
from .measure import finish_load, sleep_until
from .processes import Process, free_port

NCHAN_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
NAMES = ("nchan", "sluice")
# What of fanout's report says that something went wrong.
ERRORS = ("lost", "repeated", "bad", "missing", "refused", "closed")
OPEN_S, SETTLE_S, WARMUP_S = 120, 1.5, 2


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    subscribers: int
    rate: float = 0  # events a second; 0: the publisher goes on when it is answered
    workers: int = 1
    pokes: bool = False  # which Nchan does not have
    groups: int = 0  # of MEMBERS each
    publishers: int = 1
    durable: bool = False  # each event is on the disk before its publisher is answered

    @property
    def connections(self):
        return self.subscribers + self.groups * MEMBERS

    def hubs(self, names):
        return [name for name in names if not self.pokes or name == "sluice"]


MEMBERS = 4
SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("1k", "1 publisher x 50/s, 1,000 subscribers", 1_000, 50),
    Scenario("10k", "1 publisher x 5/s, 10,000 subscribers", 10_000, 5),
    Scenario("1k-max", "1 publisher that waits for its answers, 1,000 subscribers", 1_000),
    Scenario("1k-2w", "as 1k, two workers", 1_000, 50, workers=2),
    Scenario("10k-2w", "as 10k, two workers", 10_000, 5, workers=2),
    Scenario("1k-max-2w", "as 1k-max, two workers", 1_000, workers=2),
    Scenario("pokes", "10,000 pokes/s to 100 subscribers of a category and 8 groups of 4", 100, 10_000,
             pokes=True, groups=8, publishers=32),
    Scenario("pokes-2w", "as pokes, two workers", 100, 10_000, workers=2, pokes=True, groups=8, publishers=32),
    *(Scenario(f"durable-{count}", f"publishers that wait for the disk, so many: {count}; 1 subscriber to pokes", 1,
               pokes=True, publishers=count, durable=True) for count in (1, 10, 100)),
)}

# For a short look at whether all of it works.
QUICK = ("1k", "1k-max-2w", "pokes")


def smaller(scenario):
    return dataclasses.replace(scenario, subscribers=50, rate=min(scenario.rate, 1000))


def why_not(name, programs):
    """None, or why this hub cannot run here."""
    if name not in NAMES:
        return f"there is no hub {name}; there are {', '.join(NAMES)}"
    if name == "nchan" and not (NCHAN_MODULE.exists() and shutil.which("nginx")):
        return f"there is no {NCHAN_MODULE} (scripts/setup --perf)"
    if name == "sluice" and not shutil.which(programs["sluice"]):
        return f"{programs['sluice']} was not found (build the release preset)"
    return None


def start(name, port, scenario, environment, flags):
    """Starts it on its CPUs, listening on the port, and waits until it does."""
    directory = environment.directory
    if name == "sluice":
        command = [environment.programs["sluice"], "--listen", f"127.0.0.1:{port}", "--threads",
                   str(scenario.workers), "--admin", "off", "--log-level", "warn",
                   "--route", "path=/hub,hub=perf" + (
                       f",hub-store=sqlite:{directory}/hub.db,hub-ack=disk" if scenario.durable else ""), *flags]
    else:
        config = directory / "nchan.conf"
        template = (proxies.PEERS_DIRECTORY / "nchan.conf.in").read_text()
        config.write_text(proxies.fill_in(template, {
            "MODULE": str(NCHAN_MODULE), "DIR": str(directory), "PORT": str(port),
            "FILES": str(environment.files), "CONNECTIONS": str(scenario.connections + 1000),
            "WORKERS": str(scenario.workers), "REUSEPORT": " reuseport" if scenario.workers > 1 else "",
            # Else it could not reach our directory.
            "USER": "user root;" if os.geteuid() == 0 else ""}))
        command = ["nginx", "-p", str(directory), "-c", str(config), "-e", "stderr"]
    hub = Process(name, command, environment.proxy_cpus, directory)
    hub.wait_for_port(port)
    return hub


def targets(name, scenario):
    """What fanout is to ask that hub for."""
    if scenario.pokes:
        return ["--subscribe", "/hub/categories/poke?mode=poke", "--publish", "/hub/streams/poke-{}",
                "--pokes", "--streams", "1000", "--publishers", str(scenario.publishers),
                "--groups", str(scenario.groups), "--members", str(MEMBERS)]
    if name == "sluice":
        return ["--subscribe", "/hub/streams/perf", "--publish", "/hub/streams/perf"]
    return ["--subscribe", "/subscribe", "--publish", "/publish"]


def run(name, scenario, environment, running, window_s, flags=()):
    """A dict of figures."""
    environment = dataclasses.replace(environment, workers=scenario.workers)
    port = free_port()
    hub = start(name, port, scenario, environment, flags)
    running.append(hub)
    time.sleep(0.3)  # what it does at its start is over
    base = usage.memory_of(hub.tree())
    load = Process("fanout", [
        environment.programs["fanout"], "--connect", f"127.0.0.1:{port}", *targets(name, scenario),
        "--subscribers", str(scenario.subscribers), "--rate", str(scenario.rate),
        "--settle", f"{SETTLE_S * 1000:.0f}ms", "--warmup", f"{WARMUP_S}s",
        "--duration", f"{WARMUP_S + window_s + 30:.0f}s",
        "--json", str(environment.directory / "fanout.json")], {environment.load_cpu}, environment.directory)
    running.append(load)
    if not load.wait_for_line("subscribers open", OPEN_S):
        load.fail("did not get all subscribers")
    time.sleep(SETTLE_S - 0.5)
    memory = usage.memory_of(hub.tree())
    if not load.wait_for_line("fanout: measuring", SETTLE_S + WARMUP_S + 30):
        load.fail("did not begin")
    before = sample(hub, load, environment)
    sleep_until(before.at_s + window_s)
    after = sample(hub, load, environment)
    if not hub.running:
        hub.fail(f"has ended with status {hub.child.returncode}")
    return figures(scenario, finish_load(load, environment), before, after, base, memory)


@dataclasses.dataclass
class Sample:
    at_s: float
    hub: usage.Cpu
    load: usage.Cpu
    cpus_busy_s: float


def sample(hub, load, environment):
    cpus = {environment.proxy_cpu, environment.load_cpu}
    return Sample(time.monotonic(), usage.cpu_of(hub.tree()), usage.cpu_of(load.tree()),
                  sum(usage.busy_of_cpu(cpu) for cpu in cpus))


def figures(scenario, report, before, after, base, memory):
    seconds = after.at_s - before.at_s
    hub = after.hub - before.hub
    load = after.load - before.load
    us = 1e6 / seconds / max(report["deliveries_per_s"], 1e-9)
    strangers = (after.cpus_busy_s - before.cpus_busy_s - hub.total_s - load.total_s) / seconds
    return {
        "cpu": {"user": hub.user_s * us, "system": hub.system_s * us, "total": hub.total_s * us},
        "publishes_per_s": report["publishes_per_s"],
        "deliveries_per_s": report["deliveries_per_s"],
        "ms": {key: report["latency_ns"][key] / 1e6 for key in ("p50", "p99", "p999", "max")},
        "answer_ms": {key: report["answer_ns"][key] / 1e6 for key in ("p50", "p99")},
        "behind_max": report["behind_max"],
        "rss_per_subscriber": (memory["rss"] - base["rss"]) / scenario.connections,
        "pss_per_subscriber": (memory["pss"] - base["pss"]) / scenario.connections,
        "busy": {"hub": hub.total_s / seconds, "load": load.total_s / seconds, "others": strangers},
        "errors": {key: report[key] for key in ERRORS if report[key]},
    }
