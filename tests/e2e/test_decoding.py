"""An upstream that encodes its event stream although it was asked not to: where events have to be
seen they are decoded, at once and within bounds, and a packed body that is cut has no clean end."""

import gzip
import subprocess
import zlib

import pytest

from harness import wait_until
from harness.wire import Aborted

STREAM = "Content-Type: text/event-stream"
ASKS = ("GET", "/events", "Accept: text/event-stream", "Accept-Encoding: gzip, deflate")
REDACT = """
[[filter]]
name = "redact"
actions = [ { set = "/secret", value = "*" } ]
"""


def event(i):
    return b'id: %d\ndata: {"choices":[{"delta":{"content":" word %d"}}]}\n\n' % (i, i * 7919 % 1000)


class Deflate:
    def __init__(self, bits):
        self.encoder = zlib.compressobj(wbits=bits)

    def __call__(self, data):
        return self.encoder.compress(data) + self.encoder.flush(zlib.Z_SYNC_FLUSH)

    def end(self):
        return self.encoder.flush()


class Frames:
    """zstd's, one for each event."""

    def __call__(self, data):
        return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout

    def end(self):
        return b""


class Stored:
    """Brotli's meta-blocks of plain bytes (RFC 7932 section 9.2)."""

    begun = False

    def __call__(self, data):
        bits = (len(data) - 1) << 3 | 1 << 19
        if not self.begun:
            bits <<= 1  # behind the window's size
        self.begun = True
        return bits.to_bytes(3, "little") + data

    def end(self):
        return b"\x03"


CODINGS = {"gzip": lambda: Deflate(31), "x-gzip": lambda: Deflate(31), "deflate": lambda: Deflate(15),
           "deflate bare": lambda: Deflate(-15), "zstd": Frames, "br": Stored}


def coding_field(coding):
    return f"Content-Encoding: {coding.split()[0]}"


def wait_no_memory(gateway):
    wait_until(lambda: gateway.metrics().sum("sluice_decoder_bytes") == 0, "no decoder has memory")


def stream(rig, coding, *flags, request=ASKS):
    """A client that has its head, the upstream's end, and its encoder."""
    client, server = rig.exchange(*flags, request=request)
    server.start_events(coding_field(coding))
    client.head = client.read_head()
    assert client.head.status == 200
    return client, server, CODINGS[coding]()


@pytest.fixture
def flags(tmp_path):
    def write(*further):
        file = tmp_path / "sluice.toml"
        file.write_text(REDACT)
        return ("--config", str(file), "--filters", "redact", *further)
    return write


@pytest.mark.parametrize("coding", CODINGS)
def test_each_event_arrives_at_once(rig, coding):
    client, server, pack = stream(rig, coding)
    assert "content-encoding" not in client.head
    for i in range(20):
        server.chunk(pack(event(i)))
        assert client.body.read(len(event(i))) == event(i)
    server.chunk(pack.end() or pack(b""))
    server.end_chunks()
    assert client.body.rest() == b""
    gateway = rig.gateways[0]
    name = coding.removeprefix("x-").split()[0]
    metrics = gateway.metrics()
    assert metrics.sum("sluice_decoded_bodies_total", coding=name) == 1
    assert metrics.sum("sluice_decoded_plain_bytes_total", coding=name) == sum(len(event(i)) for i in range(20))
    assert metrics.sum("sluice_events_total") == 20
    wait_no_memory(gateway)


