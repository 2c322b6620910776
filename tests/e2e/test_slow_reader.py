"""A client that does not read stops its own upstream, costs little memory and hinders nobody."""

import threading
import time

from harness import wait_until
from harness.gateway import sanitized

STALLED = 50
MIB = 1024 * 1024
# Per stream: its credit, the socket buffers of both sides, the peers' own. Not megabytes.
READ_AHEAD_BYTES_MAX = MIB
RESIDENT_GROWTH_BYTES_MAX = 8 * MIB
# Of a stream's bytes in the gateway: the smallest window, and the slot that has crossed its end.
BACKLOG_BYTES_MAX = 32 * 1024
EVENTS_TOTAL = 3000


def event(i):
    return b"id: %d\ndata: %b\n\n" % (i, b"x" * 1000)


class Flood:
    """Serves EVENTS_TOTAL events to each request as fast as the gateway takes them."""

    def __init__(self):
        self.sent = {}  # bytes by target
        self.lock = threading.Lock()

    def __call__(self, server, request):
        server.start_events()
        if request.target == "/prompt":
            return self.echo_clock(server)
        for i in range(EVENTS_TOTAL):
            server.chunk(event(i))
            with self.lock:
                self.sent[request.target] = self.sent.get(request.target, 0) + len(event(i))
        server.end_chunks()

    @staticmethod
    def echo_clock(server):
        for _ in range(100):
            server.chunk(b"data: %d\n\n" % time.monotonic_ns())
            server.chunk(b": " + b"p" * 3000 + b"\n\n")
        server.end_chunks()

    def wait_all_stalled(self, streams):
        seen = []

        def unchanged():
            with self.lock:
                seen.append(dict(self.sent))
            return len(seen) > 50 and len(seen[-1]) == streams and seen[-1] == seen[-50]

        wait_until(unchanged, "every upstream is stopped", 30)


def open_stalled(rig, gateway, target):
    client = rig.client(gateway, rcvbuf=4096)
    client.get(target)
    client.read_head()
    return client


def test_the_upstream_is_stopped_and_nothing_is_lost(rig):
    flood = Flood()
    gateway = rig.gateway(rig.upstream(flood, sndbuf=16 * 1024))
    client = open_stalled(rig, gateway, "/slow")
    flood.wait_all_stalled(1)
    assert flood.sent["/slow"] < READ_AHEAD_BYTES_MAX
    assert gateway.metrics().sum("sluice_backpressure_stalls_total") >= 1
    assert client.body.rest() == b"".join(event(i) for i in range(EVENTS_TOTAL))


def test_fifty_stalled_streams_cost_little_and_hinder_nobody(rig):
    flood = Flood()
    upstream = rig.upstream(flood, sndbuf=16 * 1024)
    gateway = rig.gateway(upstream)
    warm_up = rig.client(gateway)
    warm_up.get("/warm-up")
    warm_up.response()
    flood.sent.clear()
    before = gateway.resident_bytes()

    clients = [open_stalled(rig, gateway, f"/slow/{i}") for i in range(STALLED)]
    flood.wait_all_stalled(STALLED)
    growth = gateway.resident_bytes() - before
    assert growth < RESIDENT_GROWTH_BYTES_MAX * (3 if sanitized() else 1)
    assert max(flood.sent.values()) < READ_AHEAD_BYTES_MAX
    # The first has the connection of the warm-up, whose client was fast.
    assert max(stream["backlog"] for stream in gateway.streams()) < BACKLOG_BYTES_MAX

    neighbour = rig.client(gateway)
    neighbour.get("/prompt")
    neighbour.read_head()
    for _ in range(100):
        sent_ns = int(neighbour.body.event().removeprefix(b"data: "))
        assert time.monotonic_ns() - sent_ns < 1_000_000_000
        neighbour.body.event()

    expected = b"".join(event(i) for i in range(EVENTS_TOTAL))
    for client in clients[:5]:
        assert client.body.rest() == expected


def test_a_slow_upload_is_stopped_too(rig):
    """An upstream that does not read its request stops the client's sending."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--body-timeout", "0"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
    server = upstream.accept()
    server.read_head()
    sent = 0
    client.sock.settimeout(0.5)
    try:
        while sent < 64 * MIB:
            sent += client.sock.send(b"x" * 65536)
    except TimeoutError:
        pass
    assert sent < 16 * MIB  # the peers' own socket buffers are most of it
