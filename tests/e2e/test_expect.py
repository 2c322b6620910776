"""Expect: 100-continue lets a client wait for the upstream's word before it sends a body."""


def expecting(rig, expectation="100-continue"):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: %b\r\n\r\n" % expectation.encode())
    return client, upstream


def test_continue(rig):
    client, upstream = expecting(rig)
    server = upstream.accept()
    head = server.read_head()
    assert head.get("expect") == "100-continue"
    server.send_head(status="100 Continue")
    assert client.read_head().status == 100
    client.send(b"body")
    assert server.body.rest() == b"body"
    server.respond(b"done")
    assert client.response()[1] == b"done"


def test_a_refusal_needs_no_body(rig):
    client, upstream = expecting(rig)
    server = upstream.accept()
    server.read_head()
    server.respond(b"no", "Connection: close", status="403 Forbidden")
    head, body = client.response()
    assert (head.status, body) == (403, b"no")
    # The body was announced and never came: the connection cannot carry another request.
    assert head.get("connection") == "close"
    client.wait_closed()


def test_a_client_may_send_without_waiting(rig):
    client, upstream = expecting(rig)
    client.send(b"body")
    server = upstream.accept()
    server.read_head()
    assert server.body.rest() == b"body"
    server.respond(b"done")
    assert client.response()[1] == b"done"


def test_another_expectation_is_417(rig):
    client, upstream = expecting(rig, "miracle")
    assert client.response()[0].status == 417
    upstream.assert_no_connection(0.1)


def test_an_early_answer_ends_an_upload(rig):
    """The upstream answers before the body is complete: the client gets it, then the close."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome")
    server = upstream.accept()
    server.read_head()
    server.respond(b"enough", "Connection: close", status="413 Content Too Large")
    head, body = client.response()
    assert (head.status, body) == (413, b"enough")
    client.wait_closed()
