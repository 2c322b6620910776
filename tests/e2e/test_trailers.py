"""Trailers are dropped in both directions; those that would change the framing are an error."""

import pytest
from harness.wire import Aborted


def test_of_a_response(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\n")
    server.send(b"0\r\nX-Checksum: 1\r\nX-Other: 5\r\n\r\n")
    assert client.body.rest() == b"data: 1\n\n"
    assert client.body.trailers == []
    client.get("/next")
    assert server.read_request().target == "/next"
    server.respond(b"next")
    assert client.response()[1] == b"next"


def test_of_a_request(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                b"4;name=value\r\nbody\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n")
    server = upstream.accept()
    assert server.read_request().content == b"body"
    assert server.body.trailers == []
    server.respond()
    assert client.response()[0].status == 200


def test_that_name_the_framing_are_refused(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\n")
    server.send(b"0\r\nContent-Length: 5\r\n\r\n")
    assert client.body.event() == b"data: 1\n\n"
    with pytest.raises(Aborted):
        client.body.rest()
