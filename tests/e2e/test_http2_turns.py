"""Who of an HTTP/2 connection's streams waits for whom: for its turn, for the more urgent, for a window."""

import time

import pytest

from harness import http2
from harness.http2 import INITIAL_WINDOW_SIZE, SETTINGS, frame, setting

PRIORITY_UPDATE = 16


def endless(server, request):
    server.send_head("Content-Length: 1099511627776")
    while True:
        server.send(b"b" * 65536)


def shares_of_one_window(rig, *fields, early=b"", update=b""):
    """Bytes of each stream, where all of them have much to send and the connection has one window for that."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--buffer-size", "128k", "--buffer-size-max", "128k", "--event-hold", "128k")
    client = rig.http2(gateway, window=0, connection_window=False)
    client.send(early)
    streams = [client.request("GET", f"/{n}", *([("priority", field)] if field else []))
               for n, field in enumerate(fields)]
    servers = [upstream.accept() for _ in streams]
    for server in servers:
        server.read_request()
        server.respond(b"z" * 100_000)
    assert {stream.head().status for stream in streams} == {200}
    client.send(update)
    client.round_trip()
    client.send(frame(SETTINGS, payload=setting(INITIAL_WINDOW_SIZE, 2**20)))
    while sum(sum(stream.frames) for stream in streams) < 65_535:
        client.read_frame()
    return [sum(stream.frames) for stream in streams]


def test_the_more_urgent_goes_first(rig):
    assert shares_of_one_window(rig, "u=6", "u=1") == [0, 65_535]


def test_equals_take_turns(rig):
    assert min(shares_of_one_window(rig, None, None, None, None)) > 16_000


def test_a_client_may_change_its_mind(rig):
    update = frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x03u=0")
    assert shares_of_one_window(rig, None, None, update=update) == [0, 65_535]


def test_a_client_may_say_so_before_it_asks(rig):
    def early(*urgencies):
        return b"".join(frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0%cu=%d" % urgency) for urgency in urgencies)
    assert shares_of_one_window(rig, None, "u=3", early=early((3, 0))) == [0, 65_535]
    assert shares_of_one_window(rig, None, None, early=early((1, 5), (3, 4))) == [0, 65_535]
    assert shares_of_one_window(rig, None, None, early=early((3, 7), (3, 0), (1, 3))) == [0, 65_535]
    many = early(*((n, 7) for n in range(5, 255, 2)))  # of more streams than there may be
    assert shares_of_one_window(rig, None, None, early=early((1, 7)) + many + early((3, 0))) == [0, 65_535]


def test_the_less_urgent_has_its_share(rig):
    bulk, events = rig.upstream(endless), rig.upstream()
    gateway = rig.gateway(bulk, "--route", f"path=/events,upstream={events.url}")
    client = rig.http2(gateway, rcvbuf=32_768)
    for _ in range(40):  # the last one has events; those that have none take no turn from it
        stream = client.request("GET", "/events", ("priority", "u=7"))
        server = events.accept()
        server.read_request()
        server.start_events()
        assert stream.head().status == 200
    others = [client.request("GET", f"/{n}", ("priority", "u=0")) for n in range(6)]
    for other in others:
        other.head()
    for n in range(5):
        server.chunk(b"data: %d\n\n" % n)
        before = sum(sum(other.frames) for other in others)
        assert stream.event() == b"data: %d\n\n" % n
        assert sum(sum(other.frames) for other in others) - before < 8_000_000


@pytest.mark.parametrize("shared", [False, True])
def test_who_waits_for_its_turn_has_not_stalled(rig, shared):
    """The client reads all the time, but so slowly that a round of all streams is longer than the time-out.
    `shared`: the connection's window is what they wait for, and not the socket."""
    gateway = rig.gateway(rig.upstream(endless), "--write-timeout", "1s")
    client = rig.http2(gateway, rcvbuf=65_536, connection_window=not shared)
    streams = [client.request("GET", f"/{n}") for n in range(40)]
    until = time.monotonic() + 3.5
    while time.monotonic() < until:
        kind, _, number = client.read_frame()
        if kind != http2.DATA:
            continue
        if shared:
            client.open_window(client.streams[number].frames[-1])
        time.sleep(0.05)
    assert [stream.reset for stream in streams] == [None] * 40
    assert gateway.metrics().sum("sluice_http2_stalled_total") == 0


def test_a_window_of_the_connection_that_stays_closed(rig):
    gateway = rig.gateway(rig.upstream(endless), "--write-timeout", "300ms")
    client = rig.http2(gateway, connection_window=False)
    streams = [client.request("GET", f"/{n}") for n in range(3)]
    assert [stream.wait_reset() for stream in streams] == [http2.CANCEL] * 3
    assert gateway.metrics().sum("sluice_http2_stalled_total") == 3


def test_windows_of_uploads(rig):
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"%d" % len(request.content))),
                          "--http2-stream-window", "1m", "--http2-connection-window", "2m")
    client = rig.http2(gateway)
    while 0 not in client.window_updates:
        client.read_frame()
    assert client.settings[INITIAL_WINDOW_SIZE] == 2**20
    assert client.window_updates[0] == 2**21 - 65_535
    stream = client.request("POST", "/", end=False)
    for n in range(64):
        stream.data(b"u" * 16_384, end=n == 63)  # all that the window takes, at once
    assert stream.response()[1] == b"1048576"
