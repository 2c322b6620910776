"""Responses without a body (HEAD, 204, 304) and interim ones (1xx) keep the connection in step."""

import pytest


def assert_in_step(client, server):
    """The next exchange on both connections is not disturbed."""
    client.get("/next")
    assert server.read_request().target == "/next"
    server.respond(b"next")
    assert client.response()[1] == b"next"


@pytest.mark.parametrize("fields", [
    ("Content-Length: 1000",),
    ("Content-Type: text/event-stream", "Transfer-Encoding: chunked"),
    ("Content-Type: text/plain",),
])
def test_head(rig, fields):
    client, server = rig.exchange("--heartbeat", "50ms", request=("HEAD", "/x"))
    server.send_head(*fields)
    head = client.read_head(to_head=True)
    assert head.status == 200
    if "Content-Length: 1000" in fields:
        assert head.get("content-length") == "1000"
    assert_in_step(client, server)


def test_204(rig):
    client, server = rig.exchange()
    server.send_head(status="204 No Content")
    head = client.read_head()
    assert head.status == 204
    assert "content-length" not in head and "transfer-encoding" not in head
    assert_in_step(client, server)


@pytest.mark.parametrize("fields", [(), ("Content-Length: 1000",), ("Transfer-Encoding: chunked",)])
def test_304(rig, fields):
    client, server = rig.exchange()
    server.send_head('ETag: "x"', *fields, status="304 Not Modified")
    head = client.read_head()
    assert (head.status, head.get("etag")) == (304, '"x"')
    assert_in_step(client, server)


def test_an_empty_body(rig):
    client, server = rig.exchange()
    server.respond(b"")
    assert client.response()[1] == b""
    assert_in_step(client, server)


def test_interim_responses_are_forwarded(rig):
    client, server = rig.exchange()
    server.send_head("Link: </style.css>; rel=preload", "Connection: x-hop", "X-Hop: 1", status="103 Early Hints")
    head = client.read_head()
    assert (head.status, head.get("link")) == (103, "</style.css>; rel=preload")
    assert "x-hop" not in head
    server.send_head(status="102 Processing")
    assert client.read_head().status == 102
    server.respond(b"final")
    assert client.response()[1] == b"final"
    assert_in_step(client, server)


def test_interim_responses_are_not_forwarded_to_http_1_0(rig):
    client, server = rig.exchange(version="1.0")
    server.send_head(status="103 Early Hints")
    server.respond(b"final")
    head, body = client.response()
    assert (head.status, body) == (200, b"final")


def test_an_unasked_101_is_a_bad_gateway(rig):
    client, server = rig.exchange()
    server.send_head("Upgrade: x", "Connection: upgrade", status="101 Switching Protocols")
    assert client.response()[0].status == 502
    server.wait_closed()
