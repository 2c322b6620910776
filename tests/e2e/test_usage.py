"""usage=on: each request to a language model has one record of its tokens, whatever its dialect and
however it ends; OpenAI's streams are asked for usage, and clients that did not ask see nothing of it."""

import json
import os
import select
import signal
import threading
import zlib

import pytest

from harness import wait_until

JSON = "Content-Type: application/json"
CHAT = "/v1/chat/completions"
ASKED = {"include_usage": True}


def chunk(**members):
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06",
                                   **members}, separators=(",", ":")).encode() + b"\n\n"


def delta(text, **members):
    return chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], usage=None, **members)


FIRST = chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}], usage=None)
STOP = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None)
USAGE = chunk(choices=[], usage={"prompt_tokens": 19, "completion_tokens": 10,
                                 "prompt_tokens_details": {"cached_tokens": 7},
                                 "completion_tokens_details": {"reasoning_tokens": 4}})
DONE = b"data: [DONE]\n\n"
TOKENS = {"input_tokens": 19, "output_tokens": 10, "cached_tokens": 7, "reasoning_tokens": 4}


class Usage:
    """A gateway that counts, its usage log, and exchanges of JSON through it."""

    def __init__(self, rig, tmp_path, *flags):
        self.rig = rig
        self.path = tmp_path / "usage.log"
        self.access = tmp_path / "access.log"
        self.upstream = rig.upstream()
        self.gateway = rig.gateway(self.upstream, "--usage", "on", "--usage-log", str(self.path), "--access-log",
                                   str(self.access), "--access-log-format", "json", "--upstream-keepalive", "0",
                                   *flags)

    def ask(self, target=CHAT, *fields, client=None, **members):
        """A client that has asked, the upstream's end, and the request that it has got."""
        client = client or self.rig.client(self.gateway)
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hi!"}], **members})
        client.request("POST", target, JSON, *fields, body=body.encode())
        server = self.upstream.accept()
        server.request = server.read_request()
        return client, server

    def stream(self, *pieces, target=CHAT, fields=(), stream=True, **members):
        """The same, with a stream that has begun with these pieces."""
        client, server = self.ask(target, *fields, stream=stream, **members)
        server.start_events()
        for piece in pieces:
            server.chunk(piece)
        assert client.read_head().status == 200
        return client, server

    def records(self, count=1):
        def read(path):
            return path.read_text().splitlines() if path.exists() else []

        wait_until(lambda: len(read(self.path)) >= count and len(read(self.access)) >= count, f"{count} records")
        records = [json.loads(line) for line in read(self.path)]
        assert len(records) == count
        logged = [json.loads(line) for line in read(self.access)]
        for record in records:  # the access log says the same
            of_access = next(line for line in logged if line["id"] == record["id"])
            assert all(of_access[name] == record[name] for name in record if name != "time")
        return records

    def record(self):
        return self.records()[0]


@pytest.fixture
def usage(rig, tmp_path):
    return Usage(rig, tmp_path)


def tokens(record):
    return {name: value for name, value in record.items() if name.endswith("_tokens")}


