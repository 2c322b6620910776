"""Bodies of 10 MiB pass in both directions, byte for byte, whatever their framing."""

import random
import threading

import pytest

from harness.wire import chunked

BODY = random.Random(1).randbytes(10 * 1024 * 1024)
framings = pytest.mark.parametrize("framing", ["length", "chunked"])


def pieces():
    chance = random.Random(2)
    at = 0
    while at < len(BODY):
        size = chance.choice((1, 100, 4096, 65_536, 300_000))
        yield BODY[at:at + size]
        at += size


def framed(framing):
    """The field and the bytes that carry BODY."""
    if framing == "length":
        return f"Content-Length: {len(BODY)}", BODY
    return "Transfer-Encoding: chunked", chunked(*pieces())


@framings
def test_download(rig, framing):
    field, data = framed(framing)

    def answer(server, request):
        server.send_head("Content-Type: application/octet-stream", field)
        server.send(data)

    client = rig.client(rig.gateway(rig.upstream(answer)))
    client.get("/big")
    assert client.response()[1] == BODY
    client.get("/again")
    assert client.response()[1] == BODY


@framings
def test_upload(rig, framing):
    field, data = framed(framing)
    upstream = rig.upstream(lambda server, request: server.respond(b"%d" % len(request.content)))
    client = rig.client(rig.gateway(upstream))
    client.request("POST", "/big", field)
    client.send(data)
    assert client.response()[1] == b"%d" % len(BODY)
    assert upstream.requests[0].content == BODY
    assert field.split(":")[0] in upstream.requests[0]


@framings
def test_both_at_once(rig, framing):
    """The upstream answers with each byte as it comes: neither direction waits for the other."""
    field, data = framed(framing)
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.request("POST", "/echo", field)
    server = upstream.accept()
    server.read_head()
    server.send_head("Content-Type: application/octet-stream", field)

    def echo():
        while (piece := server.body.chunk()) is not None:
            server.chunk(piece) if framing == "chunked" else server.send(piece)
        if framing == "chunked":
            server.end_chunks()

    threads = [threading.Thread(target=echo, daemon=True),
               threading.Thread(target=client.send, args=(data,), daemon=True)]
    for thread in threads:
        thread.start()
    assert client.response()[1] == BODY
    for thread in threads:
        thread.join()


def test_a_body_beyond_the_limit_is_413(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--max-body-size", "1k")
    client = rig.client(gateway)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n")
    head, _ = client.response()
    assert (head.status, head.get("connection")) == (413, "close")
    client.wait_closed()
    upstream.assert_no_connection(0.1)


def test_a_chunked_body_beyond_the_limit_is_413(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--max-body-size", "1k"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * 1024 + b"\r\n")
    server = upstream.accept()
    server.read_head()
    client.send(b"1\r\nx\r\n")
    head, _ = client.response()
    assert (head.status, head.get("connection")) == (413, "close")
    server.wait_closed()
    assert not server.buffer.endswith(b"0\r\n\r\n")  # never a complete request


def test_a_body_of_just_the_limit_passes(rig):
    upstream = rig.upstream(lambda server, request: server.respond(request.content))
    client = rig.client(rig.gateway(upstream, "--max-body-size", "1k"))
    client.request("POST", "/", body=b"x" * 1024)
    assert client.response()[1] == b"x" * 1024
