"""The completions endpoints: a POST with a JSON body, answered by a stream of tokens."""

import json

import pytest

REQUEST = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "h\u00e9"}]},
                     ensure_ascii=False).encode()
TOKENS = [f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': f' {i}'}}]})}\n\n".encode()
          for i in range(20)] + [b"data: [DONE]\n\n"]

both_endpoints = pytest.mark.parametrize("target", ["/v1/completions", "/v1/chat/completions"])
JSON_FIELDS = ("Content-Type: application/json", "Authorization: Bearer sk-test", "Accept: text/event-stream")


@both_endpoints
def test_tokens_stream_one_by_one(rig, target):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.request("POST", target, *JSON_FIELDS, body=REQUEST)
    server = upstream.accept()
    request = server.read_request()
    assert (request.method, request.target) == ("POST", target)
    assert request.get("authorization") == "Bearer sk-test"
    assert request.get("content-type") == "application/json"
    assert request.content == REQUEST
    server.start_events("Cache-Control: no-cache")
    client.read_head()
    for token in TOKENS:
        server.chunk(token)
        assert client.body.chunk() == token
    server.end_chunks()
    assert client.body.rest() == b""


@both_endpoints
def test_without_stream_the_answer_passes_as_it_is(rig, target):
    answer = b'{"object":"chat.completion"}'
    upstream = rig.upstream(lambda server, request: server.respond(answer, "Content-Type: application/json"))
    client = rig.client(rig.gateway(upstream))
    client.request("POST", target, *JSON_FIELDS, body=REQUEST)
    head, body = client.response()
    assert body == answer
    assert head.get("content-length") == str(len(answer))
    assert "x-accel-buffering" not in head


@both_endpoints
def test_a_refusal_passes_as_it_is(rig, target):
    answer = b'{"error":{"message":"slow down","type":"rate_limit"}}'
    upstream = rig.upstream(lambda server, request: server.respond(
        answer, "Content-Type: application/json", "Retry-After: 7", status="429 Too Many Requests"))
    client = rig.client(rig.gateway(upstream))
    client.request("POST", target, *JSON_FIELDS, body=REQUEST)
    head, body = client.response()
    assert (head.status, head.get("retry-after"), body) == (429, "7", answer)


def test_many_conversations_on_one_connection(rig):
    def converse(server, request):
        server.start_events()
        for i in range(5):
            server.chunk(b"data: %b %d\n\n" % (request.content, i))
        server.end_chunks()

    client = rig.client(rig.gateway(rig.upstream(converse)))
    for turn in range(20):
        client.request("POST", "/v1/chat/completions", body=b"turn %d" % turn)
        assert client.response()[1] == b"".join(b"data: turn %d %d\n\n" % (turn, i) for i in range(5))
