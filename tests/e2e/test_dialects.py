"""Dialects of language models: what a stream is taken for, how it is kept alive, how it ends, and
what goes to another upstream as long as it has no content."""

import json
import signal
import zlib

import pytest

from harness import wait_until

STREAM = b'{"messages":[],"model":"m","stream":true}'
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"


def typed(kind, **members):
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


def chunk(content, finish=None, **members):
    delta = {"content": content} if content is not None else {}
    return b"data: %b\n\n" % json.dumps({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **members}).encode()


ROLE = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
DONE = b"data: [DONE]\n\n"
START = typed("message_start", message={"id": "m", "content": [], "usage": {"input_tokens": 3}})
BLOCK = typed("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTA = typed("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
STOP = typed("message_stop")
OVERLOADED = typed("error", error={"type": "overloaded_error", "message": "Overloaded"})
CREATED = typed("response.created", sequence_number=0, response={"id": "r"})
TEXT = typed("response.output_text.delta", sequence_number=7, delta="Hi")
COMPLETED = typed("response.completed", sequence_number=8, response={"id": "r"})

# Path, what a stream begins with, its content, its last event.
DIALECTS = {
    "openai": (CHAT, ROLE, chunk("Hi"), DONE),
    "responses": (RESPONSES, CREATED, TEXT, COMPLETED),
    "anthropic": (MESSAGES, START + BLOCK, DELTA, STOP),
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def ask(rig, path, *flags, body=STREAM, fields=(), upstream=None):
    """A client and the upstream's end of its POST."""
    upstream = upstream or rig.upstream()
    client = rig.client(rig.gateway(upstream, *flags))
    client.request("POST", path, "Content-Type: application/json", "Accept: application/json", *fields, body=body)
    server = upstream.accept()
    server.request = server.read_request()
    return client, server


def stream(rig, path, *flags, **options):
    client, server = ask(rig, path, *flags, **options)
    server.start_events()
    assert client.read_head().status == 200
    return client, server


def error_of(event):
    """What the error event of a dialect says."""
    lines = event.strip().split(b"\n")
    data = json.loads(lines[-1].removeprefix(b"data: "))
    if lines[0].startswith(b"data:"):
        return data["error"]["code"]
    assert lines[0] == b"event: error"
    assert data["type"] == "error"
    return data["code"] if "code" in data else data["error"]["type"]


def total(gateway, name, **labels):
    return gateway.metrics().sum(name, **labels)


def test_the_log_and_the_list_say_what_it_is(rig, tmp_path):
    log = tmp_path / "log"
    gateway = rig.gateway(None, "--demo", "--access-log", str(log), "--access-log-format", "json")
    client = rig.client(gateway)
    client.request("POST", CHAT, body=b'{"messages":[],"stream":true,"tokens":3,"delay_ms":0}')
    assert client.response()[1].endswith(DONE)
    client.get("/events")
    lines = wait_until(lambda: log.exists() and log.read_text().splitlines(), "a line")
    assert json.loads(lines[0])["dialect"] == "openai"
    assert [one["dialect"] for one in wait_until(gateway.streams, "a stream")] == ["none"]
    assert total(gateway, "sluice_dialect_streams_total", dialect="openai") == 1
    client.close()


def test_other_streams_are_not_touched(rig):
    """Neither the path of a dialect nor a clean end makes a stream one that is judged."""
    client, server = stream(rig, MESSAGES)
    server.chunk(b"event: hello\ndata: 1\n\ndata: [DONE]\n\n: c\n\nevent: message_stop\ndata: {}\n\ndata: 2\n\n")
    server.end_chunks()
    assert client.body.rest().endswith(b"data: 2\n\n")
    assert total(rig.gateways[0], "sluice_late_events_total") == 0


def test_the_first_event_may_say_it_where_the_path_does_not(rig):
    client, server = rig.stream()
    server.chunk(START + DELTA)
    assert client.body.read(len(START + DELTA)) == START + DELTA
    server.close()
    assert error_of(client.body.until_abort()) == "api_error"


def test_the_upstream_is_asked_for_no_coding(rig):
    client, server = ask(rig, CHAT, fields=("Accept-Encoding: gzip",))
    assert server.request.all("accept-encoding") == ["identity"]
    plain = b"data: {}\n\ndata: [DONE]\n\n"
    server.respond(zlib.compress(plain, wbits=31), "Content-Type: text/event-stream", "Content-Encoding: gzip")
    assert client.response()[1] == plain  # unpacked, so that it can be looked into


# --- heartbeats ---

OFTEN = ("--heartbeat", "50ms")
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def test_anthropic_clients_get_pings_behind_the_start(rig):
    client, server = stream(rig, MESSAGES, *OFTEN)
    assert client.body.event() == b": heartbeat\n\n"
    server.chunk(START)
    while (event := client.body.event()) != START:
        assert event == b": heartbeat\n\n"
    assert [client.body.event() for _ in range(3)] == [PING] * 3
    server.chunk(STOP)
    while (event := client.body.event()) != STOP:
        assert event == PING
    assert client.body.event() == b": heartbeat\n\n"


@pytest.mark.parametrize("form, before, behind", [
    ("comment", b": heartbeat\n\n", b": heartbeat\n\n"),
    ("line", b"\n", b"\n"),
    ("event", b"\n", PING),
    ("chunk", b"\n", b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'),
])
def test_a_heartbeat_has_the_form_that_is_named(rig, form, before, behind):
    client, server = stream(rig, CHAT, *OFTEN, "--heartbeat-form", form)
    assert client.body.read(len(before) * 2) == before * 2
    server.chunk(chunk("Hi"))
    while not client.body.read(1).startswith(b"d"):
        pass
    assert client.body.read(len(chunk("Hi")) - 1) == chunk("Hi")[1:]
    assert client.body.read(len(behind) * 2) == behind * 2


@pytest.mark.parametrize("piece", [7, 1000])
def test_a_body_that_asks_for_a_stream_is_enough_for_an_early_head(rig, piece):
    """Of an SDK that accepts application/json, with a body in chunks."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, *OFTEN, "--heartbeat-head-after", "100ms"))
    client.send(b"POST %b HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                % CHAT.encode())
    for at in range(0, len(STREAM), piece):
        client.send(b"%x\r\n%b\r\n" % (len(STREAM[at:at + piece]), STREAM[at:at + piece]))
    client.send(b"0\r\n\r\n")
    server = upstream.accept()
    assert server.read_request().content == STREAM
    assert client.read_head().status == 200
    assert client.body.event() == b": heartbeat\n\n"
    server.start_events()
    server.chunk(chunk("Hi") + DONE)
    server.end_chunks()
    assert client.body.rest().endswith(chunk("Hi") + DONE)


def test_a_body_that_does_not_gets_none(rig):
    client, server = ask(rig, CHAT, *OFTEN, "--heartbeat-head-after", "50ms", body=b'{"stream":false}')
    client.assert_silent(0.2)
    server.respond(b"{}")
    assert client.response()[1] == b"{}"


# --- ends ---

@every_dialect
def test_a_cut_is_told_at_an_events_end(rig, dialect):
    path, start, content, _ = DIALECTS[dialect]
    client, server = stream(rig, path)
    server.chunk(start + content + content[:20])
    assert client.body.read(len(start + content)) == start + content
    server.close()
    event = client.body.until_abort()
    assert error_of(event) in ("upstream_truncated", "api_error")
    if dialect == "responses":
        assert b'"sequence_number":8}' in event
    assert total(rig.gateways[0], "sluice_error_events_total", dialect=dialect) == 1


@every_dialect
def test_a_clean_end_without_the_last_event_is_a_cut(rig, dialect):
    path, start, content, _ = DIALECTS[dialect]
    client, server = stream(rig, path)
    server.chunk(start + content)
    server.end_chunks()
    body = client.body.until_abort()
    assert body.startswith(start + content)
    assert error_of(body.removeprefix(start + content)) in ("upstream_truncated", "api_error")
    assert total(rig.gateways[0], "sluice_closes_total", reason="upstream_truncated") == 1


@every_dialect
def test_behind_the_last_event_nothing_passes_and_a_cut_is_an_end(rig, dialect):
    path, start, content, last = DIALECTS[dialect]
    client, server = stream(rig, path)
    server.chunk(start + content + last + content)
    server.chunk(content)
    server.reset()
    assert client.body.rest() == start + content + last
    assert total(rig.gateways[0], "sluice_late_events_total") == 2
    assert total(rig.gateways[0], "sluice_error_events_total") == 0


@every_dialect
@pytest.mark.parametrize("goes_on", [True, False])
def test_behind_the_last_event_the_answer_ends_though_its_upstream_does_not(rig, dialect, goes_on):
    path, start, content, last = DIALECTS[dialect]
    client, server = stream(rig, path)
    server.chunk(start + content + last)
    if goes_on:
        server.chunk(content)
    assert client.body.rest() == start + content + last
    server.wait_closed()
    assert total(rig.gateways[0], "sluice_late_events_total") == goes_on
    assert total(rig.gateways[0], "sluice_closes_total", reason="complete") == 1


def test_an_upstream_that_ends_soon_behind_the_last_event_keeps_its_connection(rig):
    upstream = rig.upstream()
    client, server = stream(rig, CHAT, upstream=upstream)
    server.chunk(chunk("Hi") + DONE)
    assert client.body.read(len(chunk("Hi") + DONE)) == chunk("Hi") + DONE
    server.end_chunks()
    assert client.body.rest() == b""
    client.request("POST", CHAT, body=STREAM)
    assert server.read_request().content == STREAM


@every_dialect
def test_whole_streams_are_byte_equal_wherever_they_are_cut(rig, dialect):
    path, start, content, last = DIALECTS[dialect]
    whole = start + content + content + last
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    server = None
    for cut in range(1, len(whole)):
        client.request("POST", path, body=STREAM)
        server = server or upstream.accept()
        server.read_request()
        server.start_events()
        server.chunk(whole[:cut])
        server.chunk(whole[cut:])
        server.end_chunks()
        assert client.response()[1] == whole


def test_error_events_can_be_turned_off(rig):
    client, server = stream(rig, MESSAGES, "--error-event", "off")
    server.chunk(START)
    server.close()
    assert client.body.until_abort() == START


def test_an_error_of_the_upstreams_is_told_once(rig):
    client, server = stream(rig, MESSAGES)
    server.chunk(START + OVERLOADED)
    server.close()
    assert client.body.until_abort() == START + OVERLOADED


def test_a_named_dialect_is_judged_from_the_start(rig):
    client, server = stream(rig, "/anything", "--dialect", "openai")
    server.end_chunks()
    assert error_of(client.body.until_abort()) == "upstream_truncated"


def test_silence_is_told(rig):
    client, server = stream(rig, CHAT, "--stream-idle-timeout", "200ms")
    server.chunk(chunk("Hi"))
    body = client.body.until_abort()
    assert error_of(body.removeprefix(chunk("Hi"))) == "upstream_idle_timeout"


def test_the_end_of_a_drain_is_told(rig):
    client, server = stream(rig, CHAT, "--shutdown-grace", "100ms")
    server.chunk(chunk("Hi"))
    assert client.body.event() == chunk("Hi")
    rig.gateways[0].signal(signal.SIGTERM)
    assert error_of(client.body.until_abort()) == "shutdown"
    assert rig.gateways[0].wait_exit() == 0


def test_the_end_of_a_drain_is_told_over_http2(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--shutdown-grace", "100ms")
    client = rig.http2(gateway)
    told = client.request("POST", CHAT, body=STREAM)
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(chunk("Hi"))
    assert told.head().status == 200
    assert told.event() == chunk("Hi")
    gateway.signal(signal.SIGTERM)
    assert error_of(told.event()) == "shutdown"
    assert told.wait_reset() != 0
    assert gateway.wait_exit() == 0


def test_a_stalled_client_does_not_hold_the_drain_up(rig):
    client, server = stream(rig, CHAT, "--shutdown-grace", "100ms")
    server.sock.settimeout(None)
    filler = chunk("x" * 2000)
    for _ in range(400):
        try:
            server.sock.setblocking(False)
            server.sock.send(b"%x\r\n%b\r\n" % (len(filler), filler))
        except BlockingIOError:
            break
    rig.gateways[0].signal(signal.SIGTERM)
    assert rig.gateways[0].wait_exit() == 0


def test_it_is_told_through_the_encoder(rig):
    client, server = stream(rig, CHAT, "--compress", "gzip", fields=("Accept-Encoding: gzip",))
    server.chunk(chunk("Hi"))
    server.close()
    plain = zlib.decompressobj(31).decompress(client.body.until_abort())
    assert error_of(plain.removeprefix(chunk("Hi"))) == "upstream_truncated"


def test_a_filter_may_drop_the_last_event(rig, tmp_path):
    config = tmp_path / "sluice.toml"
    config.write_text('[[filter]]\nname = "done"\nmatch = { data = "[DONE]" }\nactions = [ { drop = true } ]\n')
    client, server = stream(rig, CHAT, "--config", str(config), "--filters", "done")
    server.chunk(chunk("Hi") + DONE + chunk("late"))
    server.end_chunks()
    assert client.body.rest() == chunk("Hi")


def test_healing_ends_with_the_dialect(rig):
    """heal=always asks again behind a clean end, but not behind the last event."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--heal", "always", "--dialect", "openai")
    client = rig.client(gateway)
    client.get("/answer")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"retry: 1\n\nid: 1\n" + chunk("one"))
    server.end_chunks()
    again = upstream.accept()
    assert again.read_request().get("last-event-id") == "1"
    again.start_events()
    again.chunk(b"id: 2\n" + chunk("two") + b"id: 3\n" + DONE)
    again.end_chunks()
    client.read_head()
    assert client.body.rest() == b"retry: 1\n\nid: 1\n" + chunk("one") + b"id: 2\n" + chunk("two") + b"id: 3\n" + DONE


# --- the content gate ---

def gated(rig, first, second, *flags):
    """Two upstreams, of which the first one is asked first."""
    one, other = rig.upstream(first), rig.upstream(second)
    gateway = rig.gateway(None, "--upstream", one.url, "--upstream", other.url + ";backup", "--gate", "content",
                          *flags)
    return gateway, one, other


def serves(path_start, content, last):
    def serve(server, request):
        server.start_events()
        server.chunk(path_start)
        server.chunk(content + last)
        server.end_chunks()
    return serve


def held(gateway):
    """Events of a stream have come, and its client has no head yet."""
    return any(one["state"] == "streaming" and one["status"] == 0 for one in gateway.streams())


def post(rig, gateway, path, body=STREAM):
    client = rig.client(gateway)
    client.request("POST", path, body=body)
    return client


ERRORS = {
    "openai": b'data: {"error":{"message":"busy","type":"server_error"}}\n\n',
    "responses": typed("error", code="insufficient_quota", message="no"),
    "anthropic": OVERLOADED,
}


@every_dialect
def test_an_error_before_content_goes_to_another_upstream(rig, dialect):
    path, start, content, last = DIALECTS[dialect]

    def fails(server, request):
        server.start_events()
        server.chunk(start)
        server.chunk(ERRORS[dialect])
        server.end_chunks()

    gateway, one, other = gated(rig, fails, serves(start, content, last))
    head, body = post(rig, gateway, path).response()
    assert (head.status, body) == (200, start + content + last)
    assert other.requests[0].content == STREAM
    assert total(gateway, "sluice_content_gates_total", outcome="failed_over") == 1
    assert total(gateway, "sluice_content_gates_total", outcome="content") == 1


def test_an_error_about_the_request_passes(rig):
    wrong = typed("error", error={"type": "invalid_request_error", "message": "too long"})

    def refuses(server, request):
        server.start_events()
        server.chunk(START + wrong)
        server.end_chunks()

    gateway, one, other = gated(rig, refuses, serves(START, DELTA, STOP))
    assert post(rig, gateway, MESSAGES).response()[1] == START + wrong
    assert not other.requests


def test_an_error_behind_content_passes(rig):
    def fails(server, request):
        server.start_events()
        server.chunk(START + DELTA + OVERLOADED)
        server.end_chunks()

    gateway, one, other = gated(rig, fails, serves(START, DELTA, STOP))
    assert post(rig, gateway, MESSAGES).response()[1] == START + DELTA + OVERLOADED
    assert not other.requests


@pytest.mark.parametrize("how", ["close", "reset", "end_chunks"])
@pytest.mark.parametrize("repeat", ["on", "off"])
def test_a_cut_before_content_is_a_failure_before_the_head(rig, how, repeat):
    def breaks(server, request):
        server.start_events()
        server.chunk(START + BLOCK)
        wait_until(lambda: held(gateway), "it is there")
        getattr(server, how)()

    gateway, one, other = gated(rig, breaks, serves(START, DELTA, STOP), "--retry-non-idempotent", repeat)
    head, body = post(rig, gateway, MESSAGES).response()
    if repeat == "on":
        assert (head.status, body) == (200, START + DELTA + STOP)
    else:  # a POST may have been executed
        assert head.status == 502
        assert not other.requests


def test_a_gate_opens_after_its_time(rig):
    client, server = ask(rig, MESSAGES, "--gate", "content", "--gate-time", "100ms")
    server.start_events()
    server.chunk(START)
    assert client.read_head().status == 200
    assert client.body.event() == START
    server.chunk(STOP)
    assert client.body.event() == STOP
    assert total(rig.gateways[0], "sluice_content_gates_total", outcome="time") == 1


def test_a_client_that_wants_a_head_gets_it_while_the_gate_holds(rig):
    client, server = ask(rig, MESSAGES, "--gate", "content", *OFTEN, "--heartbeat-head-after", "50ms")
    server.start_events()
    server.chunk(START)
    assert client.read_head().status == 200
    assert client.body.event() == b": heartbeat\n\n"
    server.chunk(DELTA)
    while (event := client.body.event()) == b": heartbeat\n\n":
        pass
    assert (event, client.body.event()) == (START, DELTA)


def test_the_gate_holds_over_http2(rig):
    def fails(server, request):
        server.start_events()
        server.chunk(START + OVERLOADED)
        server.end_chunks()

    gateway, one, other = gated(rig, fails, serves(START, DELTA, STOP))
    client = rig.http2(gateway)
    head, body = client.request("POST", MESSAGES, body=STREAM).response()
    assert (head.status, body) == (200, START + DELTA + STOP)


def test_filters_see_what_a_gate_has_held(rig, tmp_path):
    config = tmp_path / "sluice.toml"
    config.write_text('[[filter]]\nname = "blocks"\nmatch = { event = "content_block_start" }\n'
                      'actions = [ { drop = true } ]\n'
                      '[[filter]]\nname = "model"\nmatch = { event = "message_start" }\n'
                      'actions = [ { set = "/message/model", value = "ours" } ]\n')
    client, server = ask(rig, MESSAGES, "--gate", "content", "--config", str(config), "--filters", "blocks,model")
    server.start_events()
    server.chunk(START)
    server.chunk(BLOCK + DELTA[:10])
    server.chunk(DELTA[10:] + STOP)
    server.end_chunks()
    client.read_head()
    started = client.body.event()
    assert b'"model":"ours"' in started.replace(b" ", b"")
    assert client.body.rest() == DELTA + STOP


def test_a_client_that_leaves_a_closed_gate_leaves_nothing(rig):
    client, server = ask(rig, MESSAGES, "--gate", "content")
    server.start_events()
    server.chunk(START)
    wait_until(lambda: held(rig.gateways[0]), "it has come")
    client.close()
    server.wait_closed()
    assert total(rig.gateways[0], "sluice_content_gates_total", outcome="ended") == 1


def test_a_byte_order_mark_that_a_heartbeat_has_overtaken_is_none(rig):
    """The gate holds it, and an early head and its heartbeat leave meanwhile."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--gate", "content", "--gate-time", "60s", "--heartbeat-head-after", "100ms",
                          *OFTEN)
    client = post(rig, gateway, CHAT)
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"\xef\xbb\xbf" + ROLE)
    client.read_head()
    assert client.body.event() == b": heartbeat\n\n"
    server.chunk(chunk("Hi") + DONE)
    server.end_chunks()
    assert client.body.rest().replace(b": heartbeat\n\n", b"") == ROLE + chunk("Hi") + DONE


def test_nor_is_that_of_the_next_attempt(rig):
    one, other = rig.upstream(), rig.upstream()
    gateway = rig.gateway(None, "--upstream", one.url, "--upstream", other.url + ";backup", "--gate", "content",
                          "--gate-time", "60s", "--heartbeat-head-after", "100ms", *OFTEN)
    client = post(rig, gateway, CHAT)
    server = one.accept()
    server.read_request()
    server.start_events()
    server.chunk(ROLE)
    client.read_head()
    assert client.body.event() == b": heartbeat\n\n"
    server.chunk(ERRORS["openai"])
    server = other.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"\xef\xbb\xbf" + ROLE + chunk("Hi") + DONE)
    server.end_chunks()
    assert client.body.rest().replace(b": heartbeat\n\n", b"") == ROLE + chunk("Hi") + DONE


def test_ids_that_the_gate_held_count_as_delivered(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--gate", "content", "--gate-time", "60s", "--dialect", "openai")
    client = rig.client(gateway)
    client.get("/answer")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    first, second, third = b"id: 1\n" + ROLE, b"id: 2\n" + chunk("Hi"), b"id: 3\n" + DONE
    server.chunk(b"retry: 1\n\n" + first)
    wait_until(lambda: held(gateway), "the gate holds it")
    server.chunk(second)
    client.read_head()
    assert client.body.read(len(b"retry: 1\n\n" + first + second)) == b"retry: 1\n\n" + first + second
    server.reset()
    again = upstream.accept()
    assert again.read_request().get("last-event-id") == "2"
    again.start_events()
    again.chunk(first + second + third)  # it begins anew all the same
    again.end_chunks()
    assert client.body.rest() == third


def test_nothing_of_an_attempt_that_failed_behind_the_gate_gets_into_the_next(rig):
    """All of its packed answer has come, and more than is unpacked at once: the error is found when
    its connection has long gone, and unfinished bytes stand behind it."""
    start = ROLE * (60_000 // len(ROLE))
    error = b'data: {"error":{"message":"%b","type":"server_error"}}\n\n' % (b"busy " * 2000)

    def fails(server, request):
        server.respond(zlib.compress(start + error + b"data: {\n", wbits=31), "Content-Type: text/event-stream",
                       "Content-Encoding: gzip")

    gateway, one, other = gated(rig, fails, serves(ROLE, chunk("Hi"), DONE))
    head, body = post(rig, gateway, CHAT).response()
    assert (head.status, body) == (200, ROLE + chunk("Hi") + DONE)
    assert total(gateway, "sluice_content_gates_total", outcome="failed_over") == 1
