#!/usr/bin/env python3
"""Draws the bars of a comparison (perf/compare or perf/hub --json) as SVG, one panel a scenario: CPU time with
user and system apart, memory where that is what counts.

usage: perf/plot.py COMPARE.json|- OUT.svg
"""

import html
import json
import pathlib
import sys

PANEL_WIDTH = 400
PANELS_A_ROW = 2
BAR_HEIGHT = 16
BAR_PITCH = 24
NAME_WIDTH = 100
VALUE_WIDTH = 104
RATIO_SHOWN_MAX = 6  # times the best peer: longer bars are cut
MARGIN = 28
PANEL_GAP = 36
HEAD_HEIGHT = 50  # of a panel: its title and description
TITLE_HEIGHT = 92  # of the whole: title, machine and legend

INK, FAINT, GRID, PAPER = "#1d2733", "#66717e", "#e3e7ec", "#fbfcfd"
# Of a bar: user time (or all of a memory bar), system time.
OURS, PEER, FLOOR = ("#0b6e69", "#7cc4be"), ("#4a5c72", "#b4c0ce"), ("#9a7b3c", "#e0cfa6")


def colours(name):
    if name.startswith("sluice"):
        return OURS
    return FLOOR if name.startswith("relay") else PEER


def text(x, y, words, size=12, colour=INK, weight="normal", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'font-weight="{weight}" text-anchor="{anchor}" paint-order="stroke" '
            f'stroke="{PAPER}" stroke-width="4">{html.escape(words)}</text>')


def rectangle(x, y, width, height, colour):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height}" '
            f'fill="{colour}"/>')


def short(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def bars_of(scenario):
    """(name, parts, figure) of each proxy that has one."""
    bars = []
    for name, result in scenario["results"].items():
        if "figure" not in result:
            continue
        figure = max(result["figure"], 0)
        parts = [figure]
        if scenario["figure"] == "cpu":
            user = result["median"]["cpu"]["user"]
            parts = [min(user, figure), figure - min(user, figure)]
        bars.append((name, parts, figure))
    return bars


def best_of(bars):
    """The least figure of a peer on TCP."""
    peers = [figure for name, _parts, figure in bars
             if colours(name) is PEER and "+" not in name]
    return min(peers) if peers else None


def panel(scenario, x, y):
    bars = bars_of(scenario)
    best = best_of(bars)
    longest = max((figure for *_rest, figure in bars), default=0) or 1
    if best:
        longest = min(longest, RATIO_SHOWN_MAX * best)
    room = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH
    out = [text(x, y + 14, scenario["name"], 15, weight="600"),
           text(x + PANEL_WIDTH, y + 14, unit(scenario), 12, FAINT, anchor="end"),
           text(x, y + 32, scenario["about"], 12, FAINT)]
    top = y + HEAD_HEIGHT
    left = x + NAME_WIDTH
    if best:
        at = left + room * best / longest
        out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top - 6}" '
                   f'y2="{top + len(bars) * BAR_PITCH - 2}" stroke="{FAINT}" '
                   'stroke-dasharray="3 3"/>')
    for row, (name, parts, figure) in enumerate(bars):
        middle = top + row * BAR_PITCH + BAR_HEIGHT - 4
        ours = colours(name) is OURS
        out.append(text(left - 10, middle, name, 13, weight="600" if ours else "normal",
                        anchor="end"))
        start = left
        for part, colour in zip(parts, colours(name)):
            length = min(room * part / longest, left + room - start)
            out.append(rectangle(start, top + row * BAR_PITCH, length, BAR_HEIGHT, colour))
            start += length
        if figure > longest:  # a break, for what goes off the scale
            out.append(rectangle(start - 14, top + row * BAR_PITCH, 5, BAR_HEIGHT, PAPER))
        ratio = f"  ×{short(figure / best)}" if best else ""
        out.append(text(start + 8, middle, short(figure) + ratio, 12,
                        weight="600" if ours else "normal"))
    return out


def unit(scenario):
    return {"cpu": "CPU ", "latency": ""}.get(scenario["figure"], "memory, ") + scenario["unit"]


def panel_height(scenario):
    return HEAD_HEIGHT + len(bars_of(scenario)) * BAR_PITCH


def legend(x, y):
    out = []
    for name, (user, system) in (("sluice", OURS), ("peers", PEER), ("raw relay (floor)", FLOOR)):
        out += [rectangle(x, y - 10, 14, 12, user), rectangle(x + 14, y - 10, 14, 12, system),
                text(x + 34, y, name, 12, FAINT)]
        x += 60 + 7 * len(name)
    out.append(text(x, y, "dark: user, light: system; dashes and ×: the best peer", 12, FAINT))
    return out


def draw(record):
    shown = [scenario for scenario in record["scenarios"] if bars_of(scenario)]
    facts = record["machine"]
    width = 2 * MARGIN + PANELS_A_ROW * PANEL_WIDTH + (PANELS_A_ROW - 1) * PANEL_GAP
    workers = "" if "title" in record else "one worker; "
    about = (f"{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}, loopback; {workers}"
             f"medians of {record['runs']}")
    title = record.get("title", "What a proxied event stream costs (less is better)")
    out = [text(MARGIN, 34, title, 19, weight="600"),
           text(MARGIN, 55, about, 12, FAINT), *legend(MARGIN, 78)]
    y = TITLE_HEIGHT
    for first in range(0, len(shown), PANELS_A_ROW):
        row = shown[first:first + PANELS_A_ROW]
        out.append(f'<line x1="{MARGIN}" x2="{width - MARGIN}" y1="{y}" y2="{y}" stroke="{GRID}"/>')
        for column, scenario in enumerate(row):
            out += panel(scenario, MARGIN + column * (PANEL_WIDTH + PANEL_GAP), y + 18)
        y += max(map(panel_height, row)) + 32
    return picture(width, y, out)


def picture(width, height, parts):
    """The whole SVG."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif">',
        rectangle(0, 0, width, height, PAPER), *parts, "</svg>", ""])


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    source = sys.stdin.read() if sys.argv[1] == "-" else pathlib.Path(sys.argv[1]).read_text()
    pathlib.Path(sys.argv[2]).write_text(draw(json.loads(source)))


if __name__ == "__main__":
    main()
