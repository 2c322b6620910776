"""How long after each fault of a soak events flow again as they did before it."""

import statistics

BEFORE_S = 5     # of events before the fault, to compare with
RECOVERED = 0.9  # of their rate


def rates(samples):
    """(at_s, events per second since the sample before)."""
    return [(now["at_s"], (now["events"] - before["events"]) / (now["at_s"] - before["at_s"]))
            for before, now in zip(samples, samples[1:])]


def recoveries(marks, samples):
    """By fault, for each time it struck: seconds from its end to the first sample with a rate as
    before it; None where the next fault came first, or nothing flowed before it."""
    found = {}
    over = rates(samples)
    ends = [mark.begun_s for mark in marks[1:]] + [float("inf")]
    for mark, until_s in zip(marks, ends):
        before = [rate for at_s, rate in over if mark.begun_s - BEFORE_S <= at_s <= mark.begun_s]
        if not before:
            continue
        usual = RECOVERED * statistics.median(before)
        after = [at_s for at_s, rate in over if mark.ended_s < at_s < until_s and rate >= usual > 0]
        found.setdefault(mark.name, []).append(after[0] - mark.ended_s if after else None)
    return found
