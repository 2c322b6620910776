"""What an outage of an upstream does to the streams of a proxy, and whether they were healed. Pure
functions of what was recorded."""

import dataclasses
import math

from .verdict import EVENTS, Finding, count

# We may see a port listen that much later than the proxy does. An event of a killed upstream may
# arrive that much behind the kill.
NOTICED_NS = 5_000_000


@dataclasses.dataclass
class Outage:
    """Of one upstream, by CLOCK_MONOTONIC. Of one that never returns the streams may go on elsewhere
    from its beginning."""
    begun_ns: int
    ended_ns: int = None

    @property
    def over_ns(self):
        return self.begun_ns if self.ended_ns is None else self.ended_ns


@dataclasses.dataclass
class Comebacks:
    """Of each stream and outage: seconds from the upstream's return to the stream's next event."""
    seconds: list
    late: int  # that came after the next outage had begun


def comebacks(stalls, outages):
    """`stalls` are (stream, its last event before, its first one behind), from load's report."""
    seconds = []
    late = 0
    following = [outage.begun_ns for outage in outages[1:]] + [math.inf]
    for outage, next_ns in zip(outages, following):
        latest_ns = outage.over_ns + (NOTICED_NS if outage.ended_ns is None else 0)
        back_ns = {}
        for stream, begun_ns, ended_ns in stalls:
            if begun_ns <= latest_ns and ended_ns >= outage.over_ns - NOTICED_NS:
                back_ns[stream] = max(ended_ns, back_ns.get(stream, 0))
        seconds += [max(0, at_ns - outage.over_ns) / 1e9 for at_ns in back_ns.values()]
        late += sum(at_ns > next_ns for at_ns in back_ns.values())
    return Comebacks(sorted(seconds), late)


def quantile(ordered, q):
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else None


def floor(streams, reconnects_per_s, q):
    """No schedule of that many reconnects a second has the q-th of the streams back earlier."""
    return q * streams / reconnects_per_s


def delivered(report):
    return report["events"] - report["duplicated"]


def judge(report, streams, due, harmed, came, counters):
    """Whether every event came once and in order, on the connections that the clients had opened, and
    whether the outages harmed what they were to harm (`harmed` streams, each outage counted): a run
    without harm has shown nothing."""
    # A stream that comes late has been healed once for two outages.
    at_least = harmed - came.late
    healed = counters["resumed"]
    return [
        *(count(what, report[what]) for what in EVENTS),
        count("missing", due - delivered(report), f"of {due:,} events that the upstream has"),
        count("connections cut", report["streams_aborted"]),
        count("ended wrongly", report["streams_ended_wrongly"]),
        count("unfinished", report["streams_unfinished"], "when the time was up"),
        count("refused", report["streams_refused"] + report["connect_failures"]),
        count("connections opened again", report["connections_opened"] - streams),
        count("gaps", counters["gaps"]),
        count("given up", counters["given_up"]),
        count("not harmed", harmed - len(came.seconds), f"of {harmed:,} streams with an outage"),
        Finding("healed", f"{healed:,}", f"of at least {at_least:,}", healed >= at_least > 0),
    ]
