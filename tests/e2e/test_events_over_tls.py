"""Filters, decoding and compression with TLS on both sides: the same events, each at once, also with
lean records; and a cut is none of the three's end."""

import zlib

import pytest

from harness import wait_until
from harness.tls import TlsRig

FILTERS = """
[[filter]]
name = "redact"
match = { json = { pointer = "/secret" } }
actions = [ { set = "/secret", value = "*" } ]

[[filter]]
name = "pings"
match = { event = "ping" }
actions = [ { drop = true } ]
"""


@pytest.fixture
def rig():
    rig = TlsRig()
    yield rig
    rig.finish()


@pytest.fixture
def flags(tmp_path):
    file = tmp_path / "sluice.toml"
    file.write_text(FILTERS)
    return ("--config", str(file), "--filters", "redact,pings")


def secret(i, value):
    return b'data: {"secret":%b,"i":%d}\n\n' % (value, i)


@pytest.mark.parametrize("records", ["openssl", "lean"])
@pytest.mark.parametrize("packed", [False, True])
def test_each_event_at_once(rig, flags, records, packed):
    more = ("--compress", "gzip") if packed else ()
    client, server = rig.exchange(*flags, *more, "--tls-records", records,
                                  request=("GET", "/events", "Accept-Encoding: gzip"))
    server.start_events("Content-Encoding: gzip")
    pack = zlib.compressobj(wbits=31)
    assert client.read_head().get("content-encoding") == ("gzip" if packed else None)
    unpack = zlib.decompressobj(31)
    for i in range(20):
        event = secret(i, b"1") + b"event: ping\ndata: 1\n\n"
        server.chunk(pack.compress(event) + pack.flush(zlib.Z_SYNC_FLUSH))
        expected = secret(i, b'"*"')
        plain = b""
        while len(plain) < len(expected):
            byte = client.body.read(1)
            plain += unpack.decompress(byte) if packed else byte
        assert plain == expected
    server.chunk(pack.flush())
    server.end_chunks()
    rest = client.body.rest()
    assert (unpack.decompress(rest) if packed else rest) == b""
    assert unpack.eof == packed


def test_a_large_event_of_many_records(rig, flags):
    client, server = rig.stream(*flags)
    large = b'data: {"fill":"%b","secret":1}\n\n' % (b"x" * 50_000)
    server.chunk(large)
    assert client.body.event() == large.replace(b'"secret":1', b'"secret":"*"')


def test_a_cut(rig, flags):
    client, server = rig.stream(*flags, "--heal", "off")
    server.chunk(secret(1, b"1") + b'data: {"secret":"never')
    server.cut()
    assert client.body.until_abort() == secret(1, b'"*"')
    wait_until(rig.gateways[0].errors, "the message about the cut")
