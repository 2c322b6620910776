"""A route's filters see every event of a stream, however it comes and wherever it goes: one by one,
torn, healed, over HTTP/2."""

import contextlib
import gzip

import pytest

from harness import Aborted
from harness.wire import wait_until

FILTERS = """
[[filter]]
name = "pings"
match = { event = "ping" }
actions = [ { drop = true } ]

[[filter]]
name = "model"
match = { json = { pointer = "/model" } }
actions = [ { set = "/model", value = "ours" } ]

[[filter]]
name = "mail"
actions = [ { redact = '[a-z]+@[a-z.]+', with = "[mail]" } ]

[[filter]]
name = "hello"
match = { data = "first" }
actions = [ { add-before = { event = "hello", data = "1" } } ]

[[filter]]
name = "stop"
match = { json = { pointer = "/stop", equals = true } }
actions = [ { drop = true }, { end = { event = "bye", data = "{}" } } ]

[[filter]]
name = "grow"
actions = [ { set = "/x", value = "%s" } ]

[[filter]]
name = "guests"
match = { field = { name = "x-user", exists = false }, path = "/events" }
actions = [ { remove = "/secret" } ]
""" % ("y" * 1000)


@pytest.fixture
def flags(tmp_path):
    path = tmp_path / "sluice.toml"
    path.write_text(FILTERS)

    def with_filters(names, *more):
        return ("--config", str(path), "--filters", names, *more)
    return with_filters


PLAIN = b"id: 1\ndata: plain\n\n"
PING = b"event: ping\nid: 2\ndata: {}\n\n"
MODEL = b'id: 3\r\ndata: {"n": 1.50, "model":"theirs"}\r\n\r\n'
SET = b'id: 3\r\ndata: {"n": 1.50, "model":"ours"}\r\n\r\n'


def test_events_of_one_read(rig, flags):
    client, server = rig.stream(*flags("pings,model"))
    server.chunk(PLAIN + PING + PLAIN + MODEL + MODEL + b": c\n\n" + PING)
    server.end_chunks()
    assert client.body.rest() == PLAIN + PLAIN + SET + SET + b": c\n\n"
    metrics = rig.gateways[0].metrics()
    assert metrics.sum("sluice_filter_events_total", filter="pings", action="dropped") == 2
    assert metrics.sum("sluice_filter_events_total", filter="model", action="changed") == 2
    assert metrics.sum("sluice_events_total") == 6
    assert metrics.sum("sluice_buffer_pool_allocations_total", pool="json") > 0


def test_cut_at_every_byte(rig, flags):
    whole = PLAIN + MODEL + PING + MODEL
    client, server = rig.stream(*flags("pings,model"))
    for _ in range(2):
        for cut in range(len(whole)):
            server.chunk(whole[:cut] if cut else b": c\n\n")
            server.chunk(whole[cut:])
            expected = (b"" if cut else b": c\n\n") + PLAIN + SET + SET
            assert client.body.read(len(expected)) == expected
    for byte in whole:
        server.chunk(bytes([byte]))
    assert client.body.read(len(PLAIN + SET + SET)) == PLAIN + SET + SET


def test_over_http2(rig, flags):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *flags("pings,model,hello"))
    client = rig.http2(gateway)
    stream = client.request()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"data: first\n\n" + PING + MODEL)
    server.end_chunks()
    assert stream.response()[1] == b"event: hello\ndata: 1\n\ndata: first\n\n" + SET


def test_the_upstream_is_asked_for_no_coding(rig, flags):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *flags("pings"))
    rig.client(gateway).get("/events", "Accept-Encoding: gzip", "accept_encoding: br")
    request = upstream.accept().read_request()
    assert request.all("accept-encoding") == ["identity"]


def test_another_request_keeps_its_own(rig, flags):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *flags("guests"))
    rig.client(gateway).get("/events", "X-User: a", "Accept-Encoding: gzip")
    assert upstream.accept().read_request().all("accept-encoding") == ["gzip"]


def test_an_encoded_stream_is_refused(rig, flags):
    client, server = rig.exchange(*flags("pings", "--on-encoded", "refuse"))
    server.respond(gzip.compress(PING), "Content-Type: text/event-stream", "Content-Encoding: gzip")
    head, _ = client.response()
    assert head.status == 502
    assert rig.gateways[0].metrics().sum("sluice_closes_total", reason="upstream_bad_response") == 1


