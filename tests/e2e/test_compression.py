"""--compress: event streams and other texts leave packed, each event at once, with whatever is added
to them, and nothing that is cut ends cleanly."""

import subprocess
import zlib

import pytest

from harness import wait_until
from harness.wire import Aborted

FILTERS = """
[[filter]]
name = "redact"
actions = [ { set = "/secret", value = "*" } ]
match = { json = { pointer = "/secret" } }

[[filter]]
name = "pings"
match = { event = "ping" }
actions = [ { drop = true } ]

[[filter]]
name = "hello"
match = { data = "first" }
actions = [ { add-before = { event = "hello", data = "1" } } ]

[[filter]]
name = "stop"
match = { json = { pointer = "/stop", equals = true } }
actions = [ { drop = true }, { end = { event = "bye", data = "{}" } } ]
"""
STREAM = "Content-Type: text/event-stream"
TEXT = b"".join(b'{"number": %d, "text": "the same again"},\n' % i for i in range(2000))


def event(i):
    return b'id: %d\ndata: {"choices":[{"delta":{"content":" word %d"}}]}\n\n' % (i, i)


class Unpacked:
    """Reads a packed body byte by byte: what can be read of it so far."""

    def __init__(self, body):
        self.body = body
        self.decoder = zlib.decompressobj(31)
        self.plain = b""

    def read(self, size):
        while len(self.plain) < size:
            self.plain += self.decoder.decompress(self.body.read(1))
        plain, self.plain = self.plain[:size], self.plain[size:]
        return plain

    def rest(self):
        plain = self.plain + self.decoder.decompress(self.body.rest())
        assert self.decoder.eof and not self.decoder.unused_data
        return plain


def ask(rig, *flags, accept="gzip", fields=(), version="1.1", method="GET", compress="zstd,gzip"):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--compress", compress, *flags)
    client = rig.client(gateway)
    client.request(method, "/events", f"Accept-Encoding: {accept}", *fields, version=version)
    server = upstream.accept()
    server.request = server.read_request()
    return client, server, gateway


def unzstd(packed):
    return subprocess.run(["zstd", "-dc"], input=packed, capture_output=True)


def test_each_event_arrives_at_once(rig):
    client, server, gateway = ask(rig)
    assert server.request.all("accept-encoding") == ["identity"]
    server.start_events()
    head = client.read_head()
    assert head.all("content-encoding") == ["gzip"]
    assert head.all("vary") == ["Accept-Encoding"]
    assert "content-length" not in head
    events = Unpacked(client.body)
    for i in range(50):
        server.chunk(event(i)[:20])
        server.chunk(event(i)[20:])
        assert events.read(len(event(i))) == event(i)
    server.end_chunks()
    assert events.rest() == b""
    metrics = gateway.metrics()
    plain = metrics.sum("sluice_encoded_plain_bytes_total", coding="gzip")
    assert plain == sum(len(event(i)) for i in range(50))
    assert 0 < metrics.sum("sluice_encoded_bytes_total", coding="gzip") < plain
    assert metrics.sum("sluice_encoded_bodies_total", coding="gzip") == 1
    gateway.wait_metric("sluice_encoder_states", 0, coding="gzip")
    assert metrics.sum("sluice_encoder_state_bytes", coding="gzip") > 10_000


def test_zstd(rig):
    client, server, _ = ask(rig, accept="gzip, zstd")
    server.start_events()
    assert client.read_head().get("content-encoding") == "zstd"
    for i in range(50):
        server.chunk(event(i))
    server.end_chunks()
    result = unzstd(client.body.rest())
    assert result.returncode == 0
    assert result.stdout == b"".join(event(i) for i in range(50))


def test_brotli_where_it_is_asked_for(rig):
    client, server, _ = ask(rig, accept="br, gzip", compress="br,gzip")
    server.respond(TEXT, "Content-Type: application/json")
    head, packed = client.response()
    assert head.get("content-encoding") == "br"
    assert len(packed) < len(TEXT) / 4


def test_other_texts(rig):
    client, server, _ = ask(rig)
    server.respond(TEXT, "Content-Type: application/json; charset=utf-8", 'ETag: "one"', "Accept-Ranges: bytes",
                   "Vary: Origin")
    head = client.read_head()
    assert head.all("content-encoding") == ["gzip"]
    assert head.all("etag") == ['W/"one"']
    assert head.all("vary") == ["Origin", "Accept-Encoding"]
    assert "accept-ranges" not in head and "content-length" not in head
    packed = client.body.rest()
    assert zlib.decompress(packed, 31) == TEXT
    assert len(packed) < len(TEXT) / 4


