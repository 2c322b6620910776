"""What loads a soak at the same time: the good, the slow and the rude, over two origins."""

import dataclasses
import urllib.parse

FRAGILE_PATH = "/llm"  # its origin is stopped and killed; all other paths are served by another one


@dataclasses.dataclass(frozen=True)
class Load:
    name: str
    mode: str
    target: str
    connections: int
    flags: tuple = ()  # more of perf/load's
    crowd: bool = False  # leaves all at once, and comes back, now and then
    # More may wait than sluice sends at once (64 KiB), so that an event spans two chunks.
    may_split: bool = False

    @property
    def fragile(self):
        """Whether its origin is the one that is stopped and killed."""
        return self.target.partition("?")[0] == FRAGILE_PATH

    @property
    def ending(self):
        return parameters(self.target).get("end", "clean")


def parameters(target):
    return dict(urllib.parse.parse_qsl(target.partition("?")[2]))


def pace(target):
    """(events a second, events in all) of a target of ours, 0 for no limit, as
    perf/stream_spec.h has it."""
    given = parameters(target)
    if target.startswith("/stream"):
        return float(given["rate"]), int(given.get("count", 0))
    every_ms = float(given["every"])
    return 1000 / every_ms if every_ms else 0.0, int(given["deltas"]) + 1


# About 50,000 events, 1,700 requests and 900 connections a second: half of what one CPU for
# origins and loads can do, so that what was held up is made up for within a second. Fewer streams
# than /streams lists (1,000).
MIX = (
    Load("steady", "stream", "/stream?rate=20&size=220", 200),
    Load("large", "stream", "/stream?rate=5&size=20000", 20, may_split=True),
    Load("bulk", "stream", "/stream?rate=5000&size=220&burst=500", 4, may_split=True),
    Load("idle", "idle", "/stream?rate=0.05&size=220", 300),
    Load("chat", "churn", "/v1/chat/completions?deltas=64&every=20", 80),
    Load("keep-alive", "churn", "/stream?rate=100&size=220&count=5", 16),
    Load("new", "churn", "/stream?rate=100&size=220&count=5", 16, ("--new-connections",)),
    Load("post", "churn", "/stream?rate=50&size=220&count=5", 8, ("--post", "100000")),
    Load("truncate", "churn", "/stream?rate=200&size=220&count=20&end=truncate", 8),
    Load("reset", "churn", "/stream?rate=200&size=220&count=20&end=reset", 8),
    Load("vanish", "vanish", "/stream?rate=200&size=1000&burst=20", 16, ("--leave-after", "300ms")),
    Load("slow", "slow", "/stream?rate=0&size=220", 50, ("--read-rate", "4000"), crowd=True),
    Load("llm", "churn", "/llm?deltas=64&every=20", 50),
    Load("llm-long", "churn", "/llm?deltas=400&every=50", 100),
    Load("llm-new", "churn", "/llm?deltas=5&every=10", 16, ("--new-connections",)),
    Load("llm-post", "churn", "/llm?deltas=10&every=10", 16, ("--post", "2000")),
    Load("llm-vanish", "vanish", "/llm?deltas=1000&every=10", 16, ("--leave-after", "300ms")),
    Load("llm-slow", "slow", "/llm?deltas=100000000&every=0", 20, ("--read-rate", "4000"),
         crowd=True),
)
