"""sluice --demo: an upstream of its own, a page, and nothing else needed."""

import json

CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}


def demo_client(rig):
    return rig.client(rig.gateway(None, "--demo"))


def fields_of(event):
    """The fields of one event as a dict (the last of a name wins)."""
    pairs = (line.partition(b":") for line in event.splitlines() if line)
    return {name.decode(): value.removeprefix(b" ").decode() for name, _, value in pairs}


def next_with_id(client):
    while "id" not in (fields := fields_of(client.body.event())):
        pass
    return int(fields["id"])


def test_the_page(rig):
    client = demo_client(rig)
    client.get("/")
    head, body = client.response()
    assert head.status == 200
    assert head.get("content-type").startswith("text/html")
    assert b"EventSource" in body and b"http://" not in body.replace(b"http://www.w3.org", b"")


def test_events_are_numbered_and_resumable(rig):
    client = demo_client(rig)
    client.get("/events", "Accept: text/event-stream")
    assert client.read_head().get("content-type").startswith("text/event-stream")
    first = next_with_id(client)
    assert [next_with_id(client) for _ in range(10)] == list(range(first + 1, first + 11))
    client.close()
    again = rig.client(rig.gateways[0])
    again.get("/events", "Accept: text/event-stream", f"Last-Event-ID: {first + 3}")
    again.read_head()
    assert next_with_id(again) == first + 4


def test_a_stream_that_is_cut_goes_on(rig):
    """The button of the page: every id once and in order, on the connection that the client has."""
    client = demo_client(rig)
    client.get("/events?rate=200", "Accept: text/event-stream")
    client.read_head()
    seen = [next_with_id(client) for _ in range(5)]
    for cuts in (1, 2):
        other = rig.client(rig.gateways[0])
        other.request("POST", "/cut")
        assert other.response()[0].status == 204
        rig.gateways[0].wait_metric("sluice_heals_total", cuts, result="resumed")
        seen += [next_with_id(client) for _ in range(100)]
    assert seen == list(range(1, len(seen) + 1))


def test_chat_streams(rig):
    client = demo_client(rig)
    client.request("POST", "/v1/chat/completions", "Content-Type: application/json",
                   body=json.dumps({**CHAT, "stream": True}).encode())
    head = client.read_head()
    assert head.get("content-type").startswith("text/event-stream")
    text = ""
    while (data := fields_of(client.body.event()).get("data")) != "[DONE]":
        if data:
            chunk = json.loads(data)
            assert chunk["object"] == "chat.completion.chunk"
            text += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
    assert client.body.rest() == b""
    assert text


def test_chat_at_once(rig):
    client = demo_client(rig)
    client.request("POST", "/v1/chat/completions", "Content-Type: application/json", body=json.dumps(CHAT).encode())
    head, body = client.response()
    assert head.get("content-type").startswith("application/json")
    answer = json.loads(body)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"]
