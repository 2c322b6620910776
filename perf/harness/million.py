"""The arithmetic of a million streams on one host, from what perf/scale has measured on a small
one: the block of figures in docs/scale.md."""

import math

STREAMS = 1_000_000
CORES = 64
# Of the cores' time: beyond that, latency is the queue's.
BUSY_MAX = 0.8
# Local ports towards one upstream address (net.ipv4.ip_local_port_range 1024 65535).
PORTS = 64_512
BEGIN = "<!-- measured: perf/scale --docs writes what is between these lines -->"
END = "<!-- end of measured -->"


class BlockError(Exception):
    """The block cannot be written; the text says why."""


def split_at_block(path):
    """The file's text before and after its block."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise BlockError(f"{path} has no lines {BEGIN} and {END}")
    return before + BEGIN, END + after


def write_block(path, record):
    before, after = split_at_block(path)
    path.write_text("\n".join([before, "", *block(record), "", after]))


def block(record):
    facts = record["machine"]
    idle, active = (record["memory"][kind]["sluice"] for kind in ("idle", "active"))
    for each in (idle, active):
        if "error" in each:
            raise BlockError(f"no figures to write: {each['error']}")
    about = (f"Linux {facts['kernel']}, {facts['cpus']} CPUs ({facts['cpu']}), loopback, one "
             f"worker; medians of {record['runs']}, windows of {record['window_s']:g} s."
             f"{quiet(record)}")
    return [about, "", *cpu_lines(record), "", *memory_lines(idle, active), "",
            *million_lines(record, idle, active)]


def quiet(record):
    """What a reader must know about how the CPU times came about."""
    if record["disturbed"] < 0.1:
        return ""
    return (f" **The machine was not quiet** in {record['disturbed']:.0%} of the measurements: "
            "CPU times are rough.")


def cost_of(record, sweep_name):
    """{x: (us per event, user, system)} of sluice."""
    sweeps = {sweep["name"]: sweep for sweep in record["sweeps"]}
    if sweep_name not in sweeps:
        return {}
    return {point["x"]: (summary["figure"], summary["median"]["cpu"]["user"],
                         summary["median"]["cpu"]["system"])
            for point in sweeps[sweep_name]["points"]
            if "figure" in (summary := point["results"]["sluice"])}


def cpu_lines(record):
    titles = {"streams": "streams (20,000 events/s of 220 B in all)",
              "size": "bytes of an event (500 streams)",
              "workers": "workers (1,000 streams, 20,000 events/s)"}
    lines = []
    for name, title in titles.items():
        costs = cost_of(record, name)
        if not costs:
            continue
        lines += ["", f"| {title} | " + " | ".join(f"{x:,}" for x in costs) + " |",
                  "|---|" + "---:|" * len(costs),
                  "| CPU us/event | " + " | ".join(f"{cost[0]:.1f}" for cost in costs.values()) +
                  " |",
                  "| of it user | " + " | ".join(f"{cost[1]:.1f}" for cost in costs.values()) +
                  " |"]
    return lines[1:]


def memory_lines(idle, active):
    rows = [("user space (PSS)", "pss"), ("kernel, slab caches", "slab"),
            ("kernel, bytes queued in sockets", "socket_bytes")]
    lines = ["| bytes per stream | idle | active |", "|---|---:|---:|"]
    lines += [f"| {title} | {max(idle[key], 0):,.0f} | {max(active[key], 0):,.0f} |"
              for title, key in rows]
    lines += [f"| **together** | **{total(idle):,.0f}** | **{total(active):,.0f}** |", "",
              f"Base of a worker: {idle['base_pss'] / (1 << 20):.0f} MiB. Sockets per stream: "
              f"{idle['sockets']:.2f}. The slab caches of an idle stream: " +
              ", ".join(f"{cache} {size:,.0f}" for cache, size in idle["caches"].items()) + "."]
    return lines


def total(each):
    return max(each["pss"], 0) + each["slab"] + max(each["socket_bytes"], 0)


def gib(size):
    return f"{size / (1 << 30):,.1f} GiB"


def million_lines(record, idle, active):
    costs = cost_of(record, "streams")
    streams, (cost_us, _user, _system) = max(costs.items())
    events_per_s = CORES * BUSY_MAX * 1e6 / cost_us
    base = CORES * idle["base_pss"]
    lines = [f"| {STREAMS:,} streams on {CORES} cores, {STREAMS // CORES:,} a worker | |",
             "|---|---:|",
             f"| base of {CORES} workers | {gib(base)} |",
             f"| user space, idle / active | {gib(STREAMS * max(idle['pss'], 0))} / "
             f"{gib(STREAMS * max(active['pss'], 0))} |",
             f"| kernel, idle / active | {gib(STREAMS * (total(idle) - max(idle['pss'], 0)))} / "
             f"{gib(STREAMS * (total(active) - max(active['pss'], 0)))} |",
             f"| **memory, idle / active** | **{gib(base + STREAMS * total(idle))} / "
             f"{gib(base + STREAMS * total(active))}** |",
             f"| CPU per event (at {streams:,} streams a worker) | {cost_us:.1f} us |",
             f"| **events/s at {BUSY_MAX:.0%} of {CORES} cores** | "
             f"**{events_per_s / 1e6:.1f} million** |",
             f"| events/s and stream | {events_per_s / STREAMS:.1f} |",
             "| heartbeats of idle streams, one in 30 s | "
             f"{STREAMS / 30 * cost_us / 1e6:.2f} cores |",
             f"| upstream addresses (ports: {PORTS:,} each) | "
             f"{math.ceil(STREAMS / PORTS)} |"]
    return lines
