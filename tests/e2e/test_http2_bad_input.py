"""What an HTTP/2 client may not do, by the sections of RFC 9113: a stream's fault ends the stream, a
connection's fault the connection; each is counted, and nothing of it reaches an upstream."""

import struct
import time

import pytest

from harness import http2, wait_until

GET = [(":method", "GET"), (":scheme", "http"), (":authority", "gateway.test"), (":path", "/")]


def frame(*args):
    return http2.frame(*args)


def serving(rig, *flags, **options):
    """A gateway whose upstream answers everything, and a client of it."""
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(upstream, *flags)
    return upstream, gateway, rig.http2(gateway, **options)


def assert_serves(client):
    assert client.request("GET", "/fine").response()[1] == b"ok"


def without(name):
    return [field for field in GET if field[0] != name]


MALFORMED = {  # section 8.1.1: a stream error
    "upper case": GET + [("X-Name", "1")],
    "connection": GET + [("connection", "close")],
    "keep-alive": GET + [("keep-alive", "timeout=5")],
    "transfer-encoding": GET + [("transfer-encoding", "chunked")],
    "upgrade": GET + [("upgrade", "h2c")],
    "proxy-connection": GET + [("proxy-connection", "close")],
    "te": GET + [("te", "gzip")],
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "empty path": without(":path") + [(":path", "")],
    "two methods": GET + [(":method", "GET")],
    "late pseudo-field": GET + [("x", "1"), (":authority", "b")],
    "unknown pseudo-field": GET + [(":name", "1")],
    "status of a response": GET + [(":status", "200")],
    "no authority": without(":authority"),
    "nul": GET + [("x", b"a\0b")],
    "cr": GET + [("x", b"a\rb")],
    "lf": GET + [("x", b"a\nhost: evil")],
    "blank in front": GET + [("x", " a")],
    "blank behind": GET + [("x", "a ")],
    "bad name": GET + [("x y", "1")],
    "empty name": GET + [("", "1")],
    "two lengths": GET + [("content-length", "1"), ("content-length", "1")],
    "signed length": GET + [("content-length", "+1")],
    "length without a body": GET + [("content-length", "5")],
    "asterisk": without(":path") + [(":path", "*")],
    "line end in the path": without(":path") + [(":path", b"/\r\nx: y")],
    "line end in the method": without(":method") + [(":method", b"GET /\r\n")],
    "line end in the authority": without(":authority") + [(":authority", b"a\r\nx: y")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_reset(rig, name):
    upstream, gateway, client = serving(rig)
    assert client.raw_request(MALFORMED[name]).wait_reset() == http2.PROTOCOL_ERROR
    assert_serves(client)
    assert [request.target for request in upstream.requests] == ["/fine"]
    assert gateway.metrics().sum("sluice_http2_resets_total", by="self", code="protocol_error") == 1


REFUSED = {
    "two hosts": (400, "bad_host", GET + [("host", "other.test")]),
    "user in the authority": (400, "bad_host", without(":authority") + [(":authority", "user@gateway.test")]),
    "absolute path": (400, "bad_syntax", without(":path") + [(":path", "http://evil/")]),
    "fragment": (400, "bad_syntax", without(":path") + [(":path", "/a#b")]),
    "bytes above ASCII in the path": (400, "bad_syntax", without(":path") + [(":path", b"/\xff")]),
    "long method": (400, "method_too_long", without(":method") + [(":method", "M" * 65)]),
    "connect": (501, "connect", [(":method", "CONNECT"), (":authority", "a:443")]),
    "large head": (431, "head_too_large", GET + [(f"x-{i}", "v" * 1000) for i in range(10)]),
    "many fields": (431, "head_too_large", GET + [(f"x-{i}", "v") for i in range(200)]),
    "no route": (404, "no_route", GET),
}
REFUSED["absolute path"] = (400, "bad_syntax", [(":method", "GET"), (":scheme", "foo"), (":authority", "a"),
                                                (":path", "foo://evil/")])


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_http1_would_refuse_is_refused(rig, name):
    status, reason, head = REFUSED[name]
    if name == "no route":
        upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
        gateway = rig.gateway(None, "--route", f"path=/fine,upstream={upstream.url}")
        client = rig.http2(gateway)
    else:
        upstream, gateway, client = serving(rig, "--max-header-size", "8k")
    answer, body = client.raw_request(head, end=name != "connect").response()
    assert answer.status == status and b'"status":%d' % status in body
    assert answer.get("content-type") == "application/problem+json"
    assert_serves(client)
    assert [request.target for request in upstream.requests] == ["/fine"]
    assert gateway.metrics().sum("sluice_bad_requests_total", reason=reason) == 1


def test_host_may_stand_in_for_the_authority_and_repeat_it(rig):
    upstream, _, client = serving(rig)
    client.raw_request(without(":authority") + [("host", "a.test")]).response()
    client.raw_request(GET + [("host", "Gateway.test")]).response()
    assert [request.all("host") for request in upstream.requests] == [["a.test"], ["gateway.test"]]


@pytest.mark.parametrize("sent", [3, 7])
def test_a_content_length_that_does_not_agree(rig, sent):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.http2(gateway)
    stream = client.request("POST", "/", ("content-length", "5"), end=False)
    server = upstream.accept()
    server.read_head()
    stream.data(b"x" * sent, end=True)
    assert stream.wait_reset() == http2.PROTOCOL_ERROR
    assert server.wait_closed() in ("fin", "rst")


BROKEN = {  # section 6: connection errors
    "data on stream 0": (1, frame(http2.DATA, 0, 0, b"x")),
    "headers on stream 0": (1, frame(http2.HEADERS, 5, 0, http2.block(GET))),
    "even stream": (1, frame(http2.HEADERS, 5, 2, http2.block(GET))),
    "data on an idle stream": (1, frame(http2.DATA, 0, 99, b"x")),
    "reset of an idle stream": (1, frame(http2.RST_STREAM, 0, 99, b"\0\0\0\0")),
    "reset of four bytes less": (6, frame(http2.RST_STREAM, 0, 1, b"")),
    "reset of five bytes": (6, frame(http2.RST_STREAM, 0, 1, b"\0" * 5)),
    "goaway of seven bytes": (6, frame(http2.GOAWAY, 0, 0, b"\0" * 7)),
    "goaway with a stream": (1, frame(http2.GOAWAY, 0, 1, b"\0" * 8)),
    "priority update of three bytes": (6, frame(16, 0, 0, b"\0\0\1")),
    "priority update with a stream": (1, frame(16, 0, 1, b"\0\0\0\1u=1")),
    "settings with a stream": (1, frame(http2.SETTINGS, 0, 1)),
    "settings of five bytes": (6, frame(http2.SETTINGS, 0, 0, b"12345")),
    "ack with a payload": (6, frame(http2.SETTINGS, http2.ACK, 0, http2.setting(3, 1))),
    "window of a stream too large": (3, frame(http2.SETTINGS, 0, 0, http2.setting(4, 2**31))),
    "frame size too small": (1, frame(http2.SETTINGS, 0, 0, http2.setting(5, 100))),
    "push promise": (1, frame(http2.PUSH_PROMISE, 4, 1, b"\0\0\0\2" + http2.block(GET))),
    "ping with a stream": (1, frame(http2.PING, 0, 1, b"12345678")),
    "ping of seven bytes": (6, frame(http2.PING, 0, 0, b"1234567")),
    "window update of nothing": (1, frame(http2.WINDOW_UPDATE, 0, 0, b"\0\0\0\0")),
    "window update of three bytes": (6, frame(http2.WINDOW_UPDATE, 0, 0, b"\0\0\1")),
    "window too large": (3, frame(http2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")),
    "continuation without a head": (1, frame(http2.CONTINUATION, 4, 1, http2.block(GET))),
    "a frame within a head": (1, frame(http2.HEADERS, 1, 1, http2.block(GET)) + frame(http2.PING, 0, 0, b"12345678")),
    "frame too large": (6, frame(http2.DATA, 0, 1, b"x" * 20_000)),
    "header block that is none": (9, frame(http2.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff")),
    "padding larger than the frame": (1, frame(http2.HEADERS, 5 | http2.PADDED, 1, b"\xff" + http2.block(GET))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_ends_the_connection(rig, name):
    code, data = BROKEN[name]
    upstream, gateway, client = serving(rig)
    client.round_trip()
    client.send(data)
    how = client.read_to_end()
    assert [said for _, said in client.goaways] == [code]
    assert how == "fin"
    assert not upstream.requests
    assert gateway.metrics().sum("sluice_http2_goaways_total") == 1


@pytest.mark.parametrize("ended_by", ["answer", "reset"])
def test_data_of_a_stream_that_the_client_has_ended(rig, ended_by):  # section 5.1
    _, gateway, client = serving(rig)
    if ended_by == "answer":
        stream = client.request("GET", "/")
        stream.response()
    else:
        stream = client.request("POST", "/", end=False)
        stream.cancel()
    client.round_trip()
    stream.data(b"x")
    assert client.read_to_end() == "fin"
    assert [code for _, code in client.goaways] == [http2.STREAM_CLOSED]
    assert gateway.metrics().sum("sluice_http2_goaways_total", code="stream_closed") == 1


def test_data_behind_our_reset_is_borne_for_a_while(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.http2(gateway)
    stream = client.request("POST", "/", end=False)
    server = upstream.accept()
    server.read_head()
    server.respond(b"no thanks", status="403 Forbidden")
    assert stream.response()[1] == b"no thanks"
    while stream.reset is None:
        client.read_frame()
    client.send(frame(http2.DATA, 0, stream.id, b"x") * 500)
    client.round_trip()
    try:
        for _ in range(20):
            client.send(frame(http2.DATA, 0, stream.id, b"x") * 500)
    except OSError:
        pass
    client.read_to_end()
    assert gateway.metrics().sum("sluice_http2_floods_total", frames="late_data") == 1


def test_data_beyond_its_window(rig):  # section 6.9.1
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--upstream-max-connections", "1", "--connect-timeout", "30s",
                          "--http2-stream-window", "4k")
    holder = rig.client(gateway)
    holder.get("/hold")
    server = upstream.accept()
    server.read_request()
    client = rig.http2(gateway)
    client.round_trip()  # it knows the window
    client.round_trip()
    stream = client.request("POST", "/waits", end=False)
    client.send(frame(http2.DATA, 0, stream.id, b"y" * 1000) * 5)
    assert stream.wait_reset() == http2.FLOW_CONTROL_ERROR
    client.round_trip()
    server.respond(b"done")
    assert holder.response()[1] == b"done"


def test_an_error_ends_all_that_the_client_has_asked_for(rig):  # section 6.8
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream))
    stream = client.request()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert stream.head().status == 200
    goaway = frame(http2.GOAWAY, 0, 0, struct.pack(">II", 0, http2.NO_ERROR))
    client.send(goaway)
    client.round_trip()
    server.chunk(b"data: on\n\n")
    assert stream.event() == b"data: on\n\n"
    client.send(frame(http2.GOAWAY, 0, 0, struct.pack(">II", 0, http2.INTERNAL_ERROR)))
    assert server.wait_closed() in ("fin", "rst")
    assert client.read_to_end() == "fin"


def test_bytes_that_are_no_http2_behind_the_preface(rig):
    upstream, gateway, client = serving(rig, greet=False)
    client.send(http2.PREFACE + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert client.read_to_end() in ("fin", "rst")
    assert not upstream.requests
    assert gateway.metrics().sum("sluice_http2_goaways_total") == 1


def test_more_streams_than_allowed_are_refused(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--http2-max-streams", "3")
    client = rig.http2(gateway)
    streams = [client.request() for _ in range(4)]  # it has not been told
    servers = [upstream.accept() for _ in range(3)]
    for server in servers:
        server.read_request()
    assert streams[3].wait_reset() == http2.REFUSED_STREAM
    servers[0].respond(b"done")
    ended = wait_until(lambda: client.read_frame() and next((s for s in streams if s.ended), None), "one is done")
    assert ended.response()[1] == b"done"
    again = client.request()
    assert servers[0].read_request()
    servers[0].respond(b"again")
    assert again.response()[1] == b"again"
    metrics = gateway.metrics()
    assert metrics.sum("sluice_http2_resets_total", by="self", code="refused_stream") == 1
    assert client.settings[http2.MAX_CONCURRENT_STREAMS] == 3

    client.round_trip()  # now it has
    client.request()
    client.request()
    client.read_to_end()
    assert [code for _, code in client.goaways] == [http2.PROTOCOL_ERROR]
    for server in servers[1:]:
        assert server.wait_closed() in ("fin", "rst")


def rapid_reset(client, n):
    number = client.next_id + 2 * n
    return (frame(http2.HEADERS, 5, number, http2.block(GET))
            + frame(http2.RST_STREAM, 0, number, struct.pack(">I", http2.CANCEL)))


def provoke(client, n):
    number = client.next_id + 2 * n
    return frame(http2.HEADERS, 5, number, http2.block(GET + [("connection", "close")]))


def provoke_by_window(client, n):
    number = client.next_id + 2 * n
    return (frame(http2.HEADERS, 4, number, http2.block(GET))
            + frame(http2.WINDOW_UPDATE, 0, number, b"\x7f\xff\xff\xff"))


FLOODS = {
    "settings": lambda client, n: frame(http2.SETTINGS),
    "ping": lambda client, n: frame(http2.PING, 0, 0, b"12345678"),
    "reset": rapid_reset,
    "provoked": provoke,
    "empty_data": lambda client, n: frame(http2.DATA, 0, 1),
    "window_update": lambda client, n: frame(http2.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
    "priority": lambda client, n: frame(http2.PRIORITY, 0, 1001 + 2 * n, b"\0\0\0\0\x10"),
    "unknown": lambda client, n: frame(0x42, 0, 0, b"x"),
    "goaway": lambda client, n: frame(http2.GOAWAY, 0, 0, b"\0" * 8),
}


def assert_flood_ends(rig, make, kind):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok") if request.target == "/" else None)
    gateway = rig.gateway(upstream)
    client = rig.http2(gateway, window=10)
    client.request("POST", "/upload", end=False)
    before = time.monotonic()
    try:
        for n in range(5000):
            client.send(make(client, n))
    except OSError:
        pass  # it has been closed meanwhile
    lasted = time.monotonic() - before
    client.read_to_end()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_http2_floods_total", frames=kind) == 1, f"5000 in {lasted} s"
    assert metrics.sum("sluice_http2_goaways_total", code="enhance_your_calm") == 1
    other = rig.http2(gateway)
    assert other.request("GET", "/").response()[1] == b"ok"


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_ends_the_connection(rig, kind):
    assert_flood_ends(rig, FLOODS[kind], kind)


def test_resets_that_a_window_too_large_provokes_are_a_flood(rig):
    # MadeYouReset, CVE-2025-8671. The updates themselves are counted, too, so either name is right.
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.http2(gateway)
    try:
        for n in range(5000):
            client.send(provoke_by_window(client, n))
    except OSError:
        pass
    client.read_to_end()
    assert gateway.metrics().sum("sluice_http2_floods_total") == 1


def test_updates_that_answer_data_are_no_flood(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream), window=20)
    stream = client.request()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    for _ in range(3000):
        server.chunk(b"data: 12345678901\n\n")
        assert stream.event()
        stream.open_window(19)
        client.open_window(1)
    server.end_chunks()
    assert stream.rest() == b""


def test_continuations_without_an_end(rig):
    upstream, gateway, client = serving(rig)
    client.round_trip()
    client.send(frame(http2.HEADERS, 1, 1, http2.block(GET))
                + b"".join(frame(http2.CONTINUATION, 0, 1, http2.block([(f"x-{n}", "v")])) for n in range(12)))
    assert client.read_to_end() == "fin"
    assert [code for _, code in client.goaways] == [http2.ENHANCE_YOUR_CALM]
    assert not upstream.requests
    metrics = gateway.metrics()
    assert metrics.sum("sluice_http2_goaways_total", code="enhance_your_calm") == 1
    assert metrics.sum("sluice_http2_floods_total", frames="continuation") == 1


def test_a_head_that_never_ends_has_its_time(rig):
    upstream, gateway, client = serving(rig, "--header-timeout", "200ms")
    client.round_trip()
    client.send(frame(http2.HEADERS, 1, 1, http2.block(GET)))
    assert client.read_to_end() in ("fin", "rst")
    assert gateway.metrics().sum("sluice_bad_requests_total", reason="header_timeout") == 1
    assert not upstream.requests


def test_a_client_that_only_says_the_preface_has_its_time(rig):
    _, _, client = serving(rig, "--header-timeout", "200ms", greet=False)
    client.send(http2.PREFACE)
    assert client.read_to_end() == "fin"


def test_a_body_that_does_not_come_has_its_time(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--body-timeout", "200ms")
    client = rig.http2(gateway)
    stream = client.request("POST", "/", end=False)
    stream.data(b"x")
    head, _ = stream.response()
    assert head.status == 408
    assert gateway.metrics().sum("sluice_bad_requests_total", reason="body_timeout") == 1


def test_a_header_bomb_costs_no_memory(rig):
    upstream, gateway, client = serving(rig)
    client.round_trip()
    before = gateway.resident_bytes()
    # One field of 4,000 bytes enters the table, and then each byte names it once more.
    field = b"\x40" + b"\x01x" + b"\x7f" + bytes([4000 - 127 & 127 | 128, 4000 - 127 >> 7]) + b"v" * 4000
    bomb = http2.block(GET) + field + b"\xbe" * 11_000
    for n in range(20):
        client.send(frame(http2.HEADERS, 5, 1 + 2 * n, bomb))
    client.next_id = 41
    client.round_trip()
    assert client.request("GET", "/fine").response()[1] == b"ok"
    assert gateway.resident_bytes() - before < 8_000_000
    assert [request.target for request in upstream.requests] == ["/fine"]
    assert gateway.metrics().sum("sluice_bad_requests_total", reason="head_too_large") == 20


def test_a_client_that_takes_nothing_is_closed(rig):
    # Its windows are open, and its socket is full.
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--write-timeout", "300ms")
    client = rig.http2(gateway, rcvbuf=4096)
    client.request("GET", "/bulk")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.sock.settimeout(0.01)
    event = b"data: " + b"x" * 8000 + b"\n\n"

    def pushed_until_closed():
        try:
            server.chunk(event)
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    wait_until(pushed_until_closed, "the upstream is cancelled")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_closes_total", reason="client_stalled") == 1
    assert metrics.sum("sluice_http2_stalled_total") == 1


def test_a_goaway_of_the_client_lets_streams_finish(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream))
    stream = client.request()
    server = upstream.accept()
    server.read_request()
    client.send(frame(http2.GOAWAY, 0, 0, struct.pack(">II", 0, 0)))
    server.respond(b"still")
    assert stream.response()[1] == b"still"


def test_a_preface_where_memory_has_run_out_for_heads(rig):
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"ok")), "--pool-max", "13m")
    heads = [rig.client(gateway) for _ in range(80)]
    for head in heads:
        head.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 15_000)
    for _ in range(5):
        rig.client(gateway).send(http2.PREFACE)
    for head in heads:
        head.close()
    wait_until(lambda: gateway.metrics().sum("sluice_active_streams") == 0, "they are gone")
    client = rig.client(gateway)
    client.get()
    assert client.response()[0].status == 200


def test_heads_that_never_end_are_accounted_for(rig):
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"ok")), "--pool-max", "13m")
    clients = [rig.http2(gateway) for _ in range(80)]
    fields = http2.block(GET + [(f"x-{i}", "y" * 1000) for i in range(15)])
    for client in clients:
        client.send(frame(http2.HEADERS, 0, 1, fields))
    wait_until(lambda: gateway.metrics().sum("sluice_http2_goaways_total") > 0, "some are ended")
