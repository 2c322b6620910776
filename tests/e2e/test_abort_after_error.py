"""What goes before an abort reaches the client: an end that arrives together with an error event
would make some clients drop the event."""

import json
import subprocess

import pytest

CHAT = "/v1/chat/completions"
CHUNK = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hi"}}]}\n\n'
TIMES = 5
FETCH = """
const [, url, coding, times] = process.argv;
const headers = { "content-type": "application/json", "accept-encoding": coding };
for (let i = 0; i < times; i++) {
  const answer = await fetch(url, { method: "POST", headers, body: '{"stream":true}' });
  let text = "", ending = "whole";
  try {
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) text += part;
  } catch {
    ending = "aborted";
  }
  console.log(JSON.stringify({ text, ending, coding: answer.headers.get("content-encoding") }));
}
"""


@pytest.fixture
def url(rig):
    """An upstream breaks off behind its first event, at once."""
    def cut(server, request):
        server.start_events()
        server.chunk(CHUNK + b"data: never whole")
        server.close()

    return rig.gateway(rig.upstream(cut), "--compress", "gzip,br").url + CHAT


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


@pytest.mark.parametrize("coding", [None, "gzip", "br"])
def test_nodes_fetch_is_told_why(url, coding):
    times = 4 * TIMES
    done = subprocess.run(["node", "--input-type=module", "-e", FETCH, url, coding or "identity", str(times)],
                          capture_output=True, text=True, timeout=60, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(seen["ending"], seen["coding"]) for seen in answers} == {("aborted", coding)}
    # On a busy machine Node's decoder may take longer than the time that it is given.
    in_time = [seen for seen in answers if seen["text"] != "" and seen["text"].encode() != CHUNK]
    assert all(told(seen["text"].encode()) for seen in in_time)
    assert len(in_time) > times / 2 if coding else len(in_time) == times
