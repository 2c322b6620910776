"""HTTP/1.0 clients get no chunks and no keep-alive that they did not ask for."""

import pytest


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
def test_a_stream_is_delimited_by_close(rig, framing):
    client, server = rig.exchange(version="1.0")
    server.send_head("Content-Type: text/event-stream", framing)
    head = client.read_head()
    assert "transfer-encoding" not in head
    assert head.get("connection") == "close"
    assert client.body.framing == "close"
    for i in range(3):
        event = b"data: %d\n\n" % i
        server.chunk(event) if "chunked" in framing else server.send(event)
        assert client.body.event() == event
    if "chunked" in framing:
        server.end_chunks()
    server.close()
    assert client.body.rest() == b""
    assert client.ended == "fin"


def test_a_content_length_is_kept(rig):
    client, server = rig.exchange(version="1.0")
    server.respond(b"hello")
    head, body = client.response()
    assert (head.get("content-length"), body) == ("5", b"hello")
    assert client.wait_closed() == "fin"


def test_heartbeats_are_plain_bytes(rig):
    client, server = rig.exchange("--heartbeat", "50ms", version="1.0")
    server.start_events()
    client.read_head()
    assert client.body.event() == b": heartbeat\n\n"


def test_the_host_field_may_be_missing(rig):
    upstream = rig.upstream(lambda server, request: server.respond(request.get("host", "").encode()))
    client = rig.client(rig.gateway(upstream))
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    head, body = client.response()
    assert head.status == 200
    assert body == upstream.url.removeprefix("http://").encode()  # 1.1 onwards: there must be one


def test_an_http_1_0_upstream(rig):
    client, server = rig.exchange()
    server.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
    assert client.read_head().version == "1.1"
    assert client.body.event() == b"data: 1\n\n"
    server.close()
    assert client.body.rest() == b""
