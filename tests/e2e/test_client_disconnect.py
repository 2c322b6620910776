"""A client that leaves, in any phase and in any way, ends its upstream's request at once."""

import pytest

from harness import blackhole, wait_until

PROMPTLY_S = 2.0
CANCELS = "sluice_upstream_cancels_total"

WAYS = {
    "close": lambda client: client.close(),
    "fin": lambda client: client.shut_wr(),
    "rst": lambda client: client.reset(),
}
every_way = pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS.keys())


def assert_cancelled(rig, server, phase):
    """The upstream sees its connection closed, and the work saved is counted."""
    server.wait_closed(PROMPTLY_S)
    assert not server.buffer
    gateway = rig.gateways[0]
    gateway.wait_metric(CANCELS, 1)
    gateway.wait_idle()
    metrics = gateway.metrics()
    assert metrics.sum(CANCELS) == 1
    assert metrics.sum(CANCELS, phase=phase) == 1


@every_way
def test_while_queued_for_the_upstream(rig, leave):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--upstream-max-connections", "1")
    first = rig.client(gateway)
    first.get("/first")
    server = upstream.accept()
    assert server.read_request().target == "/first"

    second = rig.client(gateway)
    second.get("/second")
    gateway.wait_metric("sluice_active_streams", 2)
    leave(second)
    gateway.wait_metric(CANCELS, 1, PROMPTLY_S, phase="queued")

    server.respond()
    assert first.response()[0].status == 200
    first.get("/third")
    assert server.read_request().target == "/third"  # the second never reached the upstream
    server.respond()
    first.response()


@every_way
def test_while_connecting(rig, leave):
    with blackhole() as port:
        gateway = rig.gateway(None, "--upstream", f"http://127.0.0.1:{port}")
        client = rig.client(gateway)
        client.get()
        gateway.wait_metric("sluice_active_streams", 1)
        leave(client)
        gateway.wait_metric(CANCELS, 1, PROMPTLY_S, phase="connecting")
        gateway.wait_idle()


@every_way
def test_before_the_head(rig, leave):
    client, server = rig.exchange()
    leave(client)
    assert_cancelled(rig, server, "awaiting_head")


@every_way
def test_before_the_first_event(rig, leave):
    client, server = rig.stream()
    leave(client)
    assert_cancelled(rig, server, "first_event")


@every_way
def test_within_an_event(rig, leave):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\ndata: 2")
    assert client.body.event() == b"data: 1\n\n"
    leave(client)
    assert_cancelled(rig, server, "streaming")


@every_way
def test_between_events(rig, leave):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    leave(client)
    assert_cancelled(rig, server, "streaming")


@pytest.mark.parametrize("leave", [WAYS["close"], WAYS["rst"]], ids=["close", "rst"])
def test_while_events_flow_at_full_speed(rig, leave):
    gone = []

    def flood(server, request):
        server.start_events()
        try:
            while True:
                server.chunk(b"data: x\n\n" * 100)
        except OSError as error:
            gone.append(error)
            raise

    gateway = rig.gateway(rig.upstream(flood))
    client = rig.client(gateway)
    client.get()
    client.read_head()
    client.body.read(100_000)
    leave(client)
    gateway.wait_metric(CANCELS, 1, PROMPTLY_S)
    gateway.wait_idle()
    wait_until(lambda: gone, "the upstream sees it", PROMPTLY_S)


@pytest.mark.parametrize("leave", [WAYS["close"], WAYS["rst"]], ids=["close", "rst"])
def test_while_its_reading_is_stalled(rig, leave):
    stalled = []

    def flood(server, request):
        server.sock.settimeout(0.3)
        server.start_events()
        try:
            while True:
                server.send(b"9\r\ndata: x\n\n\r\n" * 1000)
        except TimeoutError:
            stalled.append(server)
        server.wait_closed()

    gateway = rig.gateway(rig.upstream(flood))
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    wait_until(lambda: stalled, "the upstream is stopped")
    leave(client)
    gateway.wait_metric(CANCELS, 1, PROMPTLY_S)
    gateway.wait_idle()


@every_way
def test_within_its_request_body(rig, leave):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this")
    server = upstream.accept()
    assert server.read_head().target == "/"
    assert server.body.read(9) == b"only this"
    leave(client)
    server.wait_closed(PROMPTLY_S)
    gateway.wait_idle()


def test_a_cancelled_upstream_connection_is_not_used_again(rig):
    client, server = rig.stream()
    client.close()
    server.wait_closed(PROMPTLY_S)
    other = rig.client(rig.gateways[0])
    other.get("/other")
    fresh = rig.upstreams[0].accept()
    assert fresh.read_request().target == "/other"
    fresh.respond()
    assert other.response()[1] == b"ok"
