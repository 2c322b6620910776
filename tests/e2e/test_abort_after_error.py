"""What goes before an abort reaches the client: a reset that arrives together with an error event
would make some clients drop the event."""

import json
import subprocess

import pytest

CHAT = "/v1/chat/completions"
CHUNK = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hi"}}]}\n\n'
TIMES = 5
FETCH = """
const [, url] = process.argv;
const headers = { "content-type": "application/json" };
const answer = await fetch(url, { method: "POST", headers, body: '{"stream":true}' });
let text = "", ending = "whole";
try {
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) text += part;
} catch {
  ending = "aborted";
}
console.log(JSON.stringify({ text, ending }));
"""


@pytest.fixture
def url(rig):
    """An upstream breaks off behind its first event, at once."""
    def cut(server, request):
        server.start_events()
        server.chunk(CHUNK + b"data: never whole")
        server.close()

    return rig.gateway(rig.upstream(cut)).url + CHAT


def told(text):
    assert text.startswith(CHUNK), text
    kind = json.loads(text[len(CHUNK):].removeprefix(b"data: "))["error"]["code"]
    return kind == "upstream_closed" or kind.startswith("upstream_")


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2-prior-knowledge"])
def test_curl_is_told_why(url, version):
    for _ in range(TIMES):
        done = subprocess.run(["curl", "-sN", version, "-H", "Content-Type: application/json", "-d", '{"stream":true}',
                               url], capture_output=True, timeout=20)
        assert done.returncode != 0  # no clean end
        assert told(done.stdout)


def test_nodes_fetch_is_told_why(url):
    for _ in range(TIMES):
        done = subprocess.run(["node", "--input-type=module", "-e", FETCH, url], capture_output=True, text=True,
                              timeout=60, check=True)
        seen = json.loads(done.stdout)
        assert seen["ending"] == "aborted"
        assert told(seen["text"].encode())
