"""Event streams that send no blank lines, and encodings that are none."""

import pytest


def test_lines_pass_at_once(rig):
    client, server = rig.stream("--framing", "line")
    for i in range(3):
        server.chunk(b"data: %d\n" % i)
        assert client.body.chunk() == b"data: %d\n" % i
    server.chunk(b"data: ha")
    client.assert_silent(0.2)
    server.chunk(b"lf\n")
    assert client.body.chunk() == b"data: half\n"


def test_a_heartbeat_waits_for_the_end_of_the_event(rig):
    client, server = rig.stream("--framing", "line", "--heartbeat", "100ms")
    server.chunk(b"data: 1\n")
    assert client.body.chunk() == b"data: 1\n"
    client.assert_silent(0.5)
    server.chunk(b"\n")
    assert client.body.chunk() == b"\n"
    assert client.body.event() == b": heartbeat\n\n"


def test_off_passes_whatever_arrives(rig):
    client, server = rig.stream("--framing", "off", "--heartbeat", "100ms")
    server.chunk(b"da")
    assert client.body.chunk() == b"da"
    client.assert_silent(0.5)


def test_a_route_may_differ(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--route", f"path=/lines,upstream={upstream.url},framing=line")
    for target, expected in (("/lines", b"data: 1\n"), ("/events", None)):
        client = rig.client(gateway)
        client.get(target)
        server = upstream.accept()
        server.read_request()
        server.start_events()
        client.read_head()
        server.chunk(b"data: 1\n")
        if expected:
            assert client.body.chunk() == expected
        else:
            client.assert_silent(0.2)


@pytest.mark.parametrize("encoding", ["none", "identity", "", "Identity, none"])
def test_no_encoding_by_any_name(rig, encoding):
    client, server = rig.exchange()
    server.start_events(f"Content-Encoding: {encoding}")
    client.read_head()
    server.chunk(b"data: 1\n\nda")
    assert client.body.chunk() == b"data: 1\n\n"


def test_an_early_head_is_answered_after_the_first_byte_timeout(rig):
    client, server = rig.exchange("--heartbeat-head-after", "100ms", "--first-byte-timeout", "300ms", "--heartbeat", "100ms",
                                  request=("GET", "/events", "Accept: text/event-stream"))
    assert client.read_head().status == 200
    for _ in range(8):
        assert client.body.event() == b": heartbeat\n\n"
    server.start_events()
    server.chunk(b"data: late\n\n")
    while (event := client.body.event()) == b": heartbeat\n\n":
        pass
    assert event == b"data: late\n\n"


def test_off_after_an_early_head(rig):
    client, server = rig.exchange("--framing", "off", "--heartbeat-head-after", "100ms", "--heartbeat", "100ms",
                                  request=("GET", "/events", "Accept: text/event-stream"))
    assert client.read_head().status == 200
    assert client.body.event() == b": heartbeat\n\n"
    server.start_events()
    server.chunk(b"\xef\xbb\xbfda")  # its byte order mark would be content behind ours
    while b"da" not in (data := client.body.chunk()):
        assert data == b": heartbeat\n\n"
    assert data == b"da"
    server.end_chunks()
    assert client.body.rest() == b""
