"""From single measurements to medians, ratios and tables."""

import statistics

from .proxies import is_peer, split_name

# Shares of a CPU above which it, and not the proxy, may have set the figures.
SATURATED = 0.95
STRANGERS = 0.10

FIGURES = {  # name: path in a measurement, divisor, unit in the table
    "cpu": (("cpu", "total"), 1, None),
    "pss_per_stream": (("memory", "pss_per_stream"), 1, "B/stream"),
    "rss_growth": (("memory", "rss_growth"), 1e6, "MB growth"),
}
CPU_UNITS = {"event": "us/event", "request": "us/request", "handshake": "us/handshake", "GB": "s/GB"}
RATES = {"event": "events/s", "request": "reqs/s", "handshake": "hands/s", "GB": "MB/s"}


def at(tree, *path):
    """The value at a path of nested dicts, None where there is none."""
    for key in path:
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def merge(runs, pick):
    """The dicts of several runs as one, each number picked from that number's list."""
    merged = {}
    for key in {key: None for run in runs for key in run}:
        values = [run[key] for run in runs if run.get(key) is not None]
        if not values:
            continue
        if isinstance(values[0], dict):
            merged[key] = merge(values, pick)
        elif isinstance(values[0], (int, float)) and not isinstance(values[0], bool):
            merged[key] = pick(values)
    return merged


def spread(values):
    """(max - min) / median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def summarize(scenario, runs):
    """Medians, spreads and remarks of one proxy's runs of one scenario."""
    good = [run for run in runs if "error" not in run]
    if not good:
        return {"error": runs[0]["error"] if runs else "no run"}
    path, divisor, _unit = FIGURES[scenario.figure]
    summary = {"runs": len(good), "median": merge(good, statistics.median),
               "spread": merge(good, spread)}
    figures = [value for run in good if (value := at(run, *path)) is not None]
    if figures:
        summary["figure"] = statistics.median(figures) / divisor
        summary["figure_spread"] = spread(figures)
    summary["remarks"] = remarks(good, runs)
    return summary


def remarks(good, runs):
    """What a reader of the figures must know."""
    found = []
    if len(good) < len(runs):
        found.append(f"{len(runs) - len(good)} runs failed: "
                     f"{next(run['error'] for run in runs if 'error' in run)}")
    for run in good:
        wrong = ", ".join(f"{count} {what}" for what, count in run["errors"].items())
        if wrong:
            found.append(f"wrong: {wrong}")
        found.extend(run["notes"])
    median = merge(good, statistics.median)
    gap, at_origin = (at(median, "ms", key, "p99") for key in ("gap", "origin_gap"))
    if gap is not None and gap > 1.25 * at_origin + 1:
        found.append(f"events clump: gap p99 {gap:.1f} ms, at the origin {at_origin:.1f} ms")
    busy = median["busy"]
    if busy["load"] + busy["origin"] >= SATURATED:
        found.append(f"limited by the load side (load {busy['load']:.0%}, origin "
                     f"{busy['origin']:.0%} of its CPU)")
    if busy["proxy"] >= SATURATED:
        found.append("the proxy's CPU is full")
    if "cpu" in median and busy["others_on_proxy_cpu"] >= STRANGERS:
        found.append(f"others took {busy['others_on_proxy_cpu']:.0%} of the proxy's CPU")
    if busy["others_on_load_cpu"] >= STRANGERS:
        found.append(f"others took {busy['others_on_load_cpu']:.0%} of the load's CPU")
    return list(dict.fromkeys(found))


def disturbed(results):
    """Measurements in which others used the CPUs, and all of them."""
    good = [run for of_proxy in results.values() for runs in of_proxy.values() for run in runs
            if "error" not in run]
    return sum(max(run["busy"]["others_on_load_cpu"],
                   run["busy"]["others_on_proxy_cpu"] if "cpu" in run else 0) >= STRANGERS
               for run in good), len(good)


def best_peer(summaries):
    """The peer with the least figure whose events were all right; (name, figure) or None."""
    candidates = [(summary["figure"], name) for name, summary in summaries.items()
                  if is_peer(name) and split_name(name)[1] == "" and "figure" in summary]
    return min(candidates)[::-1] if candidates else None


def unit_of(scenario):
    return FIGURES[scenario.figure][2] or CPU_UNITS[scenario.unit]


def number(value):
    """Three digits that mean something."""
    if value is None:
        return "-"
    return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def table(scenario, summaries):
    """The lines of one scenario's table."""
    best = best_peer(summaries)
    relay = at(summaries, "relay", "figure")
    columns = [unit_of(scenario), "x peer", "x relay", "spread", "user", "system",
               RATES[scenario.unit], "p50 ms", "p99 ms",
               "first99", "gap99", "PSS MiB", "sock KiB"]
    lines = [f"{scenario.name}: {scenario.about}", row("proxy", columns)]
    for name, summary in summaries.items():
        if "error" in summary:
            lines.append(f"  {name:14} {summary['error']}")
            continue
        median = summary["median"]
        figure = summary.get("figure")
        rate = scaled(at(median, "bytes_per_s"), 1e6) if scenario.unit == "GB" else \
            at(median, "units_per_s")
        lines.append(row(name, [
            number(figure),
            number(ratio(figure, best and best[1])),
            number(ratio(figure, relay)),
            f"{summary['figure_spread']:.0%}" if figure is not None and summary["runs"] > 1 else "-",
            number(at(median, "cpu", "user")),
            number(at(median, "cpu", "system")),
            number(rate),
            number(at(median, "ms", "latency", "p50")),
            number(at(median, "ms", "latency", "p99")),
            number(at(median, "ms", "first_event", "p99")),
            number(at(median, "ms", "gap", "p99")),
            number(scaled(at(median, "memory", "pss"), 1 << 20)),
            number(scaled(at(median, "memory", "socket_bytes_per_stream"), 1 << 10))]))
    if scenario.coding:
        lines.extend(f"  {name}: {packing(summary['median'])}" for name, summary in summaries.items()
                     if "median" in summary)
    if best:
        lines.append(f"  best peer: {best[0]}")
    for name, summary in summaries.items():
        lines.extend(f"  {name}: {remark}" for remark in summary.get("remarks", ()))
    return lines


def packing(median):
    """What a packed stream costs beside CPU time: bytes, memory, and its worst event."""
    parts = [f"packed to {median['packed_to']:.1%}",
             f"worst event {number(at(median, 'ms', 'latency', 'max'))} ms"]
    memory = at(median, "memory", "pss_per_stream")
    return ", ".join(parts + ([] if memory is None else [f"{memory / 1024:,.1f} KiB a stream"]))


def row(name, cells):
    return f"  {name:14}" + "".join(cell.rjust(10) for cell in cells)


def ratio(figure, base):
    return figure / base if figure is not None and base and base > 0 else None


def scaled(value, divisor):
    return None if value is None else value / divisor


def growth_lines(results):
    """CPU per event at 8,000 streams against 1,000, for each proxy that has both."""
    few = results.get("growth-1k", {})
    many = results.get("growth-8k", {})
    both = [(name, many[name]["figure"] / few[name]["figure"]) for name in few
            if at(few, name, "figure") and at(many, name, "figure")]
    if not both:
        return []
    return ["growth: CPU per event at 8,000 streams / at 1,000, same total rate",
            *(f"  {name:15}{ratio:11.2f}" for name, ratio in both)]
