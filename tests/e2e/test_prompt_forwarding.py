"""An event leaves the gateway the moment its blank line has arrived, whole, and not before."""

import pytest

QUIET_S = 0.15


def test_an_event_does_not_wait_for_the_next(rig):
    client, server = rig.stream()
    for i in range(20):
        server.chunk(b"data: %d\n\n" % i)
        assert client.body.chunk() == b"data: %d\n\n" % i


def test_an_event_is_held_until_its_blank_line(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\nid: 2\n")
    assert client.body.chunk() == b"data: 1\n\n"
    client.assert_silent(QUIET_S)
    server.chunk(b"data: 2\n")
    client.assert_silent(QUIET_S)
    server.chunk(b"\n")
    assert client.body.event() == b"id: 2\ndata: 2\n\n"


def test_a_chunk_that_is_not_complete_does_not_hold_its_events(rig):
    client, server = rig.stream()
    server.send(b"100\r\ndata: 1\n\n")
    assert client.body.chunk() == b"data: 1\n\n"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r"])
def test_an_event_may_end_with_any_line_end(rig, end):
    # A CR at the end of what has arrived ends the line at once: no waiting for a LF.
    client, server = rig.stream()
    server.chunk(b"data: 1" + end)
    assert client.body.read(7 + len(end)) == b"data: 1" + end


def test_events_that_arrived_together_leave_together(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4")
    assert client.body.chunk() == b"data: 1\n\ndata: 2\n\ndata: 3\n\n"


def test_a_comment_is_forwarded_like_an_event(rig):
    client, server = rig.stream()
    server.chunk(b": still here\n\n")
    assert client.body.chunk() == b": still here\n\n"


def test_other_bodies_are_not_held(rig):
    client, server = rig.exchange()
    server.send_head("Content-Type: text/plain", "Transfer-Encoding: chunked")
    client.read_head()
    server.chunk(b"data: 1")
    assert client.body.chunk() == b"data: 1"
