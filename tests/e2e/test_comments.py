"""A comment that no blank line follows, as many servers send to keep a stream alive, reaches the
client at once; so does a lone retry line. In the silence after it our heartbeat comes."""

import pytest

HEARTBEAT = b": heartbeat\n\n"
LINES = [b":\n", b": ping\r\n", b": ping\r", b"retry: 3000\n"]


@pytest.mark.parametrize("line", LINES)
def test_arrives_at_once(rig, line):
    """The next one leaves only when it has arrived: nothing waits for what follows."""
    client, server = rig.stream()
    for _ in range(3):
        server.chunk(line)
        assert client.body.read(len(line)) == line
    server.chunk(b"data: 1\n\n" + line)
    assert client.body.read(9 + len(line)) == b"data: 1\n\n" + line


@pytest.mark.parametrize("line", LINES)
def test_the_heartbeat_follows_it(rig, line):
    client, server = rig.stream("--heartbeat", "50ms")
    server.chunk(line)
    received = b""
    while not received.endswith(line + HEARTBEAT):
        assert received.count(HEARTBEAT) < 200, received
        received += client.body.read(1)
    assert received.replace(HEARTBEAT, b"") == line


def test_stays_where_the_upstream_is_lost(rig):
    client, server = rig.stream()
    server.chunk(b": 1\nid: 1\n: 2\n")
    assert client.body.read(4) == b": 1\n"
    server.close()
    assert client.body.until_abort() == b""


def test_inside_an_event_it_waits(rig):
    client, server = rig.stream()
    server.chunk(b": 1\ndata: 1\n: 2\n")
    assert client.body.read(4) == b": 1\n"
    client.assert_silent(0.3)
    server.chunk(b"\n")
    assert client.body.event() == b"data: 1\n: 2\n\n"
