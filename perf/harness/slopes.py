"""What a stream costs in memory: the slope of a line through measurements with few and with many
open streams, so that whatever a process needs anyway cancels out.

The kernel's slab caches are counted for the whole machine: the ends at load and origin are in
them. So the same streams are opened without a proxy as well ("direct"); what is more with it, is
its own.
"""

import dataclasses
import time

from . import proxies, usage
from .measure import finish_load, measure, start_load, start_origin
from .processes import free_port
from .scenarios import Scenario


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    mode: str
    events_per_s: float  # of all streams together, so that only their number differs

    def scenario(self, streams):
        return Scenario(f"{self.name}-{streams}", f"{streams:,} {self.name} streams",
                        f"/stream?rate={self.events_per_s / streams:.4f}&size=220", streams,
                        mode=self.mode)


KINDS = (Kind("idle", "idle", 50), Kind("active", "stream", 10_000))


def measure_memory(name, scenario, environment):
    """Bytes in use while the scenario's streams are open; "error" where there are none."""
    return measure(name, scenario, environment, run)


def run(name, scenario, environment, running):
    upstream, upstream_port = start_origin(name, environment, running)
    proxy = None
    address = upstream
    port = 0
    if name != "direct":
        port = free_port()
        address = f"127.0.0.1:{port}"
        proxy = proxies.start(name, port, upstream, scenario, environment)
        running.append(proxy)
        time.sleep(0.3)  # what it does at its start is over
    base = usage.memory_of(proxy.tree()) if proxy else {"pss": 0}
    load = start_load("load", scenario.mode, scenario.target, scenario.connections, [], address, 0,
                      60, environment, running)
    if not load.wait_for_line("streams open", scenario.warmup_s + 15):
        load.fail("did not open all streams")
    time.sleep(scenario.settle_s * environment.time_scale)
    figures = {"streams": scenario.connections, "base_pss": base["pss"], "slabs": usage.slabs(),
               "tcp_memory": usage.tcp_memory()}
    if proxy:
        sockets = usage.sockets_of(port, upstream_port)
        figures |= {"pss": usage.memory_of(proxy.tree())["pss"], "sockets": sockets["count"],
                    "socket_bytes": sockets["bytes"]}
        if not proxy.running:
            proxy.fail("has ended")
    finish_load(load, environment)
    return figures


def slope(points):
    """Of the least-squares line through (x, y) pairs of at least two different x."""
    mean_x = sum(x for x, _y in points) / len(points)
    mean_y = sum(y for _x, y in points) / len(points)
    return (sum((x - mean_x) * (y - mean_y) for x, y in points) /
            sum((x - mean_x) ** 2 for x, _y in points))


def fit(runs, direct_runs):
    """Bytes per stream of a proxy, from its runs of one kind and those without a proxy."""
    good = [run for run in runs if "error" not in run]
    direct = [run for run in direct_runs if "error" not in run]
    if min(len({run["streams"] for run in each}) for each in (good, direct)) < 2:
        return {"error": next((run["error"] for run in [*runs, *direct_runs] if "error" in run),
                              "fewer than two numbers of streams")}

    def of(some_runs, get):
        return slope([(run["streams"], get(run)) for run in some_runs])

    caches = {cache: of(good, lambda run: run["slabs"].get(cache, 0)) -
              of(direct, lambda run: run["slabs"].get(cache, 0))
              for cache in {cache for run in [*good, *direct] for cache in run["slabs"]}}
    return {
        "base_pss": sum(run["base_pss"] for run in good) / len(good),
        "pss": of(good, lambda run: run["pss"]),
        "sockets": of(good, lambda run: run["sockets"]),
        "socket_bytes": of(good, lambda run: run["socket_bytes"]),
        "slab": sum(caches.values()),
        # The dear ones by name; small ones are noise of whatever else the machine does.
        "caches": {cache: size for cache, size in sorted(caches.items(), key=lambda each: -each[1])
                   if size >= 128},
        "points": [(run["streams"], run["pss"]) for run in good],
    }