def test_a_text_that_pauses_is_not_kept(rig):
    client, server, _ = ask(rig)
    server.send_head("Content-Type: text/plain", "Transfer-Encoding: chunked")
    client.read_head()
    text = Unpacked(client.body)
    for i in range(5):
        server.chunk(b"line %d\n" % i)
        assert text.read(7) == b"line %d\n" % i
    server.end_chunks()
    assert text.rest() == b""


PLAIN = [
    dict(fields=("Content-Type: image/png",)),
    dict(fields=("Content-Type: text/plain", "Content-Encoding: br")),
    dict(fields=("Content-Type: text/plain", "Cache-Control: max-age=1, no-transform")),
    dict(fields=("Content-Type: text/plain", "Content-Range: bytes 0-9/20"), status="206 Partial Content"),
    dict(fields=("Content-Type: text/plain",), body=b"short"),
]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case["fields"][-1])
def test_what_leaves_as_it_is(rig, case):
    client, server, _ = ask(rig)
    body = case.get("body", TEXT)
    server.respond(body, *case["fields"], 'ETag: "one"', status=case.get("status", "200 OK"))
    head, got = client.response()
    assert got == body
    assert head.get("etag") == '"one"'
    assert head.get("content-length") == str(len(body))
    assert head.get("content-encoding") in (None, "br")


@pytest.mark.parametrize("accept, fields", [("identity", ()), ("gzip;q=0", ()), ("deflate", ()),
                                            ("gzip", ("Cache-Control: no-transform",))])
def test_clients_that_want_none(rig, accept, fields):
    client, server, _ = ask(rig, accept=accept, fields=fields)
    assert server.request.all("accept-encoding") == [accept]
    server.respond(TEXT, "Content-Type: text/plain")
    head, got = client.response()
    assert got == TEXT
    assert "content-encoding" not in head
    assert head.all("vary") == ["Accept-Encoding"]


def test_bodies_that_are_none(rig):
    client, server, _ = ask(rig, method="HEAD")
    server.send_head("Content-Type: text/plain", "Content-Length: 5000")
    head = client.read_head(to_head=True)
    assert "content-encoding" not in head
    assert head.all("vary") == ["Accept-Encoding"]
    client.get("/events", "Accept-Encoding: gzip", 'If-None-Match: W/"one"')
    assert server.read_request()
    server.send_head('ETag: "one"', status="304 Not Modified")
    head = client.read_head()
    assert "content-encoding" not in head
    assert head.all("vary") == ["Accept-Encoding"]


def test_http10_ends_with_its_connection(rig):
    client, server, _ = ask(rig, version="1.0")
    server.start_events()
    assert client.read_head().get("content-encoding") == "gzip"
    server.chunk(event(1))
    server.end_chunks()
    assert Unpacked(client.body).rest() == event(1)


@pytest.mark.parametrize("accept", ["gzip", "zstd", "br"])
def test_a_cut_is_no_end(rig, accept):
    client, server, gateway = ask(rig, "--heal", "off", accept=accept, compress="zstd,gzip,br")
    server.start_events()
    assert client.read_head().get("content-encoding") == accept
    server.chunk(event(1))
    packed = client.body.read(1)
    server.chunk(b"data: never whole")
    server.close()
    packed += client.body.until_abort()
    if accept == "gzip":
        decoder = zlib.decompressobj(31)
        assert decoder.decompress(packed) == event(1)
        assert not decoder.eof
    if accept == "zstd":
        result = unzstd(packed)
        assert result.returncode != 0, "the frame has no end"
        assert event(1).startswith(result.stdout)
    wait_until(gateway.errors, "the message about the cut")


def test_heartbeats_are_packed(rig):
    client, server, _ = ask(rig, "--heartbeat", "50ms")
    server.start_events()
    client.read_head()
    events = Unpacked(client.body)
    assert events.read(13) == b": heartbeat\n\n"
    server.chunk(event(1))
    data = events.read(len(event(1)))
    while not data.endswith(event(1)):
        data += events.read(1)
    assert data.replace(b": heartbeat\n\n", b"") == event(1)
    server.end_chunks()
    events.rest()


