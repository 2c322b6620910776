"""Whole events are delivered before an abort, also when the client has sent bytes that nobody read: closing on them
would make the kernel reset the connection, and our last events with it."""

import pytest
from harness.wire import Aborted


def test_events_before_a_truncation_arrive(rig):
    client, server = rig.stream()
    # Far more than is read ahead, so that the rest stays in the kernel.
    client.send(b"POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"b" * 60_000)
    events = [b"data: %06d %s\n\n" % (i, b"x" * 100) for i in range(2000)]
    for first in range(0, len(events), 100):
        server.chunk(b"".join(events[first:first + 100]))
    server.close()
    for event in events:
        assert client.body.event() == event
    with pytest.raises(Aborted):
        client.body.rest()
    assert client.ended == "fin"
