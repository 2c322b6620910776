"""SIGTERM lets what runs finish, takes nothing new, and ends with status 0."""

import select
import signal
import time

import pytest

from harness import wait_until

first_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def assert_refused(rig, gateway):
    def refused():
        try:
            rig.client(gateway).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            return False  # was in the backlog of a listener that closed at that moment

    wait_until(refused, "new connections are refused")


@first_signals
def test_an_idle_gateway_ends(rig, number):
    gateway = rig.gateway(rig.upstream())
    gateway.signal(number)
    assert gateway.wait_exit() == 0


def test_idle_connections_are_closed_and_new_ones_refused(rig):
    client, server = rig.stream()
    gateway = rig.gateways[0]
    idle = rig.client(gateway)
    idle.get("/once")
    other = rig.upstreams[0].accept()
    other.read_request()
    other.respond()
    assert idle.response()[0].status == 200

    gateway.signal(signal.SIGTERM)
    assert idle.wait_closed() == "fin"
    assert not idle.buffer
    assert_refused(rig, gateway)
    assert gateway.admin("/readyz")[0].status == 503
    server.end_chunks()
    assert client.body.rest() == b""
    assert gateway.wait_exit() == 0


def test_a_running_stream_finishes(rig):
    client, server = rig.stream()
    gateway = rig.gateways[0]
    gateway.signal(signal.SIGTERM)
    assert_refused(rig, gateway)
    for i in range(5):
        server.chunk(b"data: %d\n\n" % i)
        assert client.body.event() == b"data: %d\n\n" % i
    server.end_chunks()
    assert client.body.rest() == b""
    assert client.wait_closed() == "fin"
    assert gateway.wait_exit() == 0


def test_a_response_that_starts_while_draining_says_close(rig):
    client, server = rig.exchange()
    gateway = rig.gateways[0]
    gateway.signal(signal.SIGTERM)
    assert_refused(rig, gateway)
    server.respond(b"late")
    head, body = client.response()
    assert (body, head.get("connection")) == (b"late", "close")
    assert client.wait_closed() == "fin"
    assert gateway.wait_exit() == 0


def test_beyond_the_grace_a_stream_is_aborted(rig):
    client, server = rig.stream("--shutdown-grace", "300ms")
    server.chunk(b"data: 1\n\ndata: 2")
    assert client.body.event() == b"data: 1\n\n"
    rig.gateways[0].signal(signal.SIGTERM)
    assert client.body.until_abort() == b""
    server.wait_closed()
    assert rig.gateways[0].wait_exit() == 0


def test_streams_are_not_ended_all_at_once(rig):
    """Their clients come back, and not all in the same moment."""
    upstream = rig.upstream(lambda server, request: server.start_events())
    gateway = rig.gateway(upstream, "--shutdown-grace", "100ms")
    clients = [rig.client(gateway) for _ in range(20)]
    for client in clients:
        client.get()
        client.read_head()
    gateway.signal(signal.SIGTERM)
    ends = []
    waiting = {client.sock: client for client in clients}
    while waiting:
        for sock in select.select(list(waiting), [], [], 10)[0]:
            ends.append(time.monotonic())
            assert waiting.pop(sock).body.until_abort() == b""
    assert ends[-1] - ends[0] > 0.5
    assert gateway.wait_exit() == 0


def test_clients_are_served_during_the_delay(rig):
    """A load balancer needs a while to see that the gateway is not ready."""
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(upstream, "--shutdown-delay", "1h")
    assert gateway.admin("/readyz")[0].status == 200
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: gateway.admin("/readyz")[0].status == 503, "it is not ready")
    for _ in range(2):
        client = rig.client(gateway)
        client.get("/x")
        head, body = client.response()
        # So that few are idle when the drain begins, and may just be sending.
        assert (head.status, body, head.get("connection")) == (200, b"ok", "close")
        assert client.wait_closed() == "fin"
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_the_drain_begins_when_the_delay_is_over(rig):
    client, server = rig.stream("--shutdown-delay", "200ms")
    gateway = rig.gateways[0]
    gateway.signal(signal.SIGTERM)
    assert_refused(rig, gateway)
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    server.end_chunks()
    assert client.body.rest() == b""
    assert gateway.wait_exit() == 0


def test_sighup_is_survived(rig):
    client, server = rig.stream()
    gateway = rig.gateways[0]
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "sluice: reloaded, generation 2: " in gateway.errors(), "it says so")
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    server.end_chunks()
    assert client.body.rest() == b""


@first_signals
def test_a_second_signal_ends_at_once(rig, number):
    client, server = rig.stream("--shutdown-grace", "60s")
    gateway = rig.gateways[0]
    gateway.signal(number)
    assert_refused(rig, gateway)
    started = time.monotonic()
    gateway.signal(number)
    assert gateway.wait_exit() == 0
    assert time.monotonic() - started < 5
    assert client.body.until_abort() == b""
