"""Clients behind 64 kbit/s stop their own upstreams, cost little memory here and in the kernel, and
hinder nobody on another path."""

import threading
import time

from harness.gateway import sanitized

SLOW = 3
EVENTS = 1500
KIB = 1024
# Of one stream: SO_SNDBUF and SO_RCVBUF of 64 KiB, which the kernel doubles.
SOCKET_BYTES_MAX = 300 * KIB
# The same, what the gateway and the upstream's socket hold, and what is on the way.
READ_AHEAD_BYTES_MAX = 400 * KIB
RESIDENT_GROWTH_BYTES_MAX = KIB * KIB


def event(target, i):
    return b"id: %d\ndata: %b %b\n\n" % (i, target.encode(), b"x" * 1000)


class Upstream:
    def __init__(self):
        self.go = threading.Event()
        self.sent = {}  # bytes by target

    def __call__(self, server, request):
        server.start_events()
        if request.target == "/prompt":
            self.echo_clock(server)
            return
        self.go.wait(10)
        for i in range(EVENTS):
            text = event(request.target, i)
            server.chunk(text)
            self.sent[request.target] = self.sent.get(request.target, 0) + len(text)
        server.end_chunks()

    @staticmethod
    def echo_clock(server):
        for _ in range(100):
            server.chunk(b"data: %d\n\n" % time.monotonic_ns())
        server.end_chunks()


def test_64_kbit(network):
    upstream = Upstream()
    gateway = network.gateway(network.upstream(upstream, sndbuf=16 * KIB))
    clients = {f"/slow/{i}": network.client(gateway) for i in range(SLOW)}
    for target, client in clients.items():
        client.get(target)
        client.read_head()

    before = gateway.resident_bytes()
    network.client_link.limit("64kbit")
    started = time.monotonic()
    upstream.go.set()

    gateway.wait_metric("sluice_backpressure_stalls_total", SLOW)
    begun = {target: client.body.read(4 * KIB) for target, client in clients.items()}  # 8 KB a second, for all
    assert time.monotonic() - started > 1
    assert sum(upstream.sent.values()) < SLOW * READ_AHEAD_BYTES_MAX
    assert network.middle.socket_bytes() < SLOW * SOCKET_BYTES_MAX
    if not sanitized():  # a sanitizer keeps what was freed, and shadows what is used
        assert gateway.resident_bytes() - before < RESIDENT_GROWTH_BYTES_MAX

    neighbour = network.neighbour(gateway)
    neighbour.get("/prompt")
    neighbour.read_head()
    for _ in range(100):
        sent_ns = int(neighbour.body.event().removeprefix(b"data: "))
        assert time.monotonic_ns() - sent_ns < 1_000_000_000
    assert neighbour.body.rest() == b""

    network.client_link.limit("100mbit")
    for target, client in clients.items():
        received = begun[target] + client.body.rest()
        assert received == b"".join(event(target, i) for i in range(EVENTS))
