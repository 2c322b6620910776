#!/usr/bin/env python3
"""Draws perf/heal's JSON as SVG: events and memory over time with the outages as bands, how soon
streams went on, and what clients of each proxy missed.

usage: perf/plot_heal.py HEAL.json|- OUT.svg
"""

import json
import pathlib
import sys

from plot import BAR_HEIGHT, BAR_PITCH, FAINT, GRID, INK, MARGIN, OURS, PEER, picture, rectangle, text
from plot_scale import nice_above
from plot_soak import LANE_GAP, LANE_HEAD, LANE_HEIGHT, WIDTH, Picture

POINTS = 400  # of a curve
NAME_WIDTH = 100
VALUE_WIDTH = 300
HEAD_HEIGHT = 40


class Lanes(Picture):
    """Of sluice, over time."""

    def __init__(self, record):
        samples = record["samples"]
        outages = [{"name": "kill", "begun_s": begun, "ended_s": ended}
                   for begun, ended in record["outages"]]
        super().__init__({"samples": samples, "seconds": samples["at_s"][-1], "faults": outages})

    def draw(self, y):
        samples = self.record["samples"]
        at_s = samples["at_s"]
        rates = [(after - before) / (then - now) for before, after, now, then in
                 zip(samples["events"], samples["events"][1:], at_s, at_s[1:])]
        rates.insert(0, rates[0])
        out = self.lane("sluice: events forwarded a second", rates, y)
        y += LANE_HEAD + LANE_HEIGHT + LANE_GAP
        out += self.lane("sluice: resident memory, MiB", [rss / 2**20 for rss in samples["rss"]], y)
        y += LANE_HEAD + LANE_HEIGHT + LANE_GAP
        return out + self.time_axis(y - LANE_GAP + 16), y + LANE_GAP


def curve(points, colour, dashes=""):
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5" '
            f'stroke-dasharray="{dashes}"/>')


def times(record, y):
    """The share of streams that have gone on, by seconds."""
    seconds = record["seconds"]
    left, width, top = MARGIN + 52, WIDTH - 2 * MARGIN - 52, y + LANE_HEAD
    longest = nice_above(max(seconds[-1], 0.1))
    since = "the upstream's return" if record["scenario"] == "return" else "the kill"
    out = [text(MARGIN, y + 16, f"sluice: streams that have gone on, by seconds since {since}", 13,
                weight="600"),
           text(WIDTH - MARGIN, y + 16, "dashes: the most that --heal-rate allows", 11, FAINT,
                anchor="end")]
    for share in (0, 0.5, 1):
        at = top + LANE_HEIGHT * (1 - share)
        out += [f'<line x1="{left}" x2="{left + width}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GRID}"/>',
                text(left - 8, at + 4, f"{share:.0%}", 11, FAINT, anchor="end")]
    for part in range(5):
        out.append(text(left + width * part / 4, top + LANE_HEIGHT + 18,
                        f"{longest * part / 4:g} s", 11, FAINT, anchor="middle"))
    floor_s = min(record["harmed"] / record["reconnects_per_s"], longest)
    share = floor_s * record["reconnects_per_s"] / record["harmed"]
    out.append(curve([(left, top + LANE_HEIGHT),
                      (left + width * floor_s / longest, top + LANE_HEIGHT * (1 - share))],
                     FAINT, "3 3"))
    step = max(1, len(seconds) // POINTS)
    shown = [(seconds[i], (i + 1) / len(seconds)) for i in range(0, len(seconds), step)]
    shown.append((seconds[-1], 1))
    out.append(curve([(left + width * each / longest, top + LANE_HEIGHT * (1 - share))
                      for each, share in shown], OURS[0]))
    return out, top + LANE_HEIGHT + 18 + LANE_GAP


def losses(records, y):
    out = [text(MARGIN, y + 16, "events that clients missed, of all; they do not reconnect", 13,
                weight="600")]
    left, room = MARGIN + NAME_WIDTH, WIDTH - 2 * MARGIN - NAME_WIDTH - VALUE_WIDTH
    y += LANE_HEAD
    for record in records:
        ours = record["proxy"] == "sluice"
        share = record["missing"] / record["due"]
        out += [text(left - 10, y + BAR_HEIGHT - 4, record["proxy"], 13, anchor="end",
                     weight="600" if ours else "normal"),
                rectangle(left, y, room * share, BAR_HEIGHT, (OURS if ours else PEER)[0]),
                text(left + room * share + 8, y + BAR_HEIGHT - 4,
                     f"{share:.1%}; {record['report']['streams_aborted']:,} connections cut", 12)]
        y += BAR_PITCH
    return out, y + LANE_GAP


def draw(whole):
    facts = whole["machine"]
    outcome = "passed" if whole["passed"] else "FAILED"
    out = [text(MARGIN, 34, f"Event streams while their upstream dies: {outcome}", 19, INK, "600"),
           text(MARGIN, 56, f"{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}, "
                "loopback", 12, FAINT)]
    y = 76
    for scenario, about in whole["about"].items():
        records = [record for record in whole["records"]
                   if record["scenario"] == scenario and "error" not in record]
        if not records:
            continue
        out += [f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y}" y2="{y}" stroke="{GRID}"/>',
                text(MARGIN, y + 24, scenario, 15, weight="600"),
                text(MARGIN + 70, y + 24, about, 12, FAINT)]
        y += HEAD_HEIGHT
        parts = [lambda at: losses(records, at)]
        for record in records:
            if record["seconds"]:
                parts += [lambda at, record=record: times(record, at), Lanes(record).draw]
        for part in parts:
            drawn, y = part(y)
            out += drawn
    return picture(WIDTH, y, out)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    source = sys.stdin.read() if sys.argv[1] == "-" else pathlib.Path(sys.argv[1]).read_text()
    pathlib.Path(sys.argv[2]).write_text(draw(json.loads(source)))


if __name__ == "__main__":
    main()
