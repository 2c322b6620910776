#!/usr/bin/env python3
"""Draws a soak (perf/soak --json) as SVG: memory, streams, events and what sluice holds over time,
with the faults as bands.

usage: perf/plot_soak.py SOAK.json|- OUT.svg
"""

import json
import math
import pathlib
import sys

from plot import FAINT, GRID, INK, MARGIN, picture, rectangle, short, text
from plot_scale import nice_above

WIDTH = 900
AXIS_WIDTH = 52
LANE_HEIGHT = 130
LANE_HEAD = 28
LANE_GAP = 22
TITLE_HEIGHT = 100
POINTS_MAX = 600  # of a line: more seconds than that are averaged
COLOUR = "#0b6e69"
FAULTS = {"stop": "#e8d9a8", "kill": "#e3aab1", "leave": "#c9bfdd"}
TICKS_MIN = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)


def lanes_of(samples):
    """(title, values by time) of each lane."""
    at_s = samples["at_s"]
    rates = [0.0] + [(after - before) / (then - now) for before, after, now, then in
                     zip(samples["events"], samples["events"][1:], at_s, at_s[1:])]
    return [("resident memory, MiB", [size / 2**20 for size in samples["rss"]]),
            ("streams in progress", samples["streams"]),
            ("events forwarded a second", rates),
            ("slots that hold bytes on their way", samples["slots"]),
            ("file descriptors", samples["fds"])]


def averaged(points):
    size = math.ceil(len(points) / POINTS_MAX)
    groups = [points[first:first + size] for first in range(0, len(points), size)]
    return [(sum(x for x, _y in group) / len(group), sum(y for _x, y in group) / len(group))
            for group in groups]


class Picture:
    def __init__(self, record):
        self.record = record
        self.at_s = record["samples"]["at_s"]
        self.end_s = max(self.at_s[-1], record["seconds"])
        self.left = MARGIN + AXIS_WIDTH
        self.width = WIDTH - 2 * MARGIN - AXIS_WIDTH

    def across(self, seconds):
        return self.left + self.width * seconds / self.end_s

    def lane(self, title, values, y):
        top = y + LANE_HEAD
        highest = nice_above(max(*values, 1))
        out = [text(MARGIN, y + 16, title, 13, weight="600"),
               text(WIDTH - MARGIN, y + 16, f"least {short(min(values))}, most {short(max(values))}, "
                    f"last {short(values[-1])}", 11, FAINT, anchor="end")]
        for mark in self.record["faults"]:
            begin, end = self.across(mark["begun_s"]), self.across(mark["ended_s"])
            out.append(rectangle(begin, top, max(end - begin, 1), LANE_HEIGHT,
                                 FAULTS[mark["name"]]))
        for part in range(3):
            at = top + LANE_HEIGHT * (1 - part / 2)
            out += [f'<line x1="{self.left}" x2="{WIDTH - MARGIN}" y1="{at:.1f}" y2="{at:.1f}" '
                    f'stroke="{GRID}"/>',
                    text(self.left - 8, at + 4, f"{highest * part / 2:,g}", 11, FAINT, anchor="end")]
        line = " ".join(f"{self.across(x):.1f},{top + LANE_HEIGHT * (1 - value / highest):.1f}"
                        for x, value in averaged(list(zip(self.at_s, values))))
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOUR}" stroke-width="1.5"/>')
        return out

    def time_axis(self, y):
        step = next((each for each in TICKS_MIN if self.end_s / 60 / each <= 10), TICKS_MIN[-1])
        ticks = range(int(self.end_s / 60 / step) + 1)
        return [text(self.across(tick * step * 60), y, f"{tick * step:g} min", 11, FAINT,
                     anchor="middle") for tick in ticks]

    def legend(self, y):
        out = []
        x = MARGIN
        for name, about in self.record["about"].items():
            out += [rectangle(x, y - 10, 12, 12, FAULTS[name]), text(x + 18, y, about, 11, FAINT)]
            x += 34 + 5.6 * len(about)
        return out

    def draw(self):
        facts = self.record["machine"]
        wrong = [each["what"] for each in self.record["verdict"] if not each["right"]]
        outcome = f"FAILED: {', '.join(wrong)}" if wrong else "passed"
        events = sum(load["report"]["events"] for load in self.record["loads"])
        streams = sum(load["report"]["streams_started"] for load in self.record["loads"])
        about = (f"{events:,} events in {streams:,} streams, {len(self.record['faults'])} faults; "
                 f"{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}, loopback")
        out = [text(MARGIN, 34, f"A soak of {self.record['seconds'] / 60:g} min: {outcome}", 19,
                    INK, "600"),
               text(MARGIN, 56, about, 12, FAINT), *self.legend(82)]
        y = TITLE_HEIGHT
        for title, values in lanes_of(self.record["samples"]):
            out += self.lane(title, values, y)
            y += LANE_HEAD + LANE_HEIGHT + LANE_GAP
        out += self.time_axis(y - LANE_GAP + 16)
        return picture(WIDTH, y + MARGIN // 2, out)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    source = sys.stdin.read() if sys.argv[1] == "-" else pathlib.Path(sys.argv[1]).read_text()
    pathlib.Path(sys.argv[2]).write_text(Picture(json.loads(source)).draw())


if __name__ == "__main__":
    main()
