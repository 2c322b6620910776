"""What is not one clear HTTP/1.1 request is refused, counted by reason, and goes no further."""

import json

import pytest

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
LONG = b"x" * 20_000

CASES = {
    "tls hello": (400, "not_http", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600),
    "binary": (400, "bad_syntax", bytes(range(128, 256))),
    "no version": (400, "bad_syntax", b"GET /\r\n\r\n"),
    "no target": (400, "bad_syntax", b"GET HTTP/1.1\r\n" + HOST + b"\r\n"),
    "space in target": (400, "bad_syntax", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
    "nul in target": (400, "bad_syntax", b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bad method": (400, "bad_syntax", b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "long method": (400, "method_too_long", b"M" * 65 + b" / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "endless method": (400, "method_too_long", b"M" + LONG),
    "http/2.0": (505, "bad_version", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    "http/0.9": (505, "bad_version", b"GET / HTTP/0.9\r\n" + HOST + b"\r\n"),
    "no host": (400, "bad_host", GET + b"\r\n"),
    "two hosts": (400, "bad_host", GET + HOST + b"Host: b\r\n\r\n"),
    "bad host": (400, "bad_host", GET + b"Host: a/b\r\n\r\n"),
    "bare lf": (400, "bad_syntax", b"GET / HTTP/1.1\nHost: a\n\n"),
    "bare cr": (400, "bad_field", GET + HOST + b"X: a\rb\r\n\r\n"),
    "nul in value": (400, "bad_field", GET + HOST + b"X: a\0b\r\n\r\n"),
    "folded line": (400, "bad_field", GET + HOST + b"X: a\r\n b\r\n\r\n"),
    "space before colon": (400, "bad_field", GET + HOST + b"X : a\r\n\r\n"),
    "space before first field": (400, "bad_field", GET + b" " + HOST + b"\r\n"),
    "no colon": (400, "bad_field", GET + HOST + b"X\r\n\r\n"),
    "empty name": (400, "bad_field", GET + HOST + b": a\r\n\r\n"),
    "length and chunked": (400, "bad_framing", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, "bad_framing", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "listed lengths": (400, "bad_framing", POST + b"Content-Length: 3, 4\r\n\r\nabcd"),
    "signed length": (400, "bad_framing", POST + b"Content-Length: +3\r\n\r\nabc"),
    "negative length": (400, "bad_framing", POST + b"Content-Length: -1\r\n\r\n"),
    "hex length": (400, "bad_framing", POST + b"Content-Length: 0x3\r\n\r\nabc"),
    "empty length": (400, "bad_framing", POST + b"Content-Length: \r\n\r\n"),
    "huge length": (400, "bad_framing", POST + b"Content-Length: 18446744073709551616\r\n\r\n"),
    "chunked not last": (400, "bad_framing", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, "bad_framing", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "chunked in 1.0": (400, "bad_framing", b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "unknown coding": (501, "unknown_coding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "long target": (414, "target_too_long", b"GET /" + LONG + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "endless target": (414, "target_too_long", b"GET /" + LONG),
    "long field": (431, "head_too_large", GET + HOST + b"X: " + LONG + b"\r\n\r\n"),
    "endless field": (431, "head_too_large", GET + HOST + b"X: " + LONG),
    "many fields": (431, "head_too_large", GET + HOST + b"X: 1\r\n" * 128 + b"\r\n"),
}
BAD_CHUNKS = {
    "no size": b"\r\nx\r\n",
    "not hex": b"g\r\nx\r\n",
    "signed size": b"-1\r\nx\r\n",
    "prefixed size": b"0x1\r\nx\r\n",
    "space before size": b" 1\r\nx\r\n",
    "overflowing size": b"10000000000000000\r\nx\r\n",
    "no crlf after data": b"1\r\nxx\r\n",
    "bare lf": b"1\nx\n",
    "no extension": b"1;\r\nx\r\n",
    "blank after size": b"1 \r\nx\r\n",
    "endless extension": b"1;" + LONG,
}


BAD_ENDS = {
    "bare lf": b"0\r\n\n",
    "bare lf after a trailer": b"0\r\nA: b\r\n\n",
    "folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer without a name": b"0\r\n: b\r\n\r\n",
    "length in a trailer": b"0\r\nContent-Length: 1\r\n\r\n",
    "coding in a trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "many trailers": b"0\r\n" + b"A: b\r\n" * 129 + b"\r\n",
    "long trailer": b"0\r\nA: " + LONG + b"\r\n\r\n",
}


def assert_refused(client, status):
    head, body = client.response()
    assert head.status == status
    assert head.get("content-type") == "application/problem+json"
    assert head.get("connection") == "close"
    assert json.loads(body)["status"] == status
    client.wait_closed()


@pytest.mark.parametrize("status,reason,request_bytes", CASES.values(), ids=CASES.keys())
def test_refused(rig, status, reason, request_bytes):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    client.send(request_bytes)
    assert_refused(client, status)
    gateway.wait_metric("sluice_bad_requests_total", 1, reason=reason)
    assert gateway.metrics().sum("sluice_bad_requests_total") == 1
    upstream.assert_no_connection(0.02)


@pytest.mark.parametrize("name", ["tls hello", "no host", "length and chunked", "many fields"])
def test_refused_byte_by_byte(rig, name):
    status, _, request_bytes = CASES[name]
    client = rig.client(rig.gateway(rig.upstream()))
    try:
        for at in range(len(request_bytes)):
            client.send(request_bytes[at:at + 1])
    except ConnectionError:
        pass  # refused before the last byte
    assert client.read_head().status == status


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_bad_chunk_never_completes_the_request(rig, chunks):
    assert_never_completed(rig, chunks + b"0\r\n\r\n")


@pytest.mark.parametrize("end", BAD_ENDS.values(), ids=BAD_ENDS.keys())
def test_a_bad_end_never_completes_the_request(rig, end):
    assert_never_completed(rig, end)


def assert_never_completed(rig, chunks):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n")
    server = upstream.accept()
    server.read_head()
    assert server.body.read(4) == b"good"
    client.send(chunks)
    assert_refused(client, 400)
    server.wait_closed()
    assert not server.buffer.endswith(b"0\r\n\r\n")
    gateway.wait_metric("sluice_bad_requests_total", 1, reason="bad_chunk")


def test_a_refused_head_request_gets_no_body(rig):
    client = rig.client(rig.gateway(rig.upstream()))
    client.send(b"HEAD / HTTP/1.1\r\n" + HOST + HOST + b"\r\n")
    assert client.read_head(to_head=True).status == 400
    client.wait_closed()
    assert not client.buffer


def test_a_good_request_before_a_bad_one_is_answered(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"good"))
    client = rig.client(rig.gateway(upstream))
    client.send(GET + HOST + b"\r\n" + b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert client.response()[1] == b"good"
    assert_refused(client, 400)


def test_what_follows_a_refused_request_is_not_served(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(CASES["length and chunked"][2] + GET + HOST + b"\r\n")
    assert_refused(client, 400)
    upstream.assert_no_connection(0.1)


def test_a_refusal_survives_what_the_client_still_sends(rig):
    """Unread input would turn our close into a reset, which may destroy the answer on its way."""
    client = rig.client(rig.gateway(rig.upstream()))
    client.send(CASES["bad host"][2] + b"x" * 100_000)
    assert_refused(client, 400)
