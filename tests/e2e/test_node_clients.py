"""Node's eventsource and openai packages, unchanged, through the gateway."""

import json
import pathlib
import subprocess
import threading

import pytest

NODE = pathlib.Path(__file__).parent / "node"


@pytest.fixture(scope="module", autouse=True)
def packages():
    """Installs what package-lock.json names, unless it is there already."""
    installed = NODE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (NODE / "package-lock.json").stat().st_mtime:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE, check=True,
                       capture_output=True, timeout=200)


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


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_fetch_reads_packed_events_at_once(rig, coding):
    """Node's own fetch, which is undici's."""
    def serve(server, request):
        server.start_events()
        for i in range(20):
            server.chunk(b"data: %d\n\n" % i)
            acknowledged.pop(0).wait(10)
        server.end_chunks()

    acknowledged = [threading.Event() for _ in range(20)]
    waiting = list(acknowledged)
    gateway = rig.gateway(rig.upstream(serve), "--compress", coding)
    process = subprocess.Popen(["node", NODE / "fetch.js", f"{gateway.url}/events", coding], stdout=subprocess.PIPE,
                               text=True)
    with process:
        first = process.stdout.readline()
        if first == "cannot\n":
            for event in waiting:
                event.set()
            pytest.skip(f"this Node cannot read {coding}")
        assert first == f"{coding}\n"
        for i in range(20):  # each before the next one is sent
            assert process.stdout.readline() == f"data: {i}\n"
            waiting[i].set()
        assert process.stdout.readline() == "end\n"
    assert process.returncode == 0
