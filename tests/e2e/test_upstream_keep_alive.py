"""Upstream connections are used again, and one that died meanwhile is replaced once, unnoticed."""

import signal

import pytest

from harness.wire import wait_until

REQUESTS = {
    "get": lambda client: client.get("/again"),
    "small-put": lambda client: client.request("PUT", "/again", body=b"small body"),
}


def reused(rig, *flags):
    """A client whose first request has been answered, and the kept upstream connection."""
    client, server = rig.exchange(*flags)
    server.respond()
    client.response()
    return client, server


def test_a_connection_is_used_again(rig):
    client, server = reused(rig)
    for i in range(5):
        client.get(f"/{i}")
        assert server.read_request().target == f"/{i}"
        server.respond(b"%d" % i)
        assert client.response()[1] == b"%d" % i
    other = rig.client(rig.gateways[0])
    other.get("/other")
    assert server.read_request().target == "/other"
    server.start_events()
    server.end_chunks()
    assert other.response()[1] == b""


@pytest.mark.parametrize("fields", [("Connection: close",), ("Connection: Close, x",)])
def test_the_upstreams_connection_close_is_honoured(rig, fields):
    client, server = rig.exchange()
    server.respond(b"ok", *fields)
    assert client.response()[1] == b"ok"
    server.wait_closed()


def test_it_may_be_turned_off(rig):
    client, server = reused(rig, "--upstream-keepalive", "0")
    server.wait_closed()


@pytest.mark.parametrize("send", REQUESTS.values(), ids=REQUESTS.keys())
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_stale_connection_is_replaced(rig, send, end):
    client, server = reused(rig)
    send(client)
    assert server.read_request().target == "/again"
    getattr(server, end)()  # no byte of an answer: it died while it was idle, as far as one can tell
    fresh = rig.upstreams[0].accept()
    request = fresh.read_request()
    assert request.target == "/again"
    assert request.content in (b"", b"small body")
    fresh.respond(b"fresh")
    assert client.response()[1] == b"fresh"


def test_a_connection_that_closes_while_idle_is_forgotten(rig):
    client, server = reused(rig)
    server.close()
    client.get("/again")
    fresh = rig.upstreams[0].accept()
    assert fresh.read_request().target == "/again"
    fresh.respond(b"fresh")
    assert client.response()[1] == b"fresh"


@pytest.mark.parametrize("method", ["POST", "PATCH", "UNKNOWN"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_what_may_have_been_executed_is_not_sent_again(rig, method, end):
    client, server = reused(rig, "--access-log", "-")
    client.request(method, "/again", body=b"buy one")
    assert server.read_request().content == b"buy one"
    getattr(server, end)()
    assert client.response()[0].status == 502
    rig.upstreams[0].assert_no_connection(0.2)
    gateway = rig.gateways[0]
    wait_until(lambda: "(not_idempotent)" in gateway.errors(), "a warning with the reason")
    wait_until(lambda: any("reason=not_idempotent" in line for line in gateway.stdout), "the log's line")


def test_unless_its_route_says_so(rig):
    client, server = reused(rig, "--retry-non-idempotent", "on")
    client.request("POST", "/again", body=b"buy one")
    assert server.read_request().content == b"buy one"
    server.close()
    fresh = rig.upstreams[0].accept()
    assert fresh.read_request().content == b"buy one"
    fresh.respond(b"bought")
    assert client.response()[1] == b"bought"


def test_a_post_never_goes_to_a_connection_that_has_ended(rig):
    """However close its end and the request come together: what has ended is not chosen."""
    client, server = reused(rig)
    gateway = rig.gateways[0]
    for _ in range(20):
        gateway.signal(signal.SIGSTOP)  # it sees both at once
        server.close()
        client.request("POST", "/again", body=b"x")
        gateway.signal(signal.SIGCONT)
        server = rig.upstreams[0].accept()
        assert server.read_request().content == b"x"
        server.respond(b"ok")
        assert client.response()[1] == b"ok"


def test_it_is_replaced_only_once(rig):
    client, server = reused(rig)
    client.request("PUT", "/again", body=b"x")
    server.read_request()
    server.close()
    fresh = rig.upstreams[0].accept()
    fresh.read_request()
    fresh.close()
    assert client.response()[0].status == 502
    rig.upstreams[0].assert_no_connection(0.1)


def test_not_after_a_byte_of_the_answer(rig):
    client, server = reused(rig)
    client.get("/again")
    server.read_request()
    server.send(b"HTTP/1.1 200")
    server.close()
    assert client.response()[0].status == 502
    rig.upstreams[0].assert_no_connection(0.1)


def test_a_post_on_a_fresh_connection_is_never_repeated(rig):
    client, server = rig.exchange(request=("POST", "/once"), body=b"x")
    server.close()
    assert client.response()[0].status == 502
    rig.upstreams[0].assert_no_connection(0.1)


def test_bytes_that_nobody_asked_for_end_a_kept_connection(rig):
    client, server = reused(rig)
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    server.wait_closed()
    client.get("/again")
    fresh = rig.upstreams[0].accept()
    fresh.read_request()
    fresh.respond(b"good")
    assert client.response()[1] == b"good"


def test_a_queued_request_gets_the_connection_when_it_is_free(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--upstream-max-connections", "1")
    clients = [rig.client(gateway) for _ in range(3)]
    for client in clients:
        client.get("/queued")
    server = upstream.accept()
    for _ in clients:
        server.read_request()
        server.respond(b"served")
    assert [client.response()[1] for client in clients] == [b"served"] * 3