def test_a_chat_is_asked_for_usage_and_its_chunk_is_hidden(usage):
    client, server = usage.stream(FIRST, delta("Hel"), delta("lo"), STOP, USAGE, DONE)
    asked = json.loads(server.request.content)
    assert asked.pop("stream_options") == ASKED
    assert asked == {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hi!"}], "stream": True}
    server.end_chunks()
    assert client.body.rest() == FIRST + delta("Hel") + delta("lo") + STOP + DONE
    record = usage.record()
    assert tokens(record) == TOKENS
    assert (record["usage_source"], record["model"], record["answering_model"]) == (
        "reported", "gpt-4o", "gpt-4o-2024-08-06")
    assert (record["route"], record["status"], record["ending"], record["content_events"]) == ("/", 200, "complete", 2)
    assert record["first_event_ms"] <= record["first_content_ms"] <= record["time_ms"]
    assert record["upstream"] == usage.upstream.url
    metrics = usage.gateway.metrics()
    labels = {"route": "/", "model": "gpt-4o"}
    assert metrics.sum("sluice_llm_requests_total", source="reported", **labels) == 1
    assert metrics.sum("sluice_llm_tokens_total", kind="output", **labels) == 10
    assert metrics.sum("sluice_llm_hidden_chunks_total") == 1
    assert metrics.sum("sluice_llm_time_to_first_content_seconds_count") == 1
    assert metrics.sum("sluice_llm_content_gap_seconds_count") == 1
    shares = [metrics.sum("sluice_llm_content_gap_quantile_seconds", quantile=q) for q in ("0.5", "0.99", "0.999")]
    assert shares[0] > 0 and len(set(shares)) == 1
    assert metrics.sum("sluice_llm_time_per_output_token_seconds_count") == 1


def test_a_client_that_asks_for_usage_sees_it(usage):
    client, server = usage.stream(delta("Hello"), USAGE, DONE, stream_options=ASKED)
    assert json.loads(server.request.content)["stream_options"] == ASKED
    server.end_chunks()
    assert client.body.rest() == delta("Hello") + USAGE + DONE
    assert tokens(usage.record()) == TOKENS


def test_a_client_that_wants_none_is_respected(usage):
    client, server = usage.stream(delta("Hello, you."), DONE, stream_options={"include_usage": False})
    assert json.loads(server.request.content)["stream_options"] == {"include_usage": False}
    server.end_chunks()
    client.body.rest()
    record = usage.record()
    assert record["usage_source"] == "estimated"
    assert tokens(record) == {"input_tokens": 2, "output_tokens": 3}


@pytest.mark.parametrize("cut", [1, 9, 30])
@pytest.mark.parametrize("chunked", [True, False])
def test_requests_in_pieces(usage, cut, chunked):
    body = b'{"model":"m","stream" : true,"messages":[{"content":"Hi"}]}\n'
    client = usage.rig.client(usage.gateway)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    client.send(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{JSON}\r\n{framing}\r\n\r\n".encode())
    server = usage.upstream.accept()
    for piece in (body[i:i + cut] for i in range(0, len(body), cut)):
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        client.send(b"0\r\n\r\n")
    assert server.read_request().content == body[:-2] + b',"stream_options":{"include_usage":true}}\n'
    server.respond(b"{}", JSON)
    client.response()


def test_a_request_that_needs_nothing_is_the_same_json(usage):
    body = b'{"model": "m", "messages": []}'
    client = usage.rig.client(usage.gateway)
    client.request("POST", CHAT, JSON, body=body)
    server = usage.upstream.accept()
    content = server.read_request().content
    assert content.rstrip(b" ") == body and len(content) <= len(body) + 40
    server.respond(b"{}", JSON)
    client.response()


@pytest.mark.parametrize("fields", [("Content-Type: text/plain",), (JSON, "Content-Encoding: gzip"),
                                    (JSON, "Content-Digest: sha-256=:x:")])
def test_a_body_that_must_not_change_stays(usage, fields):
    body = b'{"stream":true}'
    client = usage.rig.client(usage.gateway)
    client.request("POST", CHAT, *fields, body=body)
    server = usage.upstream.accept()
    assert server.read_request().content == body
    server.respond(b"{}", JSON)
    client.response()


ANTHROPIC = [
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude","content":[],"usage":'
    b'{"input_tokens":25,"cache_read_input_tokens":5,"cache_creation_input_tokens":11,"output_tokens":1}}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello"}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":'
    b'{"output_tokens":15}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n']
RESPONSES = [
    b'event: response.created\ndata: {"type":"response.created","response":{"model":"gpt-4.1","usage":null}}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hello"}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"output":[{"text":"Hello"}],"usage":'
    b'{"input_tokens":36,"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64}}}}\n\n']


@pytest.mark.parametrize("target, events, expected", [
    ("/v1/messages", ANTHROPIC, {"input_tokens": 25, "output_tokens": 15, "cached_tokens": 5,
                                 "cache_write_tokens": 11}),
    ("/v1/responses", RESPONSES, {"input_tokens": 36, "output_tokens": 87, "reasoning_tokens": 64})])
@pytest.mark.parametrize("cut", [None, 7])
def test_other_dialects(usage, target, events, expected, cut):
    whole = b"".join(events)
    pieces = events if cut is None else [whole[i:i + cut] for i in range(0, len(whole), cut)]
    client, server = usage.stream(*pieces, target=target)
    assert "stream_options" not in json.loads(server.request.content)
    server.end_chunks()
    assert client.body.rest() == whole
    record = usage.record()
    assert (record["usage_source"], record["content_events"]) == ("reported", 1)
    assert tokens(record) == expected


@pytest.mark.parametrize("body, expected", [
    ({"model": "m", "choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
     {"input_tokens": 3, "output_tokens": 4}),
    ({"type": "message", "content": [{"text": "Hi"}], "usage": {"input_tokens": 3, "output_tokens": 4}},
     {"input_tokens": 3, "output_tokens": 4}),
    ({"data": [{"embedding": [0.5] * 5000}], "usage": {"prompt_tokens": 8}}, {"input_tokens": 8, "output_tokens": 0}),
    ({"choices": [{"message": {"content": "Hi, you"}}]}, {"input_tokens": 2, "output_tokens": 2})])
def test_answers_that_are_no_streams(usage, body, expected):
    client, server = usage.ask()
    server.respond(json.dumps(body).encode(), JSON)
    head, got = client.response()
    assert json.loads(got) == body
    names = [name.removesuffix("_tokens") for name in expected]
    field = dict(item.split("=") for item in head.get("x-usage").split(", "))
    assert [int(field[name]) for name in names] == list(expected.values())
    assert field["source"] == ("reported" if "usage" in body else "estimated")
    record = usage.record()
    assert tokens(record) == expected
    assert record["usage_source"] == ("reported" if "usage" in body else "estimated")


REPORT = b'{"model":"m","choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}'


@pytest.mark.parametrize("fields", [(JSON, "Content-Encoding: gzip"), ("Content-Type: text/plain",), ()])
@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.parametrize("target, flags", [(CHAT, ()), ("/v1/chat/completion%73", ()),
                                           ("/ask", ("--dialect", "openai"))])
def test_nothing_of_a_request_lets_it_escape_the_count(rig, tmp_path, fields, reports, target, flags):
    """Where the path or the route says that it goes to a model."""
    usage = Usage(rig, tmp_path, *flags)
    client = usage.rig.client(usage.gateway)
    body = zlib.compress(b'{"model":"m"}', wbits=31) if "Content-Encoding: gzip" in fields else b'{"prompt":"12345"}'
    client.request("POST", target, *fields, body=body)
    server = usage.upstream.accept()
    assert server.read_request().content == body
    server.respond(REPORT if reports else REPORT.replace(b"usage", b"other"), JSON)
    head, _ = client.response()
    record = usage.record()
    if reports:
        assert head.get("x-usage") == "input=3, output=4, source=reported"
        assert record["usage_source"] == "reported" and tokens(record) == {"input_tokens": 3, "output_tokens": 4}
    else:
        packed = -(-len(body) // 4)
        assert record["usage_source"] == "estimated"
        assert tokens(record) == {"input_tokens": 2 if b"prompt" in body else packed, "output_tokens": 1}
    assert usage.gateway.metrics().sum("sluice_llm_requests_total", model="m" if reports else "other") == 1


@pytest.mark.parametrize("target, answer", [
    ("/v1/messages/count_tokens", b'{"input_tokens":7}'),
    ("/v1/files", b'{"object":"file","text":"x"}'),
    ("/v1/things", b'{"input_tokens":7}')])
def test_what_generates_nothing_is_not_booked(rig, tmp_path, target, answer):
    usage = Usage(rig, tmp_path, *(("--dialect", "anthropic") if target != "/v1/things" else ()))
    client, server = usage.ask(target)
    server.respond(answer, JSON)
    head, got = client.response()
    assert got == answer and "x-usage" not in head
    client, server = usage.ask("/v1/embeddings")
    server.respond(b'{"usage":{"prompt_tokens":8}}', JSON)
    client.response()
    assert tokens(usage.record()) == {"input_tokens": 8, "output_tokens": 0}


@pytest.mark.parametrize("coding, wbits", [("gzip", 31), ("deflate", 15)])
@pytest.mark.parametrize("size", [0, 300_000])
def test_an_answer_that_is_packed_all_the_same_is_counted(usage, coding, wbits, size):
    """Its client gets it as it came."""
    client, server = usage.ask()
    plain = REPORT.replace(b"Hi", b"Hi" + os.urandom(size // 2).hex().encode())
    packed = zlib.compress(plain, wbits=wbits)
    server.send_head(JSON, f"Content-Encoding: {coding}", "Transfer-Encoding: chunked")
    for at in range(0, len(packed), 9000):
        server.chunk(packed[at:at + 9000])
    server.end_chunks()
    head, got = client.response()
    assert (got, head.get("content-encoding")) == (packed, coding)
    assert head.get("x-usage") == (None if size else "input=3, output=4, source=reported")
    record = usage.record()
    assert record["usage_source"] == "reported" and tokens(record) == {"input_tokens": 3, "output_tokens": 4}


@pytest.mark.parametrize("coding, answer", [("gzip", b"not packed in truth"), ("lzma", b"unknown coding"),
                                            ("gzip", zlib.compress(b'{"x":"' + b" " * (10 << 20), wbits=31))],
                         ids=["invalid", "unknown", "bomb"])
def test_an_answer_that_cannot_be_unpacked_is_estimated(usage, coding, answer):
    client, server = usage.ask()
    server.respond(answer, JSON, f"Content-Encoding: {coding}")
    assert client.response()[1] == answer
    record = usage.record()
    assert record["usage_source"] == "estimated"
    assert record["input_tokens"] == 2 and 0 < record["output_tokens"] <= -(-len(answer) // 4)


def test_a_stream_that_passes_packed_is_counted(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--on-encoded", "pass")
    client, server = usage.ask(stream=True)
    packed = zlib.compress(delta("Hello") + STOP + USAGE + DONE, wbits=31)
    server.respond(packed, "Content-Type: text/event-stream", "Content-Encoding: gzip")
    assert client.response()[1] == packed
    assert tokens(usage.record()) == TOKENS


def test_a_client_that_left_pays_for_what_came(usage):
    client, server = usage.stream(FIRST, delta("12345678"), delta("90"))
    for piece in (FIRST, delta("12345678"), delta("90")):
        assert client.body.event() == piece
    client.close()
    server.wait_closed()
    record = usage.record()
    assert (record["usage_source"], record["ending"]) == ("estimated", "client_left")
    assert tokens(record) == {"input_tokens": 2, "output_tokens": 3}


def test_a_client_that_left_a_message_of_anthropics(usage):
    """What message_start has reported stays; the rest is estimated."""
    client, server = usage.stream(*ANTHROPIC[:2], target="/v1/messages")
    client.body.event(), client.body.event()
    client.close()
    server.wait_closed()
    record = usage.record()
    assert record["usage_source"] == "estimated"
    assert (record["input_tokens"], record["output_tokens"]) == (25, 1 + 2)


def test_an_upstream_that_breaks_off(usage):
    client, server = usage.stream(delta("12345678"))
    server.close()
    client.body.until_abort()
    record = usage.record()
    assert (record["usage_source"], record["side"]) == ("estimated", "upstream")
    assert record["output_tokens"] == 2


def test_an_answer_with_an_error(usage):
    client, server = usage.ask()
    server.respond(b'{"error":{"message":"no"}}', JSON, status="429 Too Many Requests")
    assert client.response()[0].status == 429
    record = usage.record()
    assert (record["usage_source"], record["status"], tokens(record)) == ("none", 429, {})


def test_an_upstream_that_is_not_there(usage):
    usage.upstream.listener.close()
    client = usage.rig.client(usage.gateway)
    client.request("POST", CHAT, JSON, body=b'{"model":"m"}')
    assert client.response()[0].status == 502
    record = usage.record()
    assert (record["usage_source"], record["model"], record["side"]) == ("none", "m", "upstream")


def test_other_requests_have_no_record(usage):
    client = usage.rig.client(usage.gateway)
    client.get("/v1/models")
    server = usage.upstream.accept()
    server.read_request()
    server.respond(b"{}", JSON)
    client.response()
    client, server = usage.ask()
    server.respond(b"{}", JSON)
    client.response()
    wait_until(lambda: usage.access.read_text().count("\n") == 2, "both requests in the access log")
    assert len(usage.path.read_text().splitlines()) == 1


def test_off_by_default(rig):
    client, server = rig.exchange("--usage-log", "-", request=("POST", CHAT), body=b'{"stream":true}')
    server.start_events()
    server.chunk(USAGE + DONE)
    server.end_chunks()
    assert client.response()[1] == USAGE + DONE
    assert rig.gateways[0].metrics().sum("sluice_llm_requests_total") == 0


def test_over_http2(rig, usage):
    client = rig.http2(usage.gateway)
    stream = client.request("POST", CHAT, ("content-type", "application/json"), body=b'{"model":"m","stream":true}')
    server = usage.upstream.accept()
    assert json.loads(server.read_request().content)["stream_options"] == ASKED
    server.start_events()
    for piece in (delta("Hello"), USAGE, DONE):
        server.chunk(piece)
    server.end_chunks()
    assert stream.response()[1] == delta("Hello") + DONE
    assert tokens(usage.record()) == TOKENS


def test_an_event_too_long_to_be_held_is_read_as_it_passes(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--event-hold", "8k")
    long = RESPONSES[2].replace(b"Hello", b"Hello" * 20000)
    client, server = usage.stream(*RESPONSES[:2], long, target="/v1/responses")
    server.end_chunks()
    assert client.body.rest() == RESPONSES[0] + RESPONSES[1] + long
    record = usage.record()
    assert (record["usage_source"], record["output_tokens"]) == ("reported", 87)


def test_filters_do_not_hide_usage_from_the_count(rig, tmp_path):
    config = tmp_path / "sluice.toml"
    config.write_text('filters = ["strip"]\n[[filter]]\nname = "strip"\nactions = [ { remove = "/usage" } ]\n')
    usage = Usage(rig, tmp_path, "--config", str(config), "--compress", "gzip")
    client, server = usage.stream(delta("Hello"), USAGE, DONE, fields=("Accept-Encoding: gzip",),
                                  stream_options=ASKED)
    server.end_chunks()
    plain = zlib.decompress(client.body.rest(), 31)
    assert b"usage" not in plain and plain.count(b"data:") == 3
    assert tokens(usage.record()) == TOKENS


def test_lines_are_counted_but_not_asked_for(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--framing", "line")
    client, server = usage.stream(delta("Hello"), USAGE, DONE)
    assert "stream_options" not in json.loads(server.request.content)
    server.end_chunks()
    assert client.body.rest() == delta("Hello") + USAGE + DONE
    assert tokens(usage.record()) == TOKENS


def test_the_log_is_reopened_and_changed(rig, tmp_path):
    usage = Usage(rig, tmp_path)

    def one():
        client, server = usage.ask()
        server.respond(b"{}", JSON)
        client.response()

    one()
    usage.records()
    old = tmp_path / "old.log"
    os.rename(usage.path, old)
    usage.gateway.signal(signal.SIGUSR1)
    wait_until(usage.path.exists, "the usage log anew")
    one()
    wait_until(lambda: usage.path.read_text().count("\n") == 1, "a record in the new file")
    assert old.read_text().count("\n") == 1


def test_models_of_clients_own_making_are_other(usage):
    for _ in range(2):
        client, server = usage.ask(model="made-up")
        server.respond(b"{}", JSON, status="404 Not Found")
        client.response()
    usage.records(2)
    metrics = usage.gateway.metrics()
    assert metrics.sum("sluice_llm_requests_total", model="other", source="none") == 2
    assert metrics.sum("sluice_llm_requests_total", model="made-up") == 0


def test_clumps_have_a_culprit(usage):
    client, server = usage.stream(delta("one"))
    assert client.body.event() == delta("one")
    server.chunk(delta("two") + delta("three"))
    client.body.event(), client.body.event()
    server.chunk(DONE)
    server.end_chunks()
    client.body.rest()
    metrics = usage.gateway.metrics()
    assert metrics.sum("sluice_llm_clumped_events_total", by="upstream") == 1
    assert metrics.sum("sluice_llm_clumped_events_total") == 1


@pytest.mark.parametrize("http2", [False, True])
def test_an_upstream_may_finish_without_its_client(rig, tmp_path, http2):
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s")
    if http2:
        client = rig.http2(usage.gateway)
        stream = client.request("POST", CHAT, ("content-type", "application/json"), body=b'{"stream":true}')
        server = usage.upstream.accept()
        server.read_request()
        server.start_events()
        server.chunk(delta("Hello"))
        assert stream.event() == delta("Hello")
        stream.cancel()
        client.ping()
    else:
        client, server = usage.stream(delta("Hello"))
        assert client.body.event() == delta("Hello")
        client.close()
        wait_until(lambda: usage.gateway.metrics().sum("sluice_client_connections") == 0, "the client is gone")
    for _ in range(500):
        server.chunk(delta("word" * 100))
    server.chunk(STOP + USAGE + DONE)
    server.end_chunks()
    record = usage.record()
    assert (record["usage_source"], record["ending"]) == ("reported", "client_left")
    assert tokens(record) == TOKENS
    assert usage.gateway.metrics().sum("sluice_llm_usage_drains_total", outcome="complete") == 1


def test_a_drain_ends_behind_the_last_event(rig, tmp_path):
    """Its upstream leaves the response open."""
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s")
    client, server = usage.stream(delta("Hello"))
    assert client.body.event() == delta("Hello")
    client.close()
    wait_until(lambda: usage.gateway.metrics().sum("sluice_client_connections") == 0, "the client is gone")
    server.chunk(STOP + USAGE + DONE)
    server.wait_closed()
    assert tokens(usage.record()) == TOKENS
    assert usage.gateway.metrics().sum("sluice_llm_usage_drains_total", outcome="complete") == 1


def test_a_client_that_did_not_wait_for_the_head(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s")
    client, server = usage.ask()
    client.close()
    wait_until(lambda: usage.gateway.metrics().sum("sluice_client_connections") == 0, "the client is gone")
    server.respond(b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}', JSON)
    record = usage.record()
    assert (tokens(record), record["ending"]) == ({"input_tokens": 3, "output_tokens": 4}, "client_left")


def test_a_drain_gives_up(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--drain-for-usage", "100ms")
    client, server = usage.stream(delta("12345678"))
    client.body.event()
    client.close()
    server.wait_closed()
    record = usage.record()
    assert (record["usage_source"], record["output_tokens"]) == ("estimated", 2)
    assert usage.gateway.metrics().sum("sluice_llm_usage_drains_total", outcome="given_up") == 1


def test_an_upstream_that_breaks_off_while_it_is_drained(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s")
    client, server = usage.stream(delta("1234"))
    client.body.event()
    client.close()
    wait_until(lambda: usage.gateway.metrics().sum("sluice_client_connections") == 0, "the client is gone")
    server.chunk(delta("5678"))
    server.close()
    record = usage.record()
    assert (record["usage_source"], record["output_tokens"], record["ending"]) == ("estimated", 2, "client_left")


def test_a_process_that_stops_ends_drains(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s", "--shutdown-grace", "100ms")
    client, server = usage.stream(delta("1234"))
    client.body.event()
    client.close()
    wait_until(lambda: usage.gateway.metrics().sum("sluice_client_connections") == 0, "the client is gone")
    usage.gateway.signal(signal.SIGTERM)
    server.wait_closed()
    usage.gateway.wait_exit()
    assert usage.record()["usage_source"] == "estimated"


def test_an_answer_too_long_to_be_held_has_no_field(usage):
    client, server = usage.ask()
    body = json.dumps({"choices": [{"message": {"content": "word " * 30000}}],
                       "usage": {"prompt_tokens": 3, "completion_tokens": 4}}).encode()
    server.send_head(JSON, "Transfer-Encoding: chunked")
    for at in range(0, len(body), 10000):
        server.chunk(body[at:at + 10000])
    server.end_chunks()
    head, got = client.response()
    assert got == body and "x-usage" not in head
    assert tokens(usage.record()) == {"input_tokens": 3, "output_tokens": 4}


def test_an_answer_that_breaks_off_while_it_is_held_is_an_error(usage):
    client, server = usage.ask()
    server.send_head(JSON, "Content-Length: 100")
    server.send(b'{"choices":')
    server.close()
    assert client.response()[0].status == 502
    assert usage.record()["side"] == "upstream"


def test_an_answer_of_another_attempt_is_not_counted(rig, tmp_path):
    """The first upstream breaks off within its answer, the second one answers."""
    other = rig.upstream()
    usage = Usage(rig, tmp_path, "--upstream", other.url, "--retry-non-idempotent", "on")
    client = usage.rig.client(usage.gateway)
    client.request("POST", CHAT, JSON, body=b'{"model":"m"}')
    upstreams = [usage.upstream, other]
    ready, _, _ = select.select([upstream.listener for upstream in upstreams], [], [], 10)
    first = next(upstream for upstream in upstreams if upstream.listener in ready)
    server = first.accept()
    server.read_request()
    server.send_head(JSON, "Content-Length: 1000")
    server.send(b'{"usage":{"prompt_tokens":900,"completion_tokens":900},"choices":[{"message":{"content":"Hello')
    server.close()
    server = next(upstream for upstream in upstreams if upstream is not first).accept()
    server.read_request()
    server.respond(b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}', JSON)
    assert client.response()[0].status == 200
    assert tokens(usage.record()) == {"input_tokens": 3, "output_tokens": 4}


@pytest.mark.parametrize("http2", [False, True])
def test_an_upstream_that_waited_for_its_client_goes_on_without(rig, tmp_path, http2):
    """The client has taken nothing, so its upstream was not read any more when it left."""
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s", "--client-sndbuf", "4k", "--upstream-rcvbuf", "4k")
    if http2:
        client = rig.http2(usage.gateway, window=1000)
        stream = client.request("POST", CHAT, ("content-type", "application/json"), body=b'{"stream":true}')
    else:
        client = usage.rig.client(usage.gateway, rcvbuf=4096)
        client.request("POST", CHAT, JSON, body=b'{"stream":true}')
    server = usage.upstream.accept()
    server.read_request()
    server.start_events()
    sender = threading.Thread(target=lambda: [server.chunk(delta("word" * 500)) for _ in range(1000)])
    sender.start()
    usage.gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    if http2:
        stream.cancel()
        client.ping()
    else:
        client.reset()
    sender.join()
    server.chunk(STOP + USAGE + DONE)
    server.end_chunks()
    record = usage.record()
    assert (record["usage_source"], record["ending"]) == ("reported", "client_left")
    assert tokens(record) == TOKENS


def unread_client(usage):
    """A client that takes nothing of the answer that it has asked for, and the upstream's end."""
    client = usage.rig.client(usage.gateway, rcvbuf=4096)
    client.request("POST", CHAT, JSON, body=b'{"stream":true}')
    server = usage.upstream.accept()
    server.read_request()
    return client, server


def assert_reported_though_left(usage):
    record = usage.record()
    assert (record["usage_source"], record["ending"]) == ("reported", "client_left")
    assert tokens(record) == TOKENS


def test_what_waits_packed_is_read_without_its_client(rig, tmp_path):
    """Some of an answer that has been packed all the same waits to be unpacked when its client leaves."""
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s", "--client-sndbuf", "4k", "--upstream-rcvbuf", "4k")
    client, server = unread_client(usage)
    server.start_events("Content-Encoding: gzip")
    packer = zlib.compressobj(wbits=31)

    def answer():
        for _ in range(1000):
            server.chunk(packer.compress(delta(os.urandom(800).hex())) + packer.flush(zlib.Z_SYNC_FLUSH))
        server.chunk(packer.compress(STOP + USAGE + DONE) + packer.flush())
        server.end_chunks()

    sender = threading.Thread(target=answer)
    sender.start()
    usage.gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    client.reset()
    sender.join()
    assert_reported_though_left(usage)


def test_a_packed_answer_that_has_all_come_is_read_without_its_client(rig, tmp_path):
    """Its upstream is done; what it has sent still waits to be unpacked when the client leaves."""
    usage = Usage(rig, tmp_path, "--drain-for-usage", "60s", "--client-sndbuf", "4k")
    client, server = unread_client(usage)
    packed = zlib.compress(delta("word" * 400) * 500 + STOP + USAGE + DONE, wbits=31)
    server.respond(packed, "Content-Type: text/event-stream", "Content-Encoding: gzip")
    usage.gateway.wait_metric("sluice_upstream_connections_closed_total", 1)
    client.reset()
    assert_reported_though_left(usage)


def test_lines_that_were_packed_are_counted(rig, tmp_path):
    usage = Usage(rig, tmp_path, "--framing", "line")
    client, server = usage.ask(stream=True)
    packed = zlib.compress(delta("Hello") + STOP + USAGE + DONE, wbits=31)
    server.respond(packed, "Content-Type: text/event-stream", "Content-Encoding: gzip")
    assert client.response()[1] == delta("Hello") + STOP + USAGE + DONE
    assert tokens(usage.record()) == TOKENS


def test_a_packed_stream_is_counted_whatever_no_transform_says(rig, tmp_path):
    """And behind the dialect's last event it ends cleanly, though its packed body has no end."""
    usage = Usage(rig, tmp_path)
    client, server = usage.ask(stream=True, stream_options=ASKED)
    server.start_events("Content-Encoding: gzip", "Cache-Control: no-transform")
    encoder = zlib.compressobj(wbits=31)
    plain = FIRST + delta("Hello") + STOP + USAGE + DONE
    server.chunk(encoder.compress(plain) + encoder.flush(zlib.Z_SYNC_FLUSH))
    server.end_chunks()
    assert client.read_head().get("content-encoding") is None
    assert client.body.rest() == plain
    record, = usage.records()
    assert record["usage_source"] == "reported" and record["ending"] == "complete"
    assert record.items() >= TOKENS.items()
