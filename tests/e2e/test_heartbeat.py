"""A quiet event stream is kept alive by comments, between events only."""

import pytest

HEARTBEAT = b": heartbeat\n\n"
OFTEN = ("--heartbeat", "50ms")
QUIET_S = 0.3


def next_event(client):
    """The next event that is not a heartbeat."""
    while (event := client.body.event()) == HEARTBEAT:
        pass
    return event


def test_a_slow_upstream_is_bridged(rig):
    client, server = rig.stream(*OFTEN)
    assert [client.body.event() for _ in range(3)] == [HEARTBEAT] * 3
    server.chunk(b"data: 1\n\n")
    assert next_event(client) == b"data: 1\n\n"
    rig.gateways[0].wait_metric("sluice_heartbeats_total", 3)


def test_a_heartbeat_never_falls_inside_an_event(rig):
    client, server = rig.stream(*OFTEN)
    server.chunk(b"data: 1\n\ndata: 2\n")
    assert client.body.event() == b"data: 1\n\n"
    client.assert_silent(QUIET_S)
    server.chunk(b"\n")
    assert client.body.event() == b"data: 2\n\n"
    assert client.body.event() == HEARTBEAT


def test_a_heartbeat_never_falls_inside_an_event_that_is_cut_through(rig):
    client, server = rig.stream(*OFTEN, "--event-hold", "4k", "--buffer-size", "4k")
    server.chunk(b"data: " + b"x" * 20_000)
    assert client.body.read(20_006).startswith(b"data: x")
    client.assert_silent(QUIET_S)
    server.chunk(b"\n\n")
    assert client.body.read(2) == b"\n\n"
    assert client.body.event() == HEARTBEAT


def test_zero_turns_it_off(rig):
    client, server = rig.stream("--heartbeat", "0")
    client.assert_silent(QUIET_S)


def test_a_route_has_its_own(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--heartbeat", "0",
                          "--route", f"path=/often,upstream={upstream.url},heartbeat=50ms")
    for target in ("/never", "/often"):
        client = rig.client(gateway)
        client.get(target)
        server = upstream.accept()
        server.read_request()
        server.start_events()
        client.read_head()
        if target == "/often":
            assert client.body.event() == HEARTBEAT
        else:
            client.assert_silent(QUIET_S)


def test_no_transform_from_the_upstream_forbids_it(rig):
    client, server = rig.exchange(*OFTEN)
    server.start_events("Cache-Control: no-cache, no-transform")
    client.read_head()
    client.assert_silent(QUIET_S)


def test_no_transform_from_the_client_forbids_it(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, *OFTEN))
    client.get("/events", "Cache-Control: no-transform")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    client.read_head()
    client.assert_silent(QUIET_S)


def test_a_route_that_names_it_overrides_no_transform(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--route",
                                    f"path=/events,upstream={upstream.url},heartbeat=50ms"))
    client.get()
    server = upstream.accept()
    server.read_request()
    server.start_events("Cache-Control: no-transform")
    client.read_head()
    assert client.body.event() == HEARTBEAT


@pytest.mark.parametrize("fields", [
    ("Content-Type: text/event-stream", "Content-Encoding: gzip"),
    ("Content-Type: text/plain",),
])
def test_only_plain_event_streams_have_it(rig, fields):
    client, server = rig.exchange(*OFTEN)
    server.send_head(*fields, "Transfer-Encoding: chunked")
    client.read_head()
    client.assert_silent(QUIET_S)


def test_not_before_the_head_by_default(rig):
    client, server = rig.exchange(*OFTEN)
    client.assert_silent(QUIET_S)
    server.start_events()
    assert client.read_head().status == 200


def test_head_after_commits_an_event_stream(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, *OFTEN, "--heartbeat-head-after", "50ms"))
    client.get("/events", "Accept: text/event-stream")
    server = upstream.accept()
    server.read_request()
    head = client.read_head()
    assert head.status == 200
    assert head.get("content-type") == "text/event-stream"
    assert client.body.event() == HEARTBEAT
    server.start_events()
    server.chunk(b"data: 1\n\n")
    assert next_event(client) == b"data: 1\n\n"
    server.end_chunks()
    assert set(client.body.rest().split(b"\n\n")) <= {b": heartbeat", b""}


def test_head_after_aborts_where_the_upstream_then_refuses(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, *OFTEN, "--heartbeat-head-after", "50ms"))
    client.get("/events", "Accept: text/event-stream")
    server = upstream.accept()
    server.read_request()
    assert client.read_head().status == 200
    server.respond(b"no", status="500 No")
    assert b"no" not in client.body.until_abort().replace(HEARTBEAT, b"")


def test_head_after_needs_a_request_for_an_event_stream(rig):
    client, server = rig.exchange(*OFTEN, "--heartbeat-head-after", "50ms")
    client.assert_silent(QUIET_S)
    server.respond(b"", status="404 Not Found")
    assert client.read_head().status == 404


def test_head_after_leaves_a_head_request_alone(rig):
    """The answer to HEAD has no body, so nothing can be kept alive in it."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, *OFTEN, "--heartbeat-head-after", "50ms"))
    client.request("HEAD", "/events", "Accept: text/event-stream")
    client.get("/next")  # pipelined: a stray byte would be taken for its answer
    server = upstream.accept()
    assert server.read_request().method == "HEAD"
    client.assert_silent(QUIET_S)
    server.send_head("Content-Type: text/event-stream", "X-From: upstream")
    assert client.read_head(to_head=True).get("x-from") == "upstream"
    server = upstream.accept() if server.read_request() is None else server
    client.assert_silent(QUIET_S)
    server.respond(b"next")
    assert client.response()[1] == b"next"
