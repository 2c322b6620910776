"""HTTP/2 to the client: many streams on one connection, each a stream like any other."""

import json
import signal
import subprocess

import pytest

from harness import Aborted, http2, wait_until

QUIET_S = 0.15
FIRST = http2.PREFACE + http2.frame(http2.SETTINGS)


def start(rig, *flags, streams=1, events=True, **options):
    """A client with so many streams under way, and the upstream's ends of them."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *flags)
    client = rig.http2(gateway, **options)
    pairs = []
    for n in range(streams):
        stream = client.request("GET", f"/events/{n}")
        server = upstream.accept()
        assert server.read_request().target == f"/events/{n}"
        if events:
            server.start_events()
            assert stream.head().status == 200
        pairs.append((stream, server))
    return gateway, client, pairs


def test_an_event_leaves_when_it_is_complete_and_not_before(rig):
    _, client, [(stream, server)] = start(rig)
    for i in range(20):
        server.chunk(b"data: %d\n\nid: 2" % i)
        assert stream.event() == b"data: %d\n\n" % i
        client.assert_silent(0.01 if i else QUIET_S)
        server.chunk(b"\n\n")
        assert stream.event() == b"id: 2\n\n"
    server.end_chunks()
    assert stream.rest() == b""


def test_streams_are_apart_and_in_order(rig):
    _, client, pairs = start(rig, streams=40)
    for i in range(30):
        for n, (_, server) in enumerate(pairs):
            server.chunk(b"data: %d of %d\n\n" % (i, n))
    for _, server in pairs:
        server.end_chunks()
    for n, (stream, _) in enumerate(pairs):
        assert stream.rest() == b"".join(b"data: %d of %d\n\n" % (i, n) for i in range(30))


def test_what_it_answers(rig):
    upstream = rig.upstream(lambda server, request: server.respond(
        b"hello", "X-Name: Value", "Connection: x-hop", "X-Hop: 1", "Keep-Alive: timeout=5"))
    gateway = rig.gateway(upstream)
    client = rig.http2(gateway)
    head, body = client.request("GET", "/a?b=c", ("x-sent", "1"), ("cookie", "a=1"), ("cookie", "b=2"),
                                ("te", "trailers")).response()
    assert (head.status, body) == (200, b"hello")
    assert head.get("x-name") == "Value" and head.get("content-length") == "5"
    assert head.get("via") == "1.1 sluice"
    for name in ("connection", "x-hop", "keep-alive", "transfer-encoding"):
        assert name not in head
    request = upstream.requests[0]
    assert request.start_line == "GET /a?b=c HTTP/1.1"
    assert request.all("host") == ["gateway.test"]
    assert request.all("cookie") == ["a=1; b=2"]
    assert request.get("via").startswith("2 ")
    assert request.get("x-sent") == "1" and "te" not in request
    assert request.get("x-forwarded-for") == "127.0.0.1"


def test_a_head_request_has_no_body(rig):
    upstream = rig.upstream(lambda server, request: server.send_head("Content-Length: 5"))
    stream = rig.http2(rig.gateway(upstream)).request("HEAD", "/")
    head, body = stream.response()
    assert (head.status, head.get("content-length"), body) == (200, "5", b"")


def test_204_has_no_body(rig):
    upstream = rig.upstream(lambda server, request: server.send_head(status="204 No Content"))
    head, body = rig.http2(rig.gateway(upstream)).request("GET", "/").response()
    assert (head.status, body) == (204, b"")


def test_interim_heads_are_passed_on(rig):
    _, client, [(stream, server)] = start(rig, events=False)
    server.send_head("Link: </a>; rel=preload", status="103 Early Hints")
    early = stream.head()
    assert (early.status, early.get("link")) == (103, "</a>; rel=preload")
    server.respond(b"late")
    head, body = stream.response()
    assert (head.status, body) == (200, b"late")


def test_expect_is_answered_by_the_upstream(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream))
    stream = client.request("POST", "/", ("expect", "100-continue"), ("content-length", "4"), end=False)
    server = upstream.accept()
    assert server.read_head().get("expect") == "100-continue"
    server.send_head(status="100 Continue")
    assert stream.head().status == 100
    stream.data(b"body", end=True)
    assert server.body.rest() == b"body"
    server.respond(b"done")
    assert stream.response()[1] == b"done"


@pytest.mark.parametrize("length", [True, False])
def test_bodies_both_ways(rig, length):
    upstream = rig.upstream(lambda server, request: server.respond(request.content[::-1]))
    client = rig.http2(rig.gateway(upstream))
    content = bytes(i * 7 % 251 for i in range(300_000))
    fields = [("content-length", str(len(content)))] if length else []
    stream = client.request("POST", "/echo", *fields, end=False)
    window, connection = 65536, 65535
    for at in range(0, len(content), 10_000):
        piece = content[at:at + 10_000]
        while (at + len(piece) > window + client.window_updates.get(stream.id, 0)
               or at + len(piece) > connection + client.window_updates.get(0, 0)):
            client.read_frame()
        stream.data(piece, end=at + 10_000 >= len(content))
    head, body = stream.response()
    assert head.status == 200 and body == content[::-1]
    assert ("content-length" in upstream.requests[0]) == length


def test_an_upload_that_nobody_reads_stops_at_its_window(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.http2(gateway)
    stalled = client.request("POST", "/stalled", end=False)
    server = upstream.accept()
    server.read_head()
    other = client.request("POST", "/other", body=b"x" * 1000)
    reader = upstream.accept()
    assert reader.read_request().content == b"x" * 1000
    reader.respond(b"ok")
    assert other.response()[1] == b"ok"
    # As long as the window is there, send; the upstream's kernel takes some, and then it closes.
    sent = 0
    while sent + 16_000 <= 65_536 + client.window_updates.get(stalled.id, 0) and sent < 64_000_000:
        stalled.data(b"y" * 16_000)
        sent += 16_000
        client.round_trip()
    assert sent < 64_000_000
    again = client.request("POST", "/again", body=b"z")
    assert reader.read_request().content == b"z"
    reader.respond(b"ok")
    assert again.response()[1] == b"ok"
    stalled.cancel()
    assert server.wait_closed() in ("fin", "rst")


def test_trailers_are_dropped(rig):
    upstream = rig.upstream(lambda server, request: server.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"))
    client = rig.http2(rig.gateway(upstream))
    stream = client.request("POST", "/", end=False)
    stream.data(b"abc")
    client.send(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream.id,
                            http2.block([("x-trailer", "1")])))
    assert stream.response()[1] == b"hello"
    assert upstream.requests[0].content == b"abc" and not stream.heads


def test_a_reset_is_a_client_that_leaves(rig):
    gateway, client, pairs = start(rig, streams=3)
    pairs[1][0].cancel()
    assert pairs[1][1].wait_closed() in ("fin", "rst")
    for stream, server in (pairs[0], pairs[2]):
        server.chunk(b"data: on\n\n")
        assert stream.event() == b"data: on\n\n"
    assert gateway.metrics().sum("sluice_http2_resets_total", by="client", code="cancel") == 1
    assert gateway.metrics().sum("sluice_closes_total", reason="client_left") == 1


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_connection_that_ends_takes_its_streams_along(rig, how):
    _, client, pairs = start(rig, streams=5)
    client.close() if how == "fin" else client.reset()
    for _, server in pairs:
        assert server.wait_closed() in ("fin", "rst")


def test_a_truncated_upstream_is_never_a_clean_end(rig):
    gateway, client, pairs = start(rig, "--heal", "off", streams=2)
    (stream, server), (other, other_server) = pairs
    server.chunk(b"data: whole\n\ndata: cut")
    assert stream.event() == b"data: whole\n\n"
    server.close()
    assert stream.wait_reset() == http2.INTERNAL_ERROR
    assert not stream.pending
    other_server.chunk(b"data: on\n\n")
    assert other.event() == b"data: on\n\n"
    assert gateway.metrics().sum("sluice_http2_resets_total", by="self", code="internal_error") == 1


def test_an_early_head_is_sent_before_a_reset(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream, "--heartbeat-head-after", "50ms", "--heal", "off"))
    stream = client.request("GET", "/", ("accept", "text/event-stream"))
    server = upstream.accept()
    server.read_request()
    assert stream.head().status == 200
    assert stream.event() == b": heartbeat\n\n"
    server.close()
    assert stream.wait_reset() == http2.INTERNAL_ERROR


def test_heartbeats(rig):
    _, _, [(stream, server)] = start(rig, "--heartbeat", "50ms")
    assert stream.event() == b": heartbeat\n\n"
    server.chunk(b"data: 1\n\n")
    events = [stream.event() for _ in range(3)]
    assert b"data: 1\n\n" in events and b": heartbeat\n\n" in events


def test_healing(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream, "--heal", "on"))
    stream = client.request("GET", "/events", ("accept", "text/event-stream"))
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"retry: 1\nid: 1\ndata: a\n\nid: 2\ndata: cut")
    assert stream.head().status == 200
    assert stream.event() == b"retry: 1\nid: 1\ndata: a\n\n"
    server.close()
    server = upstream.accept()
    assert server.read_request().get("last-event-id") == "1"
    server.start_events()
    server.chunk(b"id: 2\ndata: b\n\n")
    assert stream.event() == b"id: 2\ndata: b\n\n"
    server.end_chunks()
    assert stream.rest() == b""


def test_half_of_the_streams_stall_and_the_others_do_not_notice(rig):
    gateway, client, pairs = start(rig, "--buffer-size", "4k", "--buffer-size-max", "4k", streams=100, window=1000)
    event = b"data: " + b"x" * 492 + b"\n\n"
    stalled, moving = pairs[::2], pairs[1::2]
    for _, server in stalled:
        for _ in range(40):
            server.chunk(event)
    for i in range(20):
        for stream, server in moving:
            server.chunk(event)
        for stream, _ in moving:
            assert stream.event() == event
            stream.open_window(len(event))
    client.round_trip()
    for stream, _ in stalled:
        assert sum(stream.frames) == 1000
    for stream, _ in stalled:
        stream.open_window(40 * len(event))
    for stream, server in stalled:
        server.end_chunks()
        assert stream.rest() == event * 40


def test_bulk_and_events_share_the_connection(rig):
    _, client, pairs = start(rig, streams=4)
    piece = b"data: " + b"y" * 30_000 + b"\n\n"
    for _, server in pairs[:3]:
        for _ in range(20):
            server.chunk(piece)
    pairs[3][1].chunk(b"data: now\n\n")
    assert pairs[3][0].event() == b"data: now\n\n"
    for stream, server in pairs[:3]:
        server.end_chunks()
        assert stream.rest() == piece * 20


def test_a_window_that_stays_closed_falls_under_the_write_timeout(rig):
    gateway, client, pairs = start(rig, "--write-timeout", "300ms", streams=2, window=10)
    (stalled, server), (moving, other) = pairs
    server.chunk(b"data: much more than the window\n\n")
    while stalled.reset is None:
        other.chunk(b": x\n\n")
        assert moving.event() == b": x\n\n"
        moving.open_window(5)
    assert stalled.reset == http2.CANCEL
    assert server.wait_closed() in ("fin", "rst")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_http2_stalled_total") == 1
    assert metrics.sum("sluice_closes_total", reason="client_stalled") == 1


def test_a_drain_says_so_twice_and_lets_streams_finish(rig):
    gateway, client, [(stream, server)] = start(rig)
    client.answers_pings = False
    gateway.signal(signal.SIGTERM)
    assert client.wait_goaway() == (2**31 - 1, http2.NO_ERROR)
    late = client.request("GET", "/late")  # has crossed the notice
    server2 = rig.upstreams[0].accept()
    assert server2.read_request().target == "/late"
    server2.respond(b"late")
    assert late.response()[1] == b"late"
    while not client.asked:
        client.read_frame()
    client.send(http2.frame(http2.PING, http2.ACK, 0, client.asked[0]))
    assert client.wait_goaway() == (late.id, http2.NO_ERROR)
    server.chunk(b"data: last\n\n")
    server.end_chunks()
    assert stream.rest() == b"data: last\n\n"
    assert client.read_to_end() == "fin"
    client.close()
    assert gateway.wait_exit() == 0


def test_a_drain_does_not_wait_for_an_answer_to_its_ping(rig):
    gateway = rig.gateway(rig.upstream())
    client = rig.http2(gateway)
    client.answers_pings = False
    client.round_trip()
    gateway.signal(signal.SIGTERM)
    assert client.wait_goaway() == (2**31 - 1, http2.NO_ERROR)
    assert client.wait_goaway() == (0, http2.NO_ERROR)
    assert client.read_to_end() == "fin"
    client.close()
    assert gateway.wait_exit() == 0


def test_a_drain_that_is_near_is_announced_with_the_next_request(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(upstream, "--shutdown-delay", "10s")
    client = rig.http2(gateway)
    assert client.request("GET", "/").response()[1] == b"ok"
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: gateway.admin("/readyz")[0].status == 503, "the drain is near")
    assert client.request("GET", "/").response()[1] == b"ok"
    assert client.wait_goaway() == (2**31 - 1, http2.NO_ERROR)
    assert client.wait_goaway() == (3, http2.NO_ERROR)
    assert client.read_to_end() == "fin"
    client.close()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_the_end_of_the_grace_ends_the_streams(rig):
    gateway, client, [(stream, server)] = start(rig, "--shutdown-grace", "100ms")
    gateway.signal(signal.SIGTERM)
    assert client.read_to_end() in ("fin", "rst")
    assert not stream.ended
    client.close()
    assert gateway.wait_exit() == 0


def test_an_idle_connection_is_told_and_closed(rig):
    upstream = rig.upstream(lambda server, request: server.respond())
    client = rig.http2(rig.gateway(upstream, "--keepalive-timeout", "100ms"))
    assert client.request("GET", "/").response()[0].status == 200
    assert client.wait_goaway()[1] == http2.NO_ERROR
    assert client.read_to_end() == "fin"


def test_an_answer_before_the_upload_is_complete(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream))
    stream = client.request("POST", "/", end=False)
    stream.data(b"part")
    server = upstream.accept()
    server.read_head()
    server.respond(b"no thanks", status="403 Forbidden")
    head, body = stream.response()
    assert (head.status, body) == (403, b"no thanks")
    while stream.reset is None:
        client.read_frame()
    assert stream.reset == http2.NO_ERROR


@pytest.mark.parametrize("cut", range(1, 25))
def test_the_preface_may_come_in_pieces(rig, cut):
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"yes")))
    client = rig.http2(gateway, greet=False)
    client.send(FIRST[:cut])
    wait_until(lambda: gateway.metrics().sum("sluice_client_received_bytes_total") >= cut, "the first part was read")
    client.send(FIRST[cut:])
    assert client.request("GET", "/").response()[1] == b"yes"
    metrics = gateway.metrics()
    assert metrics.sum("sluice_client_protocols_total", protocol="http2") == 1
    assert metrics.sum("sluice_streams_started_total") == 1


def test_what_only_begins_like_the_preface_is_http1(rig):
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"yes")))
    client = rig.client(gateway)
    client.send(b"PR")
    wait_until(lambda: gateway.metrics().sum("sluice_client_received_bytes_total") == 2, "that was read")
    client.send(b"OPFIND / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response()[1] == b"yes"


def test_it_may_be_off(rig):
    gateway = rig.gateway(rig.upstream(), "--http2", "off")
    client = rig.client(gateway)
    client.send(http2.PREFACE)
    assert client.read_head().status == 400
    assert gateway.metrics().sum("sluice_bad_requests_total", reason="not_http") == 1


def test_the_log_and_the_list_name_the_protocol(rig, tmp_path):
    path = tmp_path / "access.log"
    gateway, client, [(stream, server)] = start(rig, "--access-log", str(path), "--access-log-format", "json")
    assert [s["protocol"] for s in gateway.streams()] == ["HTTP/2"]
    server.end_chunks()
    stream.rest()
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), "the line")
    assert json.loads(path.read_text())["protocol"] == "HTTP/2"


def test_curl(rig):
    upstream = rig.upstream(lambda server, request: server.respond(request.content or b"got"))
    gateway = rig.gateway(upstream)

    def curl(*args, content=None):
        done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}", *args,
                               gateway.url + "/"], capture_output=True, text=True, timeout=20, check=False,
                              input=content)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert curl() == "got 2 200"
    assert curl("-d", "posted") == "posted 2 200"
    big = "b" * 500_000
    assert curl("--data-binary", "@-", content=big) == big + " 2 200"


def test_h2load(rig):
    def serve(server, request):
        server.start_events()
        for i in range(20):
            server.chunk(b"data: %d\n\n" % i)
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve))
    done = subprocess.run(["h2load", "-n", "400", "-c", "4", "-m", "50", gateway.url + "/events"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "400 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout
    assert gateway.metrics().sum("sluice_events_total") == 8000


def test_streams_end_by_themselves_when_aborted(rig):
    _, client, [(stream, server)] = start(rig, events=False)
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    assert stream.head().status == 200
    server.close()
    with pytest.raises(Aborted):
        stream.rest()
    assert bytes(stream.pending) == b"half"


def test_an_upload_goes_on_where_memory_is_tight(rig):
    """Half of --pool-max is mapped from the start."""
    def count(server, request):
        server.respond(b"%d" % len(request.content))

    gateway = rig.gateway(rig.upstream(count), "--pool-max", "20m")
    done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--max-time", "20", "--data-binary", "@-",
                           gateway.url + "/up"], input=b"u" * 1_000_000, capture_output=True, check=True)
    assert done.stdout == b"1000000"
