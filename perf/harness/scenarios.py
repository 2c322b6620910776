"""The scenarios of a comparison: what the load does, for how long, and which figure counts."""

import dataclasses

from . import protocols
from .protocols import Protocol


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    target: str
    connections: int
    mode: str = "stream"
    flags: tuple = ()            # more of perf/load's
    ramp: int = 2000             # connections opened a second
    settle_s: float = 3          # after the last one is open, before the window
    window_s: float = 10
    unit: str = "event"          # CPU time per: event, request, handshake or GB
    figure: str = "cpu"          # what ratios are taken of: cpu, pss_per_stream or rss_growth
    memory_at_end: bool = False  # else before the window, where it disturbs no latency
    neighbours: str = ""         # target of ordinary clients beside a misbehaving load
    neighbour_connections: int = 200
    nginx_buffer: str = "4k"
    protocol: Protocol = protocols.HTTP1
    tool: str = ""               # the load: perf/load, or see other_loads
    streams_per_connection: int = 1
    coding: str = ""             # in which responses are to leave
    proxies: tuple = ()          # that can do it; empty: all

    @property
    def warmup_s(self):
        return self.connections / self.ramp + self.settle_s


def over_protocol(name, protocol, streams_per_connection):
    return Scenario(name, f"1,000 streams x 20/s x 220 B, {streams_per_connection} a connection",
                    "/stream?rate=20&size=220", 1000, settle_s=4, tool="h2load",
                    protocol=protocol, streams_per_connection=streams_per_connection)


def idle_over_protocol(name, protocol, streams_per_connection):
    return Scenario(name, f"2,000 open streams, {streams_per_connection} a connection, an event in 50 s",
                    "/stream?rate=0.02&size=220", 2000, settle_s=4, window_s=3,
                    figure="pss_per_stream", memory_at_end=True, tool="h2load", protocol=protocol,
                    streams_per_connection=streams_per_connection)


def packed(name, about, target, coding, peers):
    return Scenario(name, f"{about}, in {coding}", target, 1000, settle_s=4, coding=coding,
                    flags=("--accept-encoding", coding), proxies=(*peers, "sluice"))


TOKENS = ("1,000 streams x 20/s, LLM deltas", "/llm?deltas=100000&every=50")
OBJECTS = ("1,000 streams x 5/s x 1 KiB", "/stream?rate=5&size=1024")


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("tokens", "1,000 streams x 50/s x 220 B", "/stream?rate=50&size=220", 1000),
    Scenario("tokens-lo", "1,000 streams x 20/s x 220 B", "/stream?rate=20&size=220", 1000),
    Scenario("firehose", "16 streams at full speed, 220 B events", "/stream?rate=0&size=220", 16,
             unit="GB", nginx_buffer="16k"),
    Scenario("churn", "64 connections, 20-event streams one after the other",
             "/stream?rate=0&size=220&count=20", 64, mode="churn", unit="request"),
    Scenario("churn-new", "the same, a new client connection each",
             "/stream?rate=0&size=220&count=20", 64, mode="churn", flags=("--new-connections",),
             unit="request"),
    Scenario("idle", "8,000 open streams, an event in 50 s", "/stream?rate=0.02&size=220", 8000,
             mode="idle", window_s=5, figure="pss_per_stream", memory_at_end=True),
    Scenario("slow", "200 readers at 2 KB/s of fast streams, 200 others x 20/s",
             "/stream?rate=0&size=220", 200, mode="slow", flags=("--read-rate", "2000"),
             figure="rss_growth", memory_at_end=True, neighbours="/stream?rate=20&size=220"),
    Scenario("llm", "500 streams, 64 deltas every 20 ms, one after the other",
             "/llm?deltas=64&every=20", 500, mode="churn", ramp=400),
    Scenario("growth-1k", "1,000 streams x 20/s", "/stream?rate=20&size=220", 1000),
    Scenario("growth-8k", "8,000 streams x 2.5/s, the same total", "/stream?rate=2.5&size=220",
             8000),
    *(over_protocol(*each) for each in (
        ("h1", protocols.HTTP1, 1), ("h1-tls", protocols.HTTP1_TLS, 1),
        ("h2c", protocols.HTTP2, 100), ("h2-tls", protocols.HTTP2_TLS, 100))),
    *(idle_over_protocol(*each) for each in (
        ("idle-h1", protocols.HTTP1, 1), ("idle-h1-tls", protocols.HTTP1_TLS, 1),
        ("idle-h2c", protocols.HTTP2, 100), ("idle-h2c-1", protocols.HTTP2, 1),
        ("idle-h2-tls", protocols.HTTP2_TLS, 100))),
    packed("packed", *TOKENS, "gzip", ("nginx", "caddy")),
    packed("packed-1k", *OBJECTS, "gzip", ("nginx", "caddy")),
    packed("packed-zstd", *TOKENS, "zstd", ("caddy",)),
    packed("packed-1k-zstd", *OBJECTS, "zstd", ("caddy",)),
    Scenario("handshakes", "full TLS 1.3 handshakes, one after the other",
             "/stream?rate=0&size=220&count=1", 1, mode="new", unit="handshake",
             tool="openssl", protocol=protocols.HTTP1_TLS),
    Scenario("resumed", "resumed TLS 1.3 handshakes, one after the other",
             "/stream?rate=0&size=220&count=1", 1, mode="reuse", unit="handshake",
             tool="openssl", protocol=protocols.HTTP1_TLS),
)}

GROUPS = {"growth": ("growth-1k", "growth-8k"),
          "protocols": ("h1", "h1-tls", "h2c", "h2-tls"),
          "idle-protocols": ("idle-h1", "idle-h1-tls", "idle-h2c", "idle-h2c-1", "idle-h2-tls"),
          "compression": ("packed", "packed-1k", "packed-zstd", "packed-1k-zstd"),
          "tls": ("handshakes", "resumed")}


def choose(names):
    """The scenarios of a comma-separated list; "all" for all of them."""
    wanted = list(SCENARIOS) if names == "all" else names.split(",")
    names = [name for each in wanted for name in GROUPS.get(each, (each,))]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        known = ", ".join([*SCENARIOS, *GROUPS])
        raise SystemExit(f"compare: there is no scenario {unknown[0]}; there are {known}")
    return [SCENARIOS[name] for name in dict.fromkeys(names)]


def proxies_of(scenario, names):
    """Those of the proxies that can do what the scenario asks for."""
    return [name for name in names
            if not scenario.proxies or name.partition("+")[0] in scenario.proxies]


def with_window(scenario, seconds):
    return dataclasses.replace(scenario, window_s=seconds)
