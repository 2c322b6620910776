"""One measurement: one proxy, one scenario, once, from fresh processes."""

import dataclasses
import json
import pathlib
import shutil
import tempfile
import time

from . import other_loads, proxies, usage
from .processes import Process, StartError, free_port

# What of load's report says that something went wrong.
ERRORS = ("lost", "duplicated", "reordered", "torn", "bad", "streams_aborted",
          "streams_ended_wrongly", "streams_refused", "streams_plain", "connect_failures")
LATENCIES = ("latency", "first_event", "gap", "origin_gap", "request")


@dataclasses.dataclass
class Environment:
    programs: dict          # name to executable
    proxy_cpu: int
    load_cpu: int
    files: int              # RLIMIT_NOFILE
    time_scale: float = 1   # of settling and window
    directory: pathlib.Path = pathlib.Path("/tmp")
    workers: int = 1        # of sluice; more than one share the load's CPU, too

    @property
    def proxy_cpus(self):
        return {self.proxy_cpu} if self.workers == 1 else {self.proxy_cpu, self.load_cpu}


@dataclasses.dataclass
class Sample:
    """The clocks at one moment: of the proxy, of the load side, of both CPUs as a whole."""
    at_s: float
    proxy: usage.Cpu
    origin: usage.Cpu
    load: usage.Cpu
    proxy_cpu_busy_s: float
    load_cpu_busy_s: float


