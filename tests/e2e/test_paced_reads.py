"""With --pace what comes within one pace leaves together: only the reads between whole events wait, the
first event does not, and no byte, order or ending is lost over it."""

import random
import subprocess
import time

import pytest

from harness import DEADLINE_S
from harness.gateway import binary

# The longest pace, and a time by which what it delays has not come: what comes was not delayed.
LONG = "10s"
NOT_DELAYED_S = DEADLINE_S / 2
EVENT_HOLD = 64 * 1024


def event(i):
    return b"id: %d\ndata: %d\n\n" % (i, i)


def assert_comes_at_once(client, expected):
    """Although a pace of LONG is set. Read by the chunk, each of which is due at once."""
    arrived = bytearray()
    while len(arrived) < len(expected):
        if not client.buffer:
            client.fill(NOT_DELAYED_S)
        arrived += client.body.chunk()
    assert arrived == expected


def send_piece(rig, server, data):
    """Sends it and waits until the gateway has read it, by a read of its own."""
    before = rig.gateways[0].metrics().sum("sluice_upstream_received_bytes_total")
    server.chunk(data)
    rig.gateways[0].wait_metric("sluice_upstream_received_bytes_total", before + len(data), NOT_DELAYED_S)


def assert_paced(client, server, pace_s):
    """The first event comes; the second, which was sent right after, comes no sooner than the pace allows."""
    sent_s = time.monotonic()
    server.chunk(event(0))
    assert client.body.event() == event(0)
    server.chunk(event(1))
    assert client.body.event() == event(1)
    assert time.monotonic() - sent_s >= pace_s - 0.002  # the loop's clock ticks in milliseconds


def test_the_first_event_is_not_delayed(rig):
    client, server = rig.stream("--pace", LONG)
    server.chunk(event(0))
    assert_comes_at_once(client, event(0))


def test_the_first_event_is_not_delayed_by_what_is_no_event(rig):
    client, server = rig.stream("--pace", LONG)
    server.chunk(b": a comment\n\n")
    assert_comes_at_once(client, b": a comment\n\n")
    for part in (b"retry: 3000\n", b"id: 0\n", b"data: 0\n"):
        send_piece(rig, server, part)
    server.chunk(b"\n")
    assert_comes_at_once(client, b"retry: 3000\n" + event(0))


def test_the_second_event_waits(rig):
    client, server = rig.stream("--pace", "500ms")
    assert_paced(client, server, 0.5)


def test_every_later_read_waits(rig):
    client, server = rig.stream("--pace", "200ms")
    sent_s = time.monotonic()
    for i in range(5):
        server.chunk(event(i))
        assert client.body.chunk() == event(i)
    assert time.monotonic() - sent_s >= 4 * 0.2 - 0.005


def test_the_second_event_waits_on_a_reused_connection(rig):
    upstream = rig.upstream()
    client, server = rig.exchange("--pace", "500ms", upstream=upstream)
    server.respond()
    client.response()
    client.get("/events")
    assert server.read_request().target == "/events"
    server.start_events()
    client.read_head()
    assert_paced(client, server, 0.5)


def test_the_second_event_waits_behind_an_early_head(rig):
    client, server = rig.exchange("--pace", "500ms", "--heartbeat", "0")
    server.send_head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    server.chunk(b": the head's own segment\n\n")
    client.read_head()
    client.body.event()
    assert_paced(client, server, 0.5)


def test_an_event_after_a_pause_is_not_delayed(rig):
    client, server = rig.stream("--pace", "3s")
    server.chunk(event(0))
    assert client.body.event() == event(0)
    client.assert_silent(3.2)
    server.chunk(event(1))
    client.fill(2.0)
    assert client.body.event() == event(1)


def test_what_comes_within_one_pace_leaves_together(rig):
    client, server = rig.stream("--pace", "1500ms")
    server.chunk(event(0))
    assert client.body.chunk() == event(0)
    for i in range(1, 8):
        server.chunk(event(i))
        client.assert_silent(0.03)
    assert client.body.chunk() == b"".join(event(i) for i in range(1, 8))


def test_nothing_is_lost_or_reordered(rig):
    seed = random.randrange(2**32)
    print("seed", seed)
    streams = 5
    chance = random.Random(seed)
    events = [b"id: %d\ndata: %b\n\n" % (i, b"x" * chance.choice((1, 50, 500, 3000, 9000))) for i in range(400)]
    cuts = [chance.choice((0, 1, 7)) for _ in events]

    def serve(server, request):
        server.start_events()
        for data, cut in zip(events, cuts):
            for part in filter(None, (data[:cut], data[cut:])):
                server.chunk(part)
            time.sleep(0.0005 if cut else 0)
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve), "--pace", "2ms")
    clients = [rig.client(gateway) for _ in range(streams)]
    for client in clients:
        client.get()
    for client in clients:
        assert client.response()[1] == b"".join(events)
    assert gateway.metrics().sum("sluice_events_total") == streams * len(events)


def test_a_quick_stream_leaves_in_fewer_pieces(rig):
    events = [event(i) for i in range(300)]

    def serve(server, request):
        server.start_events()
        for data in events:
            server.chunk(data)
            time.sleep(0.002)
        server.end_chunks()

    client = rig.client(rig.gateway(rig.upstream(serve), "--pace", "50ms"))
    client.get()
    client.read_head()
    chunks = []
    while (chunk := client.body.chunk()) is not None:
        chunks.append(chunk)
    assert b"".join(chunks) == b"".join(events)
    assert len(chunks) < len(events) / 5


