"""A byte order mark counts only at the very start of a stream. Behind a heartbeat it would be
content, so it is left out there; everywhere else it passes as it is."""

import pytest

from harness import wait_until

BOM = b"\xef\xbb\xbf"
EVENT = b"data: 1\n\n"
HEARTBEAT = b": heartbeat\n\n"


def bytes_of(data):
    return [data[i:i + 1] for i in range(len(data))]


CASES = {  # what the upstream sends, and what of it the client gets after the heartbeat
    "whole": ([BOM + EVENT], EVENT),
    "alone": ([BOM, EVENT], EVENT),
    "byte by byte": (bytes_of(BOM + EVENT), EVENT),
    "in two": ([BOM[:2], BOM[2:] + EVENT], EVENT),
    "only the first": ([BOM + BOM + EVENT], BOM + EVENT),
    "not at the start": ([EVENT + BOM + EVENT], EVENT + BOM + EVENT),
    "something else": ([BOM[:2] + EVENT], BOM[:2] + EVENT),
    "something else after one byte": ([BOM[:1], EVENT], BOM[:1] + EVENT),
    "something else, byte by byte": (bytes_of(BOM[:2] + EVENT), BOM[:2] + EVENT),
    "almost twice": ([BOM[:2] + BOM + EVENT], BOM[:2] + BOM + EVENT),
    "cut short": ([BOM[:1], BOM[1:2]], BOM[:2]),
    "none": ([EVENT], EVENT),
}


def send_apart(rig, server, pieces):
    """Each piece is a read of its own: the next one leaves when the gateway has counted it."""
    sent = 0
    for piece in pieces:
        server.chunk(piece)
        sent += len(piece)
        wait_until(lambda: rig.gateways[0].streams()[0]["bytes"] >= sent, f"{sent} bytes arrived")


@pytest.mark.parametrize("pieces,expected", CASES.values(), ids=CASES.keys())
def test_behind_a_heartbeat(rig, pieces, expected):
    client, server = rig.stream("--heartbeat", "50ms")
    assert client.body.event() == HEARTBEAT
    send_apart(rig, server, pieces)
    server.end_chunks()
    assert client.body.rest().replace(HEARTBEAT, b"") == expected


@pytest.mark.parametrize("pieces", [pieces for pieces, _ in CASES.values()], ids=CASES.keys())
def test_without_one_nothing_is_left_out(rig, pieces):
    client, server = rig.stream()
    send_apart(rig, server, pieces)
    server.end_chunks()
    assert client.body.rest() == b"".join(pieces)


def test_behind_the_heartbeat_of_an_early_head(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--heartbeat", "1m", "--heartbeat-head-after", "50ms"))
    client.get("/events", "Accept: text/event-stream")
    server = upstream.accept()
    server.read_request()
    client.read_head()
    assert client.body.event() == HEARTBEAT
    server.start_events()
    server.chunk(BOM + EVENT)
    server.end_chunks()
    assert client.body.rest() == EVENT
