"""Every byte of a stream arrives, unaltered and in order, however the upstream frames and cuts it."""

import itertools
import random

import pytest

from harness.wire import chunked

EVENTS = [b"id: %d\ndata: event %d \xc3\xa9\xf0\x9f\x8c\x8a\n\n" % (i, i) for i in range(50)]
STREAM = b"".join(EVENTS)
SSE = "Content-Type: text/event-stream"


def received(rig, *fields, body, flags=()):
    """What the client reads, up to a clean end, of a response with these bytes as its body."""

    def answer(server, request):
        server.send_head(*fields)
        server.send(body)
        server.close()

    client = rig.client(rig.gateway(rig.upstream(answer), *flags))
    client.get()
    head, content = client.response()
    assert head.status == 200
    return content


def pieces_of(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 65536])
def test_chunks_may_cut_events_anywhere(rig, size):
    body = chunked(*pieces_of(STREAM, size))
    assert received(rig, SSE, "Transfer-Encoding: chunked", body=body) == STREAM


def test_segments_may_cut_the_chunk_framing_anywhere(rig):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)

    def answer(server, request):
        server.start_events()
        body = chunked(*pieces_of(STREAM, 97))
        while body:
            cut = chance.randint(1, 40)
            server.send(body[:cut])
            body = body[cut:]

    client = rig.client(rig.gateway(rig.upstream(answer)))
    client.get()
    assert client.response()[1] == STREAM


def test_close_delimited(rig):
    assert received(rig, SSE, "Connection: close", body=STREAM) == STREAM


def test_content_length(rig):
    assert received(rig, SSE, f"Content-Length: {len(STREAM)}", body=STREAM) == STREAM


def test_every_mix_of_line_ends(rig):
    ends = (b"\n", b"\r", b"\r\n")
    stream = b"\xef\xbb\xbf" + b"".join(
        b"event: %d" % i + first + b"data: x" + second + third
        for i, (first, second, third) in enumerate(itertools.product(ends, repeat=3)))
    stream += b"\n"
    for size in (1, 2, 5, 1000):
        body = chunked(*pieces_of(stream, size))
        assert received(rig, SSE, "Transfer-Encoding: chunked", body=body) == stream


def test_what_is_not_an_event_is_kept_too(rig):
    stream = b": comment\n\n\n\n\ndata\n\nretry: x\nunknown: \x00\xff\n\ndata: no blank line at the end"
    assert received(rig, SSE, "Transfer-Encoding: chunked", body=chunked(stream)) == stream


def test_an_empty_stream(rig):
    assert received(rig, SSE, "Transfer-Encoding: chunked", body=chunked()) == b""


@pytest.mark.parametrize("fields", [
    ("Content-Type: application/json",),
    (SSE, "Content-Encoding: gzip"),
])
def test_other_bodies_pass_through_as_they_are(rig, fields):
    body = random.Random(2).randbytes(100_000)
    length = f"Content-Length: {len(body)}"
    assert received(rig, *fields, length, body=body) == body
    assert received(rig, *fields, "Transfer-Encoding: chunked", body=chunked(*pieces_of(body, 999))) == body
    assert received(rig, *fields, "Connection: close", body=body) == body


def test_the_content_type_is_recognised_with_parameters_and_in_any_case(rig):
    client, server = rig.exchange()
    server.send_head("Content-Type: Text/Event-Stream; charset=utf-8", "Transfer-Encoding: chunked")
    assert client.read_head().get("x-accel-buffering") == "no"
    server.chunk(b"data: 1\n\ndata: 2")
    assert client.body.event() == b"data: 1\n\n"
    client.assert_silent(0.1)  # held: so it is read as an event stream