def test_an_encoded_stream_may_pass(rig, flags):
    client, server = rig.exchange(*flags("pings", "--on-encoded", "pass"))
    encoded = gzip.compress(PING)
    server.respond(encoded, "Content-Type: text/event-stream", "Content-Encoding: gzip")
    assert client.response()[1] == encoded
    wait_until(lambda: "passes unfiltered" in rig.gateways[0].errors(), "a warning")
    assert rig.gateways[0].metrics().sum("sluice_unfiltered_streams_total") == 1


def test_other_bodies_pass(rig, flags):
    client, server = rig.exchange(*flags("pings"))
    server.respond(PING, "Content-Type: text/plain")
    assert client.response()[1] == PING


def test_a_filter_ends_the_stream(rig, flags):
    client, server = rig.stream(*flags("stop"))
    server.chunk(PLAIN + b'data: {"stop": true}\n\n' + PLAIN + b"data: un")
    assert client.body.rest() == PLAIN + b"event: bye\ndata: {}\n\n"
    server.wait_closed()
    client.get()  # the connection is good for another
    assert rig.upstreams[0].accept().read_request()


def test_the_request_chooses(rig, flags):
    event = b'data: {"secret":1,"a":2}\n\n'
    upstream = rig.upstream(lambda server, request: (server.start_events(), server.chunk(event),
                                                     server.end_chunks()))
    gateway = rig.gateway(upstream, *flags("guests"))

    def answer(target, *fields):
        client = rig.client(gateway)
        client.get(target, *fields)
        return client.response()[1]
    assert answer("/events") == b'data: {"a":2}\n\n'
    assert answer("/events", "X-User: a") == event
    assert answer("/other") == event


LONG = b"id: 2\ndata: " + b"x" * 9000 + b"\n\n"


@pytest.mark.parametrize("what", ["pass", "drop", "end"])
def test_an_event_that_is_too_long(rig, flags, what):
    client, server = rig.stream(*flags("mail", "--event-hold", "8k", "--on-oversize", what))
    server.chunk(PLAIN + LONG[:9000])
    rig.gateways[0].wait_metric("sluice_filter_oversize_events_total", 1)
    if what != "end":
        server.chunk(LONG[9000:])
    if what != "end":
        server.chunk(b'data: {"a":"a@b.c"}\n\n')
        server.end_chunks()
    expected = {"pass": PLAIN + LONG + b'data: {"a":"[mail]"}\n\n',
                "drop": PLAIN + b'data: {"a":"[mail]"}\n\n',
                "end": PLAIN}
    assert client.body.rest() == expected[what]
    assert rig.gateways[0].metrics().sum("sluice_filter_oversize_events_total", action=what) == 1


@pytest.mark.parametrize("what", ["pass", "drop"])
def test_a_line_end_of_a_long_event_may_be_cut(rig, flags, what):
    """The LF of its CR LF, in a read of its own, is no empty line."""
    client, server = rig.stream(*flags("pings", "--event-hold", "8k", "--on-oversize", what))
    long = b"data: " + b"a" * 9000 + b"\r"
    server.chunk(long)
    rig.gateways[0].wait_metric("sluice_filter_oversize_events_total", 1)
    server.chunk(b"\nevent: ping\r\ndata: {}\r\n\r\n")
    server.chunk(b"data: next\n\n")
    server.end_chunks()
    rest = client.body.rest()
    assert rest.endswith(b"data: next\n\n")
    assert rest.startswith(long + b"\nevent: ping\r\ndata: {}\r\n\r\n") == (what == "pass")


def test_what_has_no_end_is_not_seen_by_the_client_either(rig, flags):
    client, server = rig.stream(*flags("mail"))
    server.chunk(PLAIN + b'data: {"a":"a@b.c"}\n')
    server.end_chunks()
    assert client.body.rest() == PLAIN


def test_a_dropped_event_counts_as_delivered(rig, flags):
    """The stream breaks behind an event that was dropped: the upstream is asked for what follows it,
    and what it repeats is dropped by its id, before any filter."""
    asked = []

    def play(server, request):
        asked.append(request.get("last-event-id"))
        server.start_events()
        if len(asked) == 1:
            server.chunk(PLAIN + PING + b"data: {\"model\"")
            server.close()
        else:
            server.chunk(PING + MODEL + b"event: ping\nid: 4\ndata: {}\n\n")
            server.end_chunks()
    upstream = rig.upstream(play)
    gateway = rig.gateway(upstream, *flags("pings,model"))
    client = rig.client(gateway)
    client.get()
    assert client.read_head().status == 200
    assert client.body.rest() == PLAIN + SET
    assert asked == [None, "2"]
    metrics = gateway.metrics()
    assert metrics.sum("sluice_heals_total", result="resumed") == 1
    assert metrics.sum("sluice_filter_events_total", filter="pings", action="dropped") == 2
    assert metrics.sum("sluice_duplicate_events_total") == 1