def test_the_request_asks_for_none(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    rig.client(gateway).request(*ASKS)
    assert upstream.accept().read_request().all("accept-encoding") == ["identity"]
    rig.client(gateway).get("/page.html", "Accept-Encoding: gzip")
    assert upstream.accept().read_request().all("accept-encoding") == ["gzip"]


@pytest.mark.parametrize("coding", CODINGS)
def test_cut_at_every_byte(rig, coding):
    pack = CODINGS[coding]()
    packed = b"".join(pack(event(i)) for i in range(3)) + pack.end()
    client, server = rig.exchange(request=ASKS)
    server.send_head(STREAM, coding_field(coding), f"Content-Length: {len(packed)}", 'ETag: "one"', "Accept-Ranges: bytes",
                     "Vary: Origin")
    head = client.read_head()
    assert head.all("etag") == ['W/"one"']
    assert head.all("vary") == ["Origin"]
    assert "content-length" not in head and "content-encoding" not in head and "accept-ranges" not in head
    for i in range(len(packed)):
        server.send(packed[i:i + 1])
    assert client.body.rest() == b"".join(map(event, range(3)))


def test_filters_see_it(rig, flags):
    client, server, pack = stream(rig, "gzip", *flags(), request=("GET", "/events"))
    for i in range(5):
        server.chunk(pack(b'data: {"secret":%d,"a":1}\n\n' % i))
        assert client.body.read(28) == b'data: {"secret":"*","a":1}\n\n'
    server.chunk(pack.end())
    server.end_chunks()
    client.body.rest()


def test_compression_packs_it_anew(rig):
    client, server, pack = stream(rig, "deflate", "--compress", "gzip")
    assert client.head.all("content-encoding") == ["gzip"]
    assert client.head.all("vary") == ["Accept-Encoding"]
    decoder = zlib.decompressobj(31)
    for i in range(5):
        server.chunk(pack(event(i)))
        plain = b""
        while len(plain) < len(event(i)):
            plain += decoder.decompress(client.body.read(1))
        assert plain == event(i)
    server.chunk(pack.end())
    server.end_chunks()
    assert decoder.decompress(client.body.rest()) == b""
    assert decoder.eof


@pytest.mark.parametrize("cut", ["at the end", "within a block"])
def test_a_cut_is_no_end_however_it_is_framed(rig, cut):
    client, server, pack = stream(rig, "gzip", "--heal", "off", "--compress", "gzip",
                                  request=("GET", "/events", "Accept-Encoding: gzip"))
    server.chunk(pack(event(1)))
    packed = client.body.read(1)
    if cut == "within a block":
        server.chunk(pack(event(2))[:-7])
    server.end_chunks()
    packed += client.body.until_abort()
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(packed) == event(1)
    assert not decoder.eof
    gateway = rig.gateways[0]
    assert gateway.metrics().sum("sluice_decoding_failures_total", reason="cut") == 1
    assert gateway.metrics().sum("sluice_closes_total", reason="upstream_truncated") == 1
    wait_until(lambda: "coding_cut" in gateway.errors(), "the message about the cut")


@pytest.mark.parametrize("end", ["close", "coding"])
def test_a_cut_is_healed(rig, end):
    client, server, pack = stream(rig, "gzip")
    server.chunk(pack(event(1) + event(2)[:10]))
    assert client.body.read(len(event(1))) == event(1)
    if end == "coding":
        server.end_chunks()
    else:
        server.close()
    server = rig.upstreams[0].accept()
    again = server.read_request()
    assert again.get("last-event-id") == "1"
    server.start_events("Content-Encoding: br")
    pack = Stored()
    server.chunk(pack(event(1) + event(2)))
    assert client.body.read(len(event(2))) == event(2)
    server.chunk(pack.end())
    server.end_chunks()
    assert client.body.rest() == b""


def test_members_follow_each_other(rig):
    client, server, _ = stream(rig, "gzip")
    for i in range(5):
        server.chunk(gzip.compress(event(i)))
        assert client.body.read(len(event(i))) == event(i)
    server.end_chunks()
    assert client.body.rest() == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_what_is_no_packing_ends_the_stream(rig, coding):
    client, server, pack = stream(rig, coding, "--heal", "off", "--compress", "gzip",
                                  request=("GET", "/events", "Accept-Encoding: gzip"))
    server.chunk(pack(event(1)))
    packed = client.body.read(1)
    server.chunk(pack.end() + b"\xff\x00 more")
    packed += client.body.until_abort()
    assert zlib.decompressobj(31).decompress(packed) == event(1)
    gateway = rig.gateways[0]
    assert gateway.metrics().sum("sluice_decoding_failures_total", reason="invalid") == 1
    wait_until(lambda: "coding_invalid" in gateway.errors(), "the message about it")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_ends_the_stream(rig, coding):
    """256 MiB in 260 KB, or in 8."""
    plain = b"data: " + bytes(256 << 20)
    packed = gzip.compress(plain, 9) if coding == "gzip" else Frames()(plain)
    client, server, _ = stream(rig, coding)
    server.chunk(packed)
    body = client.body.until_abort()
    assert len(body) < 128 << 20
    gateway = rig.gateways[0]
    assert gateway.metrics().sum("sluice_decoding_failures_total", reason="ratio") == 1
    wait_no_memory(gateway)
    wait_until(lambda: "coding_ratio" in gateway.errors(), "the message about it")


@pytest.mark.parametrize("lost", [False, True])
def test_what_waits_is_neither_lost_nor_unpacked(rig, lost):
    """The client reads nothing: what has come waits packed, and comes out when it does read, though
    the upstream has ended meanwhile, or was lost."""
    events = b"".join(b"data: %d %b\n\n" % (i, b"x" * 1000) for i in range(20000))
    encoder = zlib.compressobj(wbits=31)
    packed = encoder.compress(events) + encoder.flush(zlib.Z_SYNC_FLUSH if lost else zlib.Z_FINISH)
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--compress", "zstd", "--heal", "off")
    client = rig.client(gateway, rcvbuf=4096)
    client.request(*ASKS[:2], "Accept: text/event-stream", "Accept-Encoding: gzip, zstd;q=0.5")
    server = upstream.accept()
    assert server.read_request()
    server.start_events("Content-Encoding: gzip")
    server.chunk(packed)
    if lost:
        server.close()
    else:
        server.end_chunks()
    head = client.read_head()
    assert head.get("content-encoding") == "zstd"
    plain = gateway.metrics().sum("sluice_decoded_plain_bytes_total")
    assert plain < len(events)
    body = client.body.until_abort() if lost else client.body.rest()
    result = subprocess.run(["zstd", "-dc"], input=body, capture_output=True)
    assert (result.returncode == 0) == (not lost)
    assert result.stdout == events
    if lost:
        wait_until(gateway.errors, "the message about the loss")


@pytest.mark.parametrize("coding", ["gzip, gzip", "compress", "gzip, br"])
def test_what_cannot_be_decoded(rig, flags, coding):
    packed = gzip.compress(gzip.compress(event(1)))
    client, server = rig.exchange(request=ASKS)
    server.respond(packed, STREAM, f"Content-Encoding: {coding}")
    head, body = client.response()
    assert body == packed and head.get("content-encoding") == coding
    client, server = rig.exchange(*flags(), request=ASKS)
    server.respond(packed, STREAM, f"Content-Encoding: {coding}")
    assert client.response()[0].status == 502
    wait_until(rig.gateways[1].errors, "the message about it")


@pytest.mark.parametrize("case", [dict(fields=("Cache-Control: no-transform",)), dict(flags=("--on-encoded", "pass")),
                                  dict(flags=("--on-encoded", "refuse")), dict(flags=("--heal", "off")),
                                  dict(flags=("--framing", "off")),
                                  dict(status="206 Partial Content", fields=("Content-Range: bytes 0-9/20",))])
def test_where_it_passes_as_it_came(rig, case):
    packed = gzip.compress(event(1))
    client, server = rig.exchange(*case.get("flags", ()), request=ASKS)
    server.respond(packed, STREAM, "Content-Encoding: gzip", 'ETag: "one"', *case.get("fields", ()),
                   status=case.get("status", "200 OK"))
    head, body = client.response()
    assert body == packed
    assert head.get("etag") == '"one"'
    assert head.get("content-encoding") == "gzip"


def test_an_empty_body(rig):
    client, server, _ = stream(rig, "gzip")
    server.end_chunks()
    assert client.body.rest() == b""


def test_http2(rig):
    upstream = rig.upstream()
    client = rig.http2(rig.gateway(upstream, "--compress", "gzip", "--heal", "off"))
    events = client.request("GET", "/events", ("accept-encoding", "gzip"))
    server = upstream.accept()
    server.read_request()
    server.start_events("Content-Encoding: zstd")
    assert events.head().get("content-encoding") == "gzip"
    pack = Frames()
    decoder = zlib.decompressobj(31)
    for i in range(5):
        server.chunk(pack(event(i)))
        plain = b""
        while len(plain) < len(event(i)):
            plain += decoder.decompress(events.read(1))
        assert plain == event(i)
    server.chunk(pack(event(6))[:10])
    server.end_chunks()
    with pytest.raises(Aborted):
        events.rest()
    wait_until(rig.gateways[0].errors, "the message about the cut")


def test_a_client_that_leaves_gives_the_memory_back(rig):
    client, server, pack = stream(rig, "gzip")
    server.chunk(pack(event(1)))
    assert client.body.read(len(event(1))) == event(1)
    gateway = rig.gateways[0]
    assert gateway.metrics().sum("sluice_decoder_bytes") > 30_000
    client.close()
    server.wait_closed()
    wait_no_memory(gateway)


def test_memory_for_decoders_is_bounded(rig):
    """A window of 8 MiB is more than a quarter of --pool-max."""
    packed = subprocess.run(["zstd", "-qc", "--zstd=wlog=23"], input=event(1) * 500_000, capture_output=True,
                            check=True).stdout
    client, server, _ = stream(rig, "zstd", "--pool-max", "16m")
    server.chunk(packed)
    client.body.until_abort()
    gateway = rig.gateways[0]
    assert gateway.metrics().sum("sluice_decoding_failures_total", reason="memory") == 1
    assert gateway.metrics().sum("sluice_closes_total", reason="overloaded") == 1
    wait_until(gateway.errors, "the message about it")


def test_many_slow_clients_in_little_memory(rig):
    """Each gets all of its events or an abort, and all memory comes back."""
    events = b"".join(b"data: %d %b\n\n" % (i, b"x" * 500) for i in range(4000))
    packed = zlib.compress(events, wbits=31)

    def serve(server, request):
        server.start_events("Content-Encoding: gzip")
        try:
            server.chunk(packed)
            server.end_chunks()
        except OSError:
            pass  # the gateway has given it up

    gateway = rig.gateway(rig.upstream(serve), "--pool-max", "4m", "--pool-sse-event", "4k:100",
                          "--pool-http-message", "16k:50", "--heal", "off", "--compress", "gzip", "--client-sndbuf", "8k")
    clients = [rig.client(gateway, rcvbuf=4096) for _ in range(40)]
    for client in clients:
        client.request("GET", "/events", "Accept-Encoding: gzip")
    whole = 0
    for client in clients[::2]:  # the others leave without a byte read
        head = client.read_head()
        try:
            body = client.body.rest()
        except Aborted:
            continue
        assert head.status == 503 or zlib.decompress(body, wbits=31) == events
        whole += head.status == 200
    assert whole > 0
    for client in clients:
        client.close()
    wait_no_memory(gateway)
    gateway.errors()


def test_an_early_head_promises_plain_events(rig):
    client, server = rig.exchange("--heartbeat-head-after", "50ms", "--heartbeat", "1m", request=ASKS)
    assert client.read_head().status == 200
    assert client.body.read(13) == b": heartbeat\n\n"
    pack = Deflate(31)
    server.start_events("Content-Encoding: gzip")
    server.chunk(pack(b"\xef\xbb\xbf" + event(1)))
    assert client.body.read(len(event(1))) == event(1)
    server.chunk(pack.end())
    server.end_chunks()
    assert client.body.rest() == b""
