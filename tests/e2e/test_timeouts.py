"""Each time-out ends what it guards, in its own way, and no other."""

import pytest

from harness import blackhole


def assert_problem(client, status):
    head, body = client.response()
    assert head.status == status
    assert head.get("content-type") == "application/problem+json"
    assert b'"status":%d' % status in body.replace(b" ", b"")
    if status == 408:
        assert head.get("connection") == "close"
        client.wait_closed()


@pytest.mark.parametrize("sent", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_does_not_end(rig, sent):
    client = rig.client(rig.gateway(rig.upstream(), "--header-timeout", "200ms"))
    client.send(sent)
    assert_problem(client, 408)


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_go_on(rig, framing):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--body-timeout", "200ms"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing)
    server = upstream.accept()
    server.read_head()
    assert_problem(client, 408)
    server.wait_closed()


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 0\r\n",
                                          b"POST / HTTP/1.1\r\nContent-Length: 1\r\n"])
def test_a_request_that_waits_for_its_turn_is_not_late(rig, request_line):
    """Its time begins with its turn, however long the answer before it takes."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--body-timeout", "300ms"))
    body = b"x" if b": 1" in request_line else b""
    client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + request_line + b"Host: a\r\n\r\n" + body)
    server = upstream.accept()
    server.read_request()
    client.assert_silent(0.6)
    server.respond(b"slow")
    assert client.response()[1] == b"slow"
    assert server.read_request().content == body
    server.respond(b"next")
    assert client.response()[1] == b"next"


def test_a_connection_that_does_not_open(rig):
    with blackhole() as port:
        gateway = rig.gateway(None, "--upstream", f"http://127.0.0.1:{port}", "--connect-timeout", "200ms")
        client = rig.client(gateway)
        client.get()
        assert_problem(client, 504)


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_an_upstream_that_does_not_answer(rig, answered):
    client, server = rig.exchange("--first-byte-timeout", "200ms")
    if answered:
        server.send(answered)
    assert_problem(client, 504)
    server.wait_closed()


def test_a_stream_that_falls_silent(rig):
    client, server = rig.stream("--stream-idle-timeout", "200ms", "--heartbeat", "0")
    server.chunk(b"data: 1\n\n")
    assert client.body.until_abort() == b"data: 1\n\n"
    server.wait_closed()


def test_our_own_heartbeats_do_not_keep_a_stream_alive(rig):
    client, server = rig.stream("--stream-idle-timeout", "300ms", "--heartbeat", "50ms")
    assert set(client.body.until_abort().split(b"\n\n")) == {b": heartbeat", b""}


def test_the_upstreams_bytes_do(rig):
    client, server = rig.stream("--stream-idle-timeout", "1500ms", "--heartbeat", "100ms")
    for _ in range(8):  # 8 x 3 heartbeats: well beyond the time-out
        assert [client.body.event() for _ in range(3)] == [b": heartbeat\n\n"] * 3
        server.chunk(b"data: 1\n\n")
        while client.body.event() != b"data: 1\n\n":
            pass


def test_a_client_connection_that_stays_idle(rig):
    upstream = rig.upstream(lambda server, request: server.respond())
    client = rig.client(rig.gateway(upstream, "--keepalive-timeout", "200ms"))
    client.get()
    assert client.response()[0].status == 200
    assert client.wait_closed() == "fin"
    assert not client.buffer


def test_an_upstream_connection_that_stays_idle(rig):
    client, server = rig.exchange("--upstream-keepalive-timeout", "200ms")
    server.respond()
    client.response()
    server.wait_closed()