def test_an_event_without_an_id_is_filtered_behind_a_resumption(rig, flags):
    asked = []

    def play(server, request):
        asked.append(request.get("last-event-id"))
        server.start_events()
        if len(asked) == 1:
            server.chunk(PLAIN)
            server.close()
        else:
            server.chunk(b'data: {"a":"a@b.c"}\n\n' + MODEL)
            server.end_chunks()
    gateway = rig.gateway(rig.upstream(play), *flags("mail,model"))
    client = rig.client(gateway)
    client.get()
    assert client.read_head().status == 200
    assert client.body.rest() == PLAIN + b'data: {"a":"[mail]"}\n\n' + SET
    assert asked == [None, "1"]


def test_a_slow_client_gets_all(rig, flags):
    count = 100000
    events = b"".join(b'id: %d\ndata: {"model":"x","n":%d}\n\n' % (i, i) for i in range(count))
    expected = events.replace(b'"x"', b'"ours"')

    def play(server, request):
        server.start_events()
        server.chunk(events)
        server.end_chunks()
    gateway = rig.gateway(rig.upstream(play), *flags("model", "--client-sndbuf", "16k"))
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    assert client.read_head().status == 200
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    assert client.body.rest() == expected


def test_clients_that_take_nothing_give_way_to_others(rig, flags):
    """What filters have written for them is memory that others need."""
    def answer(server, request):
        server.start_events()
        if request.target == "/prompt":
            for _ in range(20):
                server.chunk(b'data: {"i":"' + b"g" * 20_000 + b'"}\n\n')
            return server.end_chunks()
        with contextlib.suppress(OSError):
            for _ in range(400):
                server.chunk(b'data: {"a":1}\n\n' * 200)
        return None

    gateway = rig.gateway(rig.upstream(answer), *flags(
        "grow", "--pool-max", "8m", "--pool-json", "8k:16", "--pool-sse-event", "4k:200", "--pool-http-message", "16k:64",
        "--client-sndbuf", "8k", "--heal", "off"))
    for _ in range(60):
        rig.client(gateway, rcvbuf=4096).get("/stalled")
    gateway.wait_metric("sluice_closes_total", 1, reason="overloaded")

    def served():
        prompt = rig.client(gateway)
        prompt.get("/prompt")
        try:
            return prompt.response()[1].count(b"data:") == 20
        except Aborted:
            return False

    # Those that have taken nothing for two seconds; long before --write-timeout.
    wait_until(lambda: all(served() for _ in range(6)), "all are served", 20)


def test_a_reload_is_for_streams_that_begin_then(rig, flags, tmp_path):
    client, server = rig.stream(*flags("model"))
    (tmp_path / "sluice.toml").write_text(FILTERS.replace('"ours"', '"new"'))
    assert rig.gateways[0].admin("/reload", method="POST")
    server.chunk(MODEL)
    server.end_chunks()
    assert client.body.rest() == SET
    second = rig.client(rig.gateways[0])
    second.get()
    assert server.read_request()  # on the connection that was kept
    server.start_events()
    server.chunk(MODEL)
    server.end_chunks()
    assert second.response()[1] == SET.replace(b"ours", b"new")


SEARCHES = """
[[filter]]
name = "square"
actions = [ { redact = 'a.*z|a', with = "b" } ]
"""


@pytest.mark.parametrize("what", ["pass", "drop", "end"])
def test_an_event_that_takes_too_long_to_search_never_passes(rig, tmp_path, what):
    path = tmp_path / "searches.toml"
    path.write_text(SEARCHES)
    client, server = rig.stream("--config", str(path), "--filters", "square", "--on-invalid", what)
    server.chunk(b'data: "%s"\n\n' % (b"a" * 60000))
    if what != "end":
        server.chunk(b'data: "xa"\n\n')
        server.end_chunks()
    assert client.body.rest() == (b"" if what == "end" else b'data: "xb"\n\n')
    metrics = rig.gateways[0].metrics()
    assert metrics.sum("sluice_filter_events_total", filter="square", action="unsearched") == 1