def measure(name, scenario, environment, run=None):
    """A dict of figures; "error" in it where there are none. `run` starts what it needs, appends it
    to the list that it is given, and returns the figures."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perf-"))
    running = []
    try:
        here = dataclasses.replace(environment, directory=directory)
        return (run or run_scenario)(name, scenario, here, running)
    except StartError as error:
        return {"error": str(error)}
    finally:
        for process in reversed(running):
            process.stop()
        shutil.rmtree(directory, ignore_errors=True)


def run_scenario(name, scenario, environment, running):
    upstream, upstream_port = start_origin(name, environment, running)
    proxy = None
    address = upstream
    port = 0
    if proxies.split_name(name)[0] != "direct":
        port = free_port()
        address = f"127.0.0.1:{port}"
        proxy = proxies.start(name, port, upstream, scenario, environment)
        running.append(proxy)
        time.sleep(0.3)  # what it does at its start is over
    base = usage.memory_of(proxy.tree()) if proxy else None

    # The load ends when it is interrupted; its own limit is for the case that we are gone.
    scale = environment.time_scale
    warmup_s = scenario.warmup_s - scenario.settle_s * (1 - scale)
    window_s = scenario.window_s * scale
    other = other_loads.start(scenario, address, warmup_s, window_s, environment, running)
    loads = [other or start_load("load", scenario.mode, scenario.target, scenario.connections,
                                 [*scenario.flags, "--ramp", str(scenario.ramp)],
                                 address, warmup_s, window_s, environment, running)]
    if scenario.neighbours:
        loads.append(start_load("neighbours", "stream", scenario.neighbours,
                                scenario.neighbour_connections, [], address, warmup_s, window_s,
                                environment, running))
    started_s = time.monotonic()
    notes = []
    # Short streams need never be open all at the same time.
    if not other and scenario.mode != "churn" and not loads[0].wait_for_line("streams open", warmup_s):
        notes.append("not all streams were open at the end of the warm-up")
    memory = None
    if not scenario.memory_at_end:
        sleep_until(started_s + warmup_s - 0.4 * scale)
        memory = memory_now(proxy, port, upstream_port)
    sleep_until(started_s + warmup_s)
    before = sample(proxy, running[0], loads, environment)
    # h2load ends itself with its window: ours is over a little before.
    sleep_until(before.at_s + window_s - (0.5 if other else 0))
    after = sample(proxy, running[0], loads, environment)
    if proxy and not proxy.running:
        return {"error": f"{name} has ended: {proxy.last_words()}"}
    if scenario.memory_at_end:
        memory = memory_now(proxy, port, upstream_port)
        notes.extend(streams_missing(scenario, memory, upstream_port))

    reports = [other_loads.report(scenario, other)] if other else \
        [finish_load(load, environment) for load in loads]
    return figures(scenario, reports, before, after, base, memory, notes)


def start_origin(name, environment, running):
    on_unix = proxies.split_name(name)[1] == "unix"
    address = f"unix:{environment.directory}/origin.sock" if on_unix else "127.0.0.1:0"
    upstream = launch_origin("origin", address, environment, running)[1]
    return upstream, 0 if on_unix else int(upstream.rpartition(":")[2])


def launch_origin(name, address, environment, running, poll_s=0.02):
    """The process, and the address at which it listens, at most poll_s after it does."""
    origin = Process(name, [environment.programs["origin"], "--listen", address],
                     {environment.load_cpu}, environment.directory)
    running.append(origin)
    line = origin.wait_for_line("origin: listening on", 10, poll_s)
    if line is None:
        origin.fail("does not listen")
    return origin, line.rpartition(" ")[2]


def start_load(name, mode, target, connections, flags, address, warmup_s, window_s, environment,
               running):
    command = [environment.programs["load"], "--connect", address, "--mode", mode,
               "--target", target, "--connections", str(connections), *flags,
               "--warmup", f"{warmup_s * 1000:.0f}ms", "--duration", f"{warmup_s + window_s + 60:.0f}s",
               "--json", str(environment.directory / f"{name}.json"), "--quiet"]
    load = Process(name, command, {environment.load_cpu}, environment.directory)
    running.append(load)
    return load


def finish_load(load, environment):
    load.interrupt()
    if load.wait(20) is None:
        load.fail("did not end when it was interrupted")
    try:
        return json.loads((environment.directory / f"{load.name}.json").read_text())
    except (OSError, ValueError):
        load.fail("left no report")


def sleep_until(moment_s):
    time.sleep(max(0.0, moment_s - time.monotonic()))


def sample(proxy, origin, loads, environment):
    load = usage.cpu_of([pid for process in loads for pid in process.tree()])
    return Sample(at_s=time.monotonic(),
                  proxy=usage.cpu_of(proxy.tree()) if proxy else usage.Cpu(),
                  origin=usage.cpu_of(origin.tree()), load=load,
                  proxy_cpu_busy_s=usage.busy_of_cpu(environment.proxy_cpu),
                  load_cpu_busy_s=usage.busy_of_cpu(environment.load_cpu))


def memory_now(proxy, port, upstream_port):
    if not proxy:
        return None
    return {**usage.memory_of(proxy.tree()), "sockets": usage.sockets_of(port, upstream_port)}


def streams_missing(scenario, memory, upstream_port):
    """A list with what to note: h2load does not say how many of its streams are open, and a figure for each would
    be wrong."""
    if not memory or memory["sockets"]["machine"]:
        return []
    wanted = scenario.connections // scenario.streams_per_connection + (scenario.connections if upstream_port else 0)
    count = memory["sockets"]["count"]
    return [f"{count} of {wanted} sockets were open when memory was measured"] if count < wanted else []


def figures(scenario, reports, before, after, base, memory, notes):
    main = reports[-1]  # of the neighbours where there are any
    seconds = after.at_s - before.at_s
    event_bytes = main["event_bytes"] / max(main["events"], 1)
    events_per_s = main["events_per_s"]
    units_per_s = {
        "event": events_per_s,
        "request": main["request_ns"]["count"] / max(main["measured_s"], 1e-9),
        "handshake": main["request_ns"]["count"] / max(main["measured_s"], 1e-9),
        "GB": events_per_s * event_bytes / 1e9,
    }[scenario.unit]
    # Seconds for a GB, microseconds for the others.
    factor = (1 if scenario.unit == "GB" else 1e6) / seconds / max(units_per_s, 1e-9)
    proxy = after.proxy - before.proxy
    origin_s = (after.origin - before.origin).total_s
    load_s = (after.load - before.load).total_s
    result = {
        "units_per_s": units_per_s,
        "events_per_s": events_per_s,
        "bytes_per_s": events_per_s * event_bytes,
        "busy": {
            "proxy": proxy.total_s / seconds,
            "origin": origin_s / seconds,
            "load": load_s / seconds,
            # What strangers took of the two CPUs; this script runs on either.
            "others_on_proxy_cpu":
                (after.proxy_cpu_busy_s - before.proxy_cpu_busy_s - proxy.total_s) / seconds,
            "others_on_load_cpu": (after.load_cpu_busy_s - before.load_cpu_busy_s -
                                   origin_s - load_s) / seconds,
        },
        "ms": {key: {quantile: value / 1e6 for quantile, value in main[f"{key}_ns"].items()
                     if quantile != "count"}
               for key in LATENCIES if main[f"{key}_ns"]["count"]},
        "errors": {key: total for key in ERRORS if (total := sum(each.get(key, 0) for each in reports))},
        "split_events": sum(each["split"] for each in reports),
        "notes": notes,
    }
    if scenario.coding and not main["events"]:
        return {"error": f"no event has left within {seconds + scenario.warmup_s:.0f} s: they wait to be packed"}
    if scenario.coding:
        result["packed_to"] = main["body_bytes"] / max(main["event_bytes"], 1)
    if base:  # there is a proxy
        result["cpu"] = {"user": proxy.user_s * factor, "system": proxy.system_s * factor,
                         "total": proxy.total_s * factor}
        result["sleeps_per_unit"] = proxy.sleeps / seconds / max(units_per_s, 1e-9)
        streams = scenario.connections + (scenario.neighbour_connections if scenario.neighbours
                                          else 0)
        result["memory"] = {
            "base_rss": base["rss"], "base_pss": base["pss"],
            "rss": memory["rss"], "pss": memory["pss"],
            "rss_growth": memory["rss"] - base["rss"],
            "pss_per_stream": (memory["pss"] - base["pss"]) / streams,
            "sockets": memory["sockets"]["count"],
            "socket_bytes": memory["sockets"]["bytes"],
            "socket_bytes_per_stream": memory["sockets"]["bytes"] / streams,
            "sockets_of_machine": memory["sockets"]["machine"],
        }
    return result
