"""The verdict of a soak: what the loads have seen, what sluice holds when they have left, and how
its memory went. Pure functions of what was recorded."""

import dataclasses
import math

from . import gauges
from .mix import pace
from .slopes import slope

KILL = "kill"
# A killed origin's last refusals are counted this long after the next one listens.
AFTER_KILL_S = 2
# How far a stream may be behind its pace: a stopped origin, and what had to be made up for then.
BEHIND_S = 10
# Resident memory: the least-squares line through the second half of the run may rise by so much in
# that time, and the last tenth may lie so much above the tenth that follows the first third. What
# counts is the least of some seconds: regions of slots (4 or 8 MiB) that come and go are no leak.
RISE_KIB = 1024
GROWTH_KIB = 2048
LEAST_OF = 10  # samples, for a point of the line; fewer where the run is short
EVENTS = ("lost", "duplicated", "reordered", "torn", "bad")


@dataclasses.dataclass(frozen=True)
class Finding:
    what: str
    value: str
    remark: str
    right: bool


def judge(shifts, marks, samples, baseline, rest, listing, exit_status):
    """All findings. `rest` is the sample taken when all load had left, `listing` are the streams
    that /streams showed before."""
    findings = [count(what, sum(shift.report[what] for shift in shifts)) for what in EVENTS]
    legal = sum(shift.report["split"] for shift in shifts if shift.load.may_split)
    findings.append(count("split", sum(shift.report["split"] for shift in shifts) - legal,
                          f"of small events; {legal:,} where more than one send waited"))
    findings += endings(shifts, marks, samples)
    late = [stream for stream in listing if behind(stream)]
    findings.append(count("stuck streams", len(late),
                          f"first: {late[0]['target']}" if late else
                          f"of {len(listing)}, none is {BEHIND_S} s behind its pace"))
    findings += leaks(baseline, rest)
    findings += memory(samples)
    findings.append(Finding("exit status", str(exit_status), "of sluice after SIGTERM",
                            exit_status == 0))
    return findings


def count(what, number, remark=""):
    return Finding(what, f"{number:,}", remark, number == 0)


def endings(shifts, marks, samples):
    """Each stream must have ended as its origin ended it."""
    reports = [(shift, shift.report) for shift in shifts]
    silent = sorted({shift.load.name for shift, report in reports if not report["events"]})
    cut = sum(report["streams_aborted"] for _shift, report in reports)
    uncaused = sum(max(0, report["streams_aborted"] - may_be_cut(shift, marks))
                   for shift, report in reports)
    refused = sum(report["streams_refused"] for shift, report in reports)
    sturdy = sum(report["streams_refused"] for shift, report in reports if not shift.load.fragile)
    rightly = sum(report["streams_aborted_rightly"] for _shift, report in reports)
    return [
        count("ended wrongly", sum(report["streams_ended_wrongly"] for _shift, report in reports),
              f"complete for the client though cut upstream; {rightly:,} were cut for both"),
        count("cut tails", sum(cut_tail(shift) for shift in shifts),
              "events that were sent before a truncation and did not arrive"),
        count("cut without cause", uncaused, f"{cut - uncaused:,} by {kills(marks)} kills"),
        count("refused without cause", max(sturdy, refused_while_up(marks, samples)),
              f"{refused:,} while the origin was dead"),
        count("failed connects", sum(report["connect_failures"] for _shift, report in reports)),
        count("loads without events", len(silent), ", ".join(silent)),
    ]


def kills(marks):
    return sum(mark.name == KILL for mark in marks)


def may_be_cut(shift, marks):
    """A kill cuts one stream of each connection at most, and none of the sturdy origin's."""
    if not shift.load.fragile:
        return 0
    return shift.load.connections * kills(mark for mark in marks
                                          if mark.touches(shift.begun_s, shift.ended_s))


def cut_tail(shift):
    """What the origin has sent of truncated streams, less what has arrived."""
    if shift.load.ending != "truncate":
        return 0
    sent = pace(shift.load.target)[1] * shift.report["streams_aborted_rightly"]
    return max(0, sent - shift.report["events"])


def refused_while_up(marks, samples):
    """Error answers between samples of which no kill was near."""
    total = 0
    for before, after in zip(samples, samples[1:]):
        near = any(mark.name == KILL and
                   mark.touches(before["at_s"] - AFTER_KILL_S, after["at_s"]) for mark in marks)
        if not near:
            total += after["refused"] - before["refused"]
    return total


def behind(stream):
    """Whether a live stream is further behind than any fault explains."""
    rate, events = pace(stream["target"])
    due = rate * (stream["age_ms"] / 1000 - BEHIND_S)
    return stream["events"] < math.floor(min(due, events) if events else due)


def leaks(baseline, rest):
    names = {"fds": "descriptors", "slots": "slots", "heap_blocks": "heap blocks",
             "pool_size": "pool growth"}
    found = []
    for key in ("fds", *gauges.AT_REST):
        more = max(0, rest[key] - baseline[key])
        found.append(count(f"leaked {names.get(key, key.replace('_', ' '))}", more,
                           f"{baseline[key]:,} before, {rest[key]:,} after"))
    found.append(count("stale completions", rest["stale_completions"]))
    return found


def memory(samples):
    half = samples[len(samples) // 2:]
    size = max(1, min(LEAST_OF, len(half) // 6))
    groups = [half[first:first + size] for first in range(0, len(half) - size + 1, size)]
    kib_per_s = slope([(group[0]["at_s"], least_kib(group)) for group in groups])
    minutes = (half[-1]["at_s"] - half[0]["at_s"]) / 60
    limit = RISE_KIB / minutes
    tenth = max(1, len(samples) // 10)
    third = len(samples) // 3
    growth = least_kib(samples[-tenth:]) - least_kib(samples[third:third + tenth])
    return [
        Finding("RSS slope", f"{kib_per_s * 60:+,.1f}",
                f"KiB/min over the second half, {limit:,.1f} allowed ({RISE_KIB:,} KiB in it)",
                kib_per_s * 60 <= limit),
        Finding("RSS growth", f"{growth:+,.0f}",
                f"KiB from 1/3 of the time to its end, {GROWTH_KIB:,} allowed",
                growth <= GROWTH_KIB),
    ]


def least_kib(samples):
    return min(each["rss"] for each in samples) / 1024
