"""An upstream that is down or speaks nonsense is a 502, and its bytes go no further."""

import socket

import pytest

from harness import ScriptedUpstream

OK = b"HTTP/1.1 200 OK\r\n"
GARBAGE = {
    "not http": b"hello there\r\n\r\n",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "nothing": b"",
    "head cut": OK + b"Content-Length: 3\r\n",
    "http/0.9 body": b"<html></html>",
    "http/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "bad version": b"HTTP/2.0 200 OK\r\n\r\n",
    "bad status": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "status 99": b"HTTP/1.1 099 Odd\r\n\r\n",
    "status 600": b"HTTP/1.1 600 Odd\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "bad length": OK + b"Content-Length: +3\r\n\r\nabc",
    "huge length": OK + b"Content-Length: 99999999999999999999\r\n\r\nabc",
    "length and chunked": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "folded line": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "space before colon": OK + b"Content-Length : 0\r\n\r\n",
    "nul in a value": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "bare cr": OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "endless head": OK + b"X: " + b"x" * 20_000 + b"\r\n\r\n",
    "endless fields": OK + b"X: 1\r\n" * 200 + b"\r\n",
}


def assert_bad_gateway(client):
    head, body = client.response()
    assert head.status == 502
    assert head.get("content-type") == "application/problem+json"


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage(rig, answer):
    client, server = rig.exchange()
    server.send(answer)
    if answer in (GARBAGE["nothing"], GARBAGE["head cut"]):
        server.shut_wr()
    assert_bad_gateway(client)
    server.wait_closed()


def test_nobody_listens(rig):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = rig.client(rig.gateway(None, "--upstream", f"http://127.0.0.1:{port}"))
    client.get()
    assert_bad_gateway(client)
    client.get()  # a refusal is no reason to drop the client
    assert_bad_gateway(client)


def test_an_upstream_that_comes_back_is_used_again(rig):
    upstream = ScriptedUpstream()
    port = upstream.port
    gateway = rig.gateway(upstream)
    upstream.close()
    client = rig.client(gateway)
    client.get()
    assert_bad_gateway(client)
    with socket.create_server(("127.0.0.1", port)) as listener:
        again = rig.client(gateway)
        again.get()
        listener.settimeout(10)
        server, _ = listener.accept()
        with server:
            server.recv(10_000)
            server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback")
            assert again.response()[1] == b"back"


@pytest.mark.parametrize("chunks", [b"x\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n", b"fffffffffffffffff\r\n", b"1\nx\n"])
def test_bad_chunks_abort_the_stream(rig, chunks):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    server.send(chunks)
    client.body.until_abort()
    server.wait_closed()


def test_more_than_was_announced_is_not_taken_for_an_answer(rig):
    client, server = rig.exchange()
    server.send(OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert client.response()[1] == b"ok"
    server.wait_closed()
