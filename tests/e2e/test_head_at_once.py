"""The client learns that its stream is open before there is an event to send."""


def test_the_head_does_not_wait_for_an_event(rig):
    client, server = rig.exchange()
    server.start_events("Cache-Control: no-cache", "X-Own: 1")
    head = client.read_head()
    assert head.status == 200
    assert head.get("content-type") == "text/event-stream"
    assert head.get("cache-control") == "no-cache"
    assert head.get("x-own") == "1"
    assert head.get("x-accel-buffering") == "no"
    assert client.body.framing == "chunked"
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"


def test_the_head_names_no_length(rig):
    """Heartbeats may come in between."""
    client, server = rig.exchange()
    server.send_head("Content-Type: text/event-stream", "Content-Length: 9")
    assert "content-length" not in client.read_head()
    server.send(b"data: 1\n\n")
    assert client.body.rest() == b"data: 1\n\n"


def test_an_upstreams_own_x_accel_buffering_is_left(rig):
    client, server = rig.exchange()
    server.start_events("X-Accel-Buffering: yes")
    assert client.read_head().all("x-accel-buffering") == ["yes"]


def test_head_and_first_event_that_arrive_together_leave_together(rig):
    client, server = rig.exchange()
    server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"9\r\ndata: 1\n\n\r\n")
    assert client.fill()
    assert b"data: 1\n\n" in client.buffer  # one segment carried both
