"""One client connection carries many requests, one after the other or pipelined."""


def echo_target(server, request):
    server.respond(request.target.encode())


def test_requests_one_after_the_other(rig):
    client = rig.client(rig.gateway(rig.upstream(echo_target)))
    for i in range(10):
        client.get(f"/{i}")
        head, body = client.response()
        assert body == b"/%d" % i
        assert head.get("connection", "keep-alive") == "keep-alive"


def test_pipelined_requests_are_answered_in_order(rig):
    client = rig.client(rig.gateway(rig.upstream(echo_target)))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(3)))
    assert [client.response()[1] for _ in range(3)] == [b"/0", b"/1", b"/2"]


def test_pipelined_requests_of_every_kind(rig):
    def answer(server, request):
        if request.target == "/stream":
            server.start_events()
            server.chunk(b"data: 1\n\n")
            server.chunk(b"data: 2\n\n")
            server.end_chunks()
        else:
            server.respond(request.content or b"none")

    client = rig.client(rig.gateway(rig.upstream(answer)))
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
                b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
                b"HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n"
                b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
                b"\r\nGET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response()[1] == b"data: 1\n\ndata: 2\n\n"
    assert client.response()[1] == b"one"
    assert client.response(to_head=True)[1] == b""
    assert client.response()[1] == b"two"
    assert client.response()[1] == b"data: 1\n\ndata: 2\n\n"


def test_many_pipelined_requests(rig):
    client = rig.client(rig.gateway(rig.upstream(echo_target)))
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(500))
    client.send(requests)
    for i in range(500):
        assert client.response()[1] == b"/%d" % i


def test_the_next_request_may_come_before_the_stream_ends(rig):
    client, server = rig.stream()
    client.get("/next")
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    server.end_chunks()
    assert client.body.rest() == b""
    assert server.read_request().target == "/next"
    server.respond(b"next")
    assert client.response()[1] == b"next"


def test_connection_close_is_honoured(rig):
    client = rig.client(rig.gateway(rig.upstream(echo_target)))
    client.get("/last", "Connection: close")
    head, body = client.response()
    assert body == b"/last"
    assert head.get("connection") == "close"
    assert client.wait_closed() == "fin"


def test_the_last_request_may_come_with_the_fin(rig):
    """A client that closes is gone: a request that it no longer waits for is not served."""
    gateway = rig.gateway(rig.upstream(echo_target))
    client = rig.client(gateway)
    client.get("/1")
    client.response()
    client.shut_wr()
    assert client.wait_closed() == "fin"