def test_other_routes_are_not_paced(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--route", f"path=/paced,upstream={upstream.url},pace={LONG}")
    streams = {}
    for target in ("/paced", "/other"):
        client = rig.client(gateway)
        client.get(target)
        server = upstream.accept()
        server.read_request()
        server.start_events()
        client.read_head()
        server.chunk(event(0))
        assert_comes_at_once(client, event(0))
        streams[target] = client, server
    client, server = streams["/paced"]
    server.chunk(event(1))
    other, other_server = streams["/other"]
    for i in range(1, 20):
        other_server.chunk(event(i))
        assert_comes_at_once(other, event(i))
    client.assert_silent(0.2)


def test_a_route_may_be_read_at_once(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--pace", LONG, "--route", f"path=/prompt,upstream={upstream.url},pace=0")
    client = rig.client(gateway)
    client.get("/prompt")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    client.read_head()
    for i in range(5):
        server.chunk(event(i))
        assert_comes_at_once(client, event(i))


def test_other_bodies_are_not_paced(rig):
    client, server = rig.exchange("--pace", LONG)
    server.send_head("Content-Type: text/plain", "Transfer-Encoding: chunked")
    client.read_head()
    for i in range(5):
        server.chunk(event(i))
        assert_comes_at_once(client, event(i))


@pytest.mark.parametrize("size", [10_000, 50_000, 200_000])
def test_an_event_that_has_begun_is_read_to_its_end(rig, size):
    """Its first bytes came with the event before, so that no pause has begun; none does within it."""
    client, server = rig.stream("--pace", LONG)
    server.chunk(event(0) + b"data: ")
    assert_comes_at_once(client, event(0))
    large = b"".join(b"%09d " % i for i in range(size // 10)) + b"\n\n"
    expected, taken = b"data: " + large, 0
    for at in range(0, len(large), 5000):
        send_piece(rig, server, large[at:at + 5000])
        sent = len(b"data: ") + len(large[:at + 5000])
        if sent > EVENT_HOLD:  # held no longer: a client that does not read would stop the upstream
            assert_comes_at_once(client, expected[taken:sent])
            taken = sent
    assert_comes_at_once(client, expected[taken:])


def test_a_large_event_costs_one_pace(rig):
    """Twelve slots of 4k: with a pause between them it would not come within the harness's time."""
    client, server = rig.stream("--pace", "2s", "--pool-sse-event", "4k:1000")
    server.chunk(event(0))
    assert client.body.event() == event(0)
    large = b"data: " + b"x" * 48 * 1024 + b"\n\n"
    server.chunk(large)
    client.fill()
    assert client.body.event() == large


@pytest.mark.parametrize("leave", ["close", "shut_wr", "reset"])
@pytest.mark.parametrize("more", [b"", event(1)], ids=["nothing unread", "an event unread"])
def test_a_client_that_leaves_in_a_pause_cancels_the_upstream(rig, leave, more):
    client, server = rig.stream("--pace", LONG)
    server.chunk(event(0))
    assert_comes_at_once(client, event(0))
    if more:
        server.chunk(more)
    getattr(client, leave)()
    server.wait_closed(NOT_DELAYED_S)
    rig.gateways[0].wait_metric("sluice_upstream_cancels_total", 1, NOT_DELAYED_S, phase="streaming")


@pytest.mark.parametrize("more", [b"", event(1)], ids=["nothing more", "one more event"])
def test_an_end_within_a_pause_is_told(rig, more):
    client, server = rig.stream("--pace", "300ms")
    server.chunk(event(0))
    assert client.body.event() == event(0)
    if more:
        server.chunk(more)
    server.end_chunks()
    assert client.body.rest() == more
    client.get("/next")
    assert server.read_request().target == "/next"
    server.respond(b"next")
    assert client.response()[1] == b"next"


@pytest.mark.parametrize("more", [b"", event(1)], ids=["nothing more", "one more event"])
def test_an_abort_within_a_pause_is_told(rig, more):
    client, server = rig.stream("--pace", "300ms", "--heal", "off")
    server.chunk(event(0))
    assert client.body.event() == event(0)
    if more:
        server.chunk(more + b"data: cut")
    server.close()
    assert client.body.until_abort() == more
    rig.gateways[0].wait_metric("sluice_closes_total", 1, reason="upstream_truncated")


def test_a_reset_within_a_pause_is_told(rig):
    client, server = rig.stream("--pace", "300ms", "--heal", "off")
    server.chunk(event(0))
    assert client.body.event() == event(0)
    server.reset()
    assert client.body.until_abort() == b""


def test_a_pause_is_not_the_upstreams_silence(rig):
    """It is the gateway that does not listen."""
    client, server = rig.stream("--pace", "1500ms", "--stream-idle-timeout", "400ms", "--heartbeat", "0")
    for i in range(2):
        server.chunk(event(i))
        assert client.body.event() == event(i)
    server.end_chunks()
    assert client.body.rest() == b""


def test_heartbeats_are_sent_in_a_pause(rig):
    client, server = rig.stream("--pace", LONG, "--heartbeat", "50ms")
    server.chunk(event(0))
    assert_comes_at_once(client, event(0))
    server.chunk(event(1))
    for _ in range(3):
        assert_comes_at_once(client, b": heartbeat\n\n")


@pytest.mark.parametrize("pace", ["5", "11s", "-1ms", "500us", "often", ""])
def test_a_bad_pace_is_said_in_one_line(pace):
    result = subprocess.run([binary(), "--check", "--upstream", "http://127.0.0.1:9", "--pace", pace],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "--pace" in result.stderr
