"""An event stream with a Content-Encoding passes byte for byte, and still says that nobody in
front of us may buffer it."""

import gzip

import pytest

EVENTS = gzip.compress(b"".join(b"data: %d\n\n" % i for i in range(1000)), mtime=0)
FIELDS = ("Content-Type: text/event-stream; charset=utf-8", "Content-Encoding: gzip")


def test_it_keeps_its_length(rig):
    client, server = rig.exchange()
    server.respond(EVENTS, *FIELDS)
    head, body = client.response()
    assert head.get("x-accel-buffering") == "no"
    assert head.get("content-encoding") == "gzip"
    assert head.all("content-length") == [str(len(EVENTS))]
    assert body == EVENTS
    assert rig.gateways[0].metrics().sum("sluice_events_total") == 0


def test_every_byte_passes_at_once(rig):
    client, server = rig.exchange()
    server.send_head(*FIELDS, "Transfer-Encoding: chunked")
    head = client.read_head()
    assert head.get("x-accel-buffering") == "no"
    for byte in (EVENTS[i:i + 1] for i in range(20)):  # no event ends here
        server.chunk(byte)
        assert client.body.read(1) == byte


@pytest.mark.parametrize("value", ["yes", "no"])
def test_what_the_upstream_says_stays(rig, value):
    client, server = rig.exchange()
    server.respond(EVENTS, *FIELDS, f"X-Accel-Buffering: {value}")
    assert client.response()[0].all("x-accel-buffering") == [value]


def test_other_encoded_bodies_have_no_such_field(rig):
    client, server = rig.exchange()
    server.respond(EVENTS, "Content-Type: text/plain", "Content-Encoding: gzip")
    assert "x-accel-buffering" not in client.response()[0]
