"""What is valid HTTP/1.1 passes in both directions, however unusual: methods, versions, blanks, extensions."""

import pytest

HOST = b"Host: a\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BLANKS = [b" 5", b"5", b"  5 \t", b"\t5", b"5\t"]
BODIES = {
    "extensions": b'2;a=b;c=d\r\nhe\r\n3 ; a\t= "q\\"r"\r\nllo\r\n0;last\r\n\r\n',
    "zeros": b"00000000005\r\nhello\r\n000\r\n\r\n",
    "trailers": b"5\r\nhello\r\n0\r\nA: b\r\nB:\r\n\r\n",
}


def assert_in_step(client, server):
    """The next exchange on both connections is not disturbed."""
    client.get("/next")
    assert server.read_request().target == "/next"
    server.respond(b"next")
    assert client.response()[1] == b"next"


@pytest.mark.parametrize("method", ["QUERY", "LIST", "PURGE", "M-SEARCH", "get", "head", "!#$%&'*+-.^_`|~", "M" * 64])
def test_any_token_is_a_method(rig, method):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.request(method, "/x")
    server = upstream.accept()
    request = server.read_request()
    assert (request.method, request.target) == (method, "/x")
    server.respond(b"hello")
    assert client.response()[1] == b"hello"
    assert_in_step(client, server)


@pytest.mark.parametrize("minor", [b"2", b"9"])
def test_later_versions_are_taken_for_1_1(rig, minor):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST /x HTTP/1." + minor + b"\r\n" + HOST + CHUNKED + BODIES["zeros"])
    server = upstream.accept()
    request = server.read_request()
    assert (request.version, request.content) == ("1.1", b"hello")
    server.send(b"HTTP/1." + minor + b" 200 OK\r\n" + CHUNKED + BODIES["zeros"])
    head, body = client.response()
    assert (head.version, body) == ("1.1", b"hello")
    assert_in_step(client, server)


@pytest.mark.parametrize("value", BLANKS)
def test_blanks_around_a_length(rig, value):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length:" + value + b"\r\n\r\nhello")
    server = upstream.accept()
    request = server.read_request()
    assert (request.get("content-length"), request.content) == ("5", b"hello")
    server.send(OK + b"Content-Length:" + value + b"\r\n\r\nhello")
    head, body = client.response()
    assert (head.get("content-length"), body) == ("5", b"hello")
    assert_in_step(client, server)


@pytest.mark.parametrize("chunks", BODIES.values(), ids=BODIES.keys())
def test_chunks(rig, chunks):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST /x HTTP/1.1\r\n" + HOST + CHUNKED + chunks)
    server = upstream.accept()
    assert server.read_request().content == b"hello"
    server.send(OK + CHUNKED + chunks)
    assert client.response()[1] == b"hello"
    assert_in_step(client, server)
