"""An event up to --event-hold is held whole; a longer one is cut through and loses nothing."""

import threading

import pytest


def send_in_background(server, data):
    # The gateway stops reading where it has no credit, so a large send may have to wait.
    thread = threading.Thread(target=lambda: server.chunk(data), daemon=True)
    thread.start()
    return thread


def test_an_event_below_the_limit_is_held_whole(rig):
    client, server = rig.stream()
    event = b"data: " + b"x" * 60 * 1024
    server.chunk(event)
    client.assert_silent(0.2)
    server.chunk(b"\n\n")
    assert client.body.event() == event + b"\n\n"


def test_an_event_beyond_the_limit_is_cut_through(rig):
    client, server = rig.stream()
    event = b"data: " + b"".join(b"%09d " % i for i in range(30 * 1024))
    sender = send_in_background(server, event)
    assert client.body.read(len(event)) == event  # though its end has not arrived
    sender.join()
    server.chunk(b"\n\ndata: 2\n\n")
    assert client.body.event() == b"\n\n"
    assert client.body.event() == b"data: 2\n\n"


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536, 65537, 300_000])
def test_sizes_around_the_limits(rig, size):
    events = [b"data: " + b"%c" % byte * (size - 8) + b"\n\n" for byte in b"abc"]
    client, server = rig.stream()
    sender = send_in_background(server, b"".join(events))
    for event in events:
        assert client.body.read(size) == event
    sender.join()
    server.end_chunks()
    assert client.body.rest() == b""


def test_the_limit_may_be_set(rig):
    client, server = rig.stream("--event-hold", "4k", "--buffer-size", "4k")
    server.chunk(b"data: " + b"x" * 3000)
    client.assert_silent(0.1)
    server.chunk(b"x" * 3000)
    assert client.body.read(6006) == b"data: " + b"x" * 6000


def test_a_held_event_does_not_wait_for_itself(rig):
    """The credit grows for an event that is being held, however small the buffer."""
    client, server = rig.stream("--buffer-size", "1k", "--buffer-size-max", "1k")
    event = b"data: " + b"x" * 50_000 + b"\n\n"
    sender = send_in_background(server, event)
    assert client.body.event() == event
    sender.join()
