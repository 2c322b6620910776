"""Upgrades and tunnels are refused cleanly: the request is served without, or not at all."""


def test_connect(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.send(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _ = client.response()
    assert head.status == 501
    assert head.get("connection") == "close"
    client.wait_closed()
    assert not client.buffer  # what followed is no request
    upstream.assert_no_connection(0.1)


def test_websocket(rig):
    """It cannot work without its upgrade, so the client is told."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.get("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    head, _ = client.response()
    assert head.status == 501
    assert head.get("content-type") == "application/problem+json"
    upstream.assert_no_connection(0.1)


def test_an_offer_of_h2c_is_ignored(rig):
    """RFC 9110 section 7.8: a server may ignore Upgrade."""
    upstream = rig.upstream(lambda server, request: server.respond(request.raw))
    client = rig.client(rig.gateway(upstream))
    client.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    body = client.response()[1].lower()
    assert b"h2c" not in body and b"http2-settings" not in body
