#!/usr/bin/env python3
"""Draws the curves of perf/scale --json as SVG: CPU time per event against streams, event size and
workers, and user memory against open streams.

usage: perf/plot_scale.py SCALE.json|- OUT.svg
"""

import json
import math
import pathlib
import sys

from plot import FAINT, GRID, INK, MARGIN, picture, rectangle, short, text

PANEL_WIDTH = 400
PANEL_HEIGHT = 250
PANELS_A_ROW = 2
PANEL_GAP = 40
HEAD_HEIGHT = 52   # of a panel: its title and description
AXIS_WIDTH = 46
AXIS_HEIGHT = 34
INSET = 18          # of the first and last point, for their labels
TITLE_HEIGHT = 76
COLOURS = ("#0b6e69", "#4a5c72", "#9a7b3c", "#a33b4a", "#6a4a8c")


class Chart:
    """A panel: series of (x, y), x on a logarithmic scale where it spans more than a decade."""

    def __init__(self, title, about, x_name, series):
        self.title = title
        self.about = about
        self.x_name = x_name
        self.series = {name: points for name, points in series.items() if points}
        self.xs = sorted({x for points in self.series.values() for x, _y in points})
        ys = [y for points in self.series.values() for _x, y in points]
        self.log_x = self.xs[0] > 0 and self.xs[-1] / self.xs[0] > 10
        self.log_y = min(ys) > 0 and max(ys) / min(ys) > 20
        self.top = nice_above(max(ys))
        self.bottom = 10 ** math.floor(math.log10(min(ys))) if self.log_y else 0

    def place(self, x, y, left, top):
        """Where a point is in the picture."""
        width = PANEL_WIDTH - AXIS_WIDTH - 2 * INSET
        height = PANEL_HEIGHT - AXIS_HEIGHT
        across = fraction(x, self.xs[0], self.xs[-1], self.log_x)
        up = fraction(y, self.bottom, self.top, self.log_y)
        return left + AXIS_WIDTH + INSET + width * across, top + height * (1 - up)

    def draw(self, x, y, colours):
        out = [text(x, y + 14, self.title, 15, weight="600"),
               text(x, y + 33, self.about, 11, FAINT)]
        top = y + HEAD_HEIGHT
        for value in self.y_ticks():
            _, at = self.place(self.xs[0], value, x, top)
            out += [f'<line x1="{x + AXIS_WIDTH}" x2="{x + PANEL_WIDTH}" y1="{at:.1f}" '
                    f'y2="{at:.1f}" stroke="{GRID}"/>',
                    text(x + AXIS_WIDTH - 8, at + 4, tick(value), 11, FAINT, anchor="end")]
        for value in self.xs:
            at, _ = self.place(value, self.top, x, top)
            out.append(text(at, top + PANEL_HEIGHT - AXIS_HEIGHT + 16, tick(value), 11, FAINT,
                            anchor="middle"))
        out.append(text(x + PANEL_WIDTH, top + PANEL_HEIGHT - 2, self.x_name, 11, FAINT,
                        anchor="end"))
        for name, points in self.series.items():
            places = [self.place(px, py, x, top) for px, py in sorted(points)]
            line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colours[name]}" '
                       'stroke-width="2"/>')
            for (px, py), (_x, value) in zip(places, sorted(points)):
                out += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colours[name]}"/>',
                        text(px, py - 8, short(value), 11, INK, anchor="middle")]
        return out

    def y_ticks(self):
        if not self.log_y:
            return [self.top * part / 4 for part in range(5)]
        decades = range(round(math.log10(self.bottom)), math.floor(math.log10(self.top)) + 1)
        return [10.0 ** decade for decade in decades]


def fraction(value, low, high, logarithmic):
    if high == low:
        return 0.5
    if logarithmic:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def nice_above(value):
    unit = 10 ** math.floor(math.log10(value))
    return next(unit * factor for factor in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10, 12)
                if unit * factor >= value * 1.08)


def tick(value):
    return f"{value / 1024:g}Ki" if value >= 1024 and value % 1024 == 0 else f"{value:,g}"


def charts_of(record):
    charts = []
    for sweep in record["sweeps"]:
        series = {}
        for point in sweep["points"]:
            for name, result in point["results"].items():
                if "figure" in result:
                    series.setdefault(name, []).append((point["x"], result["figure"]))
        if series:
            charts.append(Chart(f"CPU us/event by {sweep['name']}", sweep["about"], sweep["x"],
                                series))
    for kind, of_proxy in record["memory"].items():
        series = {name: [(x, y / (1 << 20)) for x, y in medians(found["points"])]
                  for name, found in of_proxy.items() if "points" in found}
        if series:
            per_stream = ", ".join(f"{name} {found['pss']:,.0f} B" for name, found in
                                   of_proxy.items() if "pss" in found)
            charts.append(Chart(f"MiB PSS by {kind} streams", f"slope per stream: {per_stream}",
                                "streams", series))
    return charts


def medians(points):
    by_x = {}
    for x, y in points:
        by_x.setdefault(x, []).append(y)
    return [(x, sorted(ys)[len(ys) // 2]) for x, ys in by_x.items()]


def draw(record):
    charts = charts_of(record)
    facts = record["machine"]
    names = dict.fromkeys(name for chart in charts for name in chart.series)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    width = 2 * MARGIN + PANELS_A_ROW * PANEL_WIDTH + (PANELS_A_ROW - 1) * PANEL_GAP
    rows = math.ceil(len(charts) / PANELS_A_ROW)
    row_height = HEAD_HEIGHT + PANEL_HEIGHT + 24
    height = TITLE_HEIGHT + rows * row_height
    about = (f"{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}, loopback; medians of "
             f"{record['runs']}")
    out = [text(MARGIN, 34, "How the cost grows", 19, weight="600"),
           text(MARGIN, 55, about, 12, FAINT)]
    at = width - MARGIN
    for name, colour in reversed(colours.items()):
        at -= 24 + 7 * len(name)
        out += [rectangle(at, 46, 12, 10, colour), text(at + 16, 55, name, 12, FAINT)]
    for index, chart in enumerate(charts):
        row, column = divmod(index, PANELS_A_ROW)
        out += chart.draw(MARGIN + column * (PANEL_WIDTH + PANEL_GAP),
                          TITLE_HEIGHT + row * row_height, colours)
    return picture(width, height, out)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    source = sys.stdin.read() if sys.argv[1] == "-" else pathlib.Path(sys.argv[1]).read_text()
    pathlib.Path(sys.argv[2]).write_text(draw(json.loads(source)))


if __name__ == "__main__":
    main()