def test_a_healed_stream_goes_on_in_the_same_body(rig):
    client, server, _ = ask(rig)
    server.start_events()
    client.read_head()
    events = Unpacked(client.body)
    server.chunk(event(1))
    assert events.read(len(event(1))) == event(1)
    server.chunk(event(2)[:10])
    server.close()
    server = rig.upstreams[0].accept()
    again = server.read_request()
    assert again.get("last-event-id") == "1"
    assert again.all("accept-encoding") == ["identity"]
    server.start_events()
    server.chunk(event(1) + event(2))
    assert events.read(len(event(2))) == event(2)
    server.end_chunks()
    assert events.rest() == b""


def test_filters_stand_before_it(rig, tmp_path):
    """What a filter writes, drops and adds is packed like the rest, and leaves at once."""
    file = tmp_path / "sluice.toml"
    file.write_text(FILTERS)
    client, server, gateway = ask(rig, "--config", str(file), "--filters", "redact,pings,hello")
    server.start_events()
    assert client.read_head().get("content-encoding") == "gzip"
    events = Unpacked(client.body)
    for i in range(20):
        server.chunk(b'data: {"secret":%d,"i":%d}\n\nevent: ping\ndata: 1\n\n' % (i, i))
        expected = b'data: {"secret":"*","i":%d}\n\n' % i
        assert events.read(len(expected)) == expected
    server.chunk(b"data: first\n\n")
    expected = b"event: hello\ndata: 1\n\ndata: first\n\n"
    assert events.read(len(expected)) == expected
    server.end_chunks()
    assert events.rest() == b""


def test_a_filter_that_ends_the_stream_ends_the_packed_body(rig, tmp_path):
    file = tmp_path / "sluice.toml"
    file.write_text(FILTERS)
    client, server, _ = ask(rig, "--config", str(file), "--filters", "stop")
    server.start_events()
    client.read_head()
    server.chunk(event(1) + b'data: {"stop":true}\n\n' + event(2))
    assert Unpacked(client.body).rest() == event(1) + b"event: bye\ndata: {}\n\n"


def test_http2(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream, "--compress", "gzip"))
    stream = client.request("GET", "/events", ("accept-encoding", "gzip"))
    server = upstream.accept()
    assert server.read_request().get("accept-encoding") == "identity"
    server.start_events()
    head = stream.head()
    assert head.get("content-encoding") == "gzip"
    assert head.get("vary") == "Accept-Encoding"
    events = Unpacked(stream)
    for i in range(20):
        server.chunk(event(i))
        assert events.read(len(event(i))) == event(i)
    server.end_chunks()
    assert events.rest() == b""


def test_http2_cut(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream, "--compress", "gzip", "--heal", "off"))
    stream = client.request("GET", "/events", ("accept-encoding", "gzip"))
    server = upstream.accept()
    server.read_request()
    server.start_events()
    events = Unpacked(stream)
    server.chunk(event(1))
    assert events.read(len(event(1))) == event(1)
    server.close()
    with pytest.raises(Aborted):
        events.rest()
    assert not events.decoder.eof


def test_curl(rig):
    def serve(server, request):
        server.start_events()
        for i in range(100):
            server.chunk(event(i))
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve), "--compress", "zstd,gzip,br")
    result = subprocess.run(["curl", "-sSN", "--compressed", f"{gateway.url}/events"], capture_output=True, timeout=20)
    assert result.returncode == 0, result.stderr
    assert result.stdout == b"".join(event(i) for i in range(100))
    assert sum(gateway.metrics().sum("sluice_encoded_bodies_total", coding=coding)
               for coding in ("zstd", "gzip", "br")) == 1


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_eventsource(rig, browser, coding):
    def serve(server, request):
        if request.target != "/events":
            return server.respond(b"<!doctype html><title>x</title>", "Content-Type: text/html")
        server.start_events()
        for i in range(5):
            server.chunk(event(i))
        server.read_request()  # until the page leaves

    gateway = rig.gateway(rig.upstream(serve), "--compress", coding)
    browser.open(gateway.url + "/")
    browser.run("window.ids = []; const source = new EventSource('/events');"
                "source.onmessage = event => window.ids.push(Number(event.lastEventId));")
    wait_until(lambda: browser.run("return window.ids.length >= 5"), "5 events", 30)
    assert browser.run("return window.ids") == list(range(5))
    assert gateway.metrics().sum("sluice_encoded_bodies_total", coding=coding) == 1
    browser.open("about:blank")
