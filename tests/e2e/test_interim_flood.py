"""Interim responses reach the clients that know them; an endless run of them is an upstream's
failure that costs no memory."""

import time

from harness import wait_until
from harness.gateway import sanitized

MIB = 1024 * 1024
INTERIM_MAX = 16
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </" + b"x" * 4000 + b">; rel=preload\r\n\r\n"
FLOOD = 10_000  # 40 MB


def test_they_pass_in_order(rig):
    client, server = rig.exchange()
    for i in range(3):
        server.send_head(f"X-Number: {i}", status="103 Early Hints")
    server.respond(b"at last")
    for i in range(3):
        head = client.read_head()
        assert (head.status, head.get("x-number")) == (103, str(i))
    head, body = client.response()
    assert (head.status, body) == (200, b"at last")


def test_http10_knows_none(rig):
    client, server = rig.exchange(version="1.0")
    for _ in range(3):
        server.send_head(status="103 Early Hints")
    server.respond(b"at last")
    head, body = client.response()
    assert (head.status, body) == (200, b"at last")


class Flood:
    """Serves interim responses without end to /flood."""

    def __init__(self):
        self.sent = 0
        self.seen = []

    def __call__(self, server, request):
        if request.target != "/flood":
            return server.respond()
        while self.sent < FLOOD:
            server.send(HINT)
            self.sent += 1

    def stopped(self):
        self.seen.append(self.sent)
        return len(self.seen) > 100 and self.seen[-1] == self.seen[-100] > 0


def test_a_flood_is_stopped_and_ends_in_502(rig):
    flood = Flood()
    gateway = rig.gateway(rig.upstream(flood, sndbuf=16 * 1024))
    neighbour = rig.client(gateway)
    neighbour.get("/warm-up")
    neighbour.response()
    before = gateway.resident_bytes()

    client = rig.client(gateway, rcvbuf=4096)
    client.get("/flood")
    wait_until(flood.stopped, "the flood is stopped")
    assert flood.sent < FLOOD / 10
    growth = gateway.resident_bytes() - before
    assert growth < 8 * MIB * (3 if sanitized() else 1)

    started = time.monotonic()
    neighbour.get("/neighbour")
    assert neighbour.response()[1] == b"ok"
    assert time.monotonic() - started < 1

    statuses = [client.read_head().status]
    while statuses[-1] < 200:
        statuses.append(client.read_head().status)
        assert len(statuses) <= INTERIM_MAX + 1
    assert statuses[-1] == 502
    gateway.wait_metric("sluice_closes_total", 1, side="upstream", reason="upstream_bad_response")


def test_sixteen_are_no_flood(rig):
    client, server = rig.exchange()
    server.send(HINT * INTERIM_MAX)
    server.respond(b"at last")
    for _ in range(INTERIM_MAX):
        assert client.read_head().status == 103
    assert client.response()[1] == b"at last"
