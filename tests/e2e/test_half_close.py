"""A FIN alone ends a stream, but not on a route that allows clients to shut down their sending side."""

import threading
import time


def test_an_allowed_half_close_keeps_the_stream(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(None, "--route", f"path=/,upstream={upstream.url},half-close=allow")
    client = rig.client(gateway)
    client.get()
    client.shut_wr()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert client.read_head().status == 200
    for i in range(3):
        server.chunk(b"data: %d\n\n" % i)
        assert client.body.event() == b"data: %d\n\n" % i
    server.assert_silent(0.1)
    server.end_chunks()
    assert client.body.rest() == b""
    assert client.wait_closed() == "fin"


def test_a_reset_ends_it_all_the_same(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(None, "--route", f"path=/,upstream={upstream.url},half-close=allow")
    client = rig.client(gateway)
    client.get()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    client.read_head()
    client.reset()
    server.wait_closed(2.0)


def test_it_may_be_allowed_everywhere(rig):
    client, server = rig.exchange("--half-close", "allow")
    client.shut_wr()
    server.assert_silent(0.1)
    server.respond(b"late")
    assert client.response()[1] == b"late"


def test_an_upload_larger_than_the_window_survives_it(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--half-close", "allow"))
    body = b"a" * 300_000
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
    server = upstream.accept()
    pushing = threading.Thread(target=lambda: (client.send(body), client.shut_wr()))
    pushing.start()
    time.sleep(0.3)  # the FIN arrives while bytes before it are unread
    assert server.read_request().content == body
    server.respond(b"done")
    assert client.response()[1] == b"done"
    pushing.join(10)


def test_requests_before_an_allowed_fin_are_all_answered(rig):
    upstream = rig.upstream(lambda server, request: server.respond(request.target.encode()))
    client = rig.client(rig.gateway(upstream, "--half-close", "allow"))
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    client.shut_wr()
    assert client.response()[1] == b"/1"
    assert client.response()[1] == b"/2"
    assert client.wait_closed() == "fin"
