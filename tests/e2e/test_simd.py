"""Whichever instructions find the ends of events, the bytes are the same."""

import pytest

from harness import wait_until

# The last one has no end; a read ends anywhere.
EVENTS = (b"data: 1\n\n", b"data: 2\r\n\r\n", b"data: 3\r\r", b": comment\n\n",
          b"id: 4\ndata:" + b"4" * 500 + b"\n\n", b"data: 5\r\n\n", b"data: 6\n\r\n", b"\n",
          b"event: 7\ndata: \xf0\x9f\x8c\x8a\n\n") * 8 + (b"data: unfinished\n",)
FLAGS = {"scalar": None, "sse2": "sse2", "avx2": "avx2"}


def cpu_has(flag):
    with open("/proc/cpuinfo") as cpuinfo:
        return flag is None or f" {flag} " in cpuinfo.read().replace("\n", " ")


@pytest.mark.parametrize("name", FLAGS)
def test_the_same_bytes(rig, name):
    if not cpu_has(FLAGS[name]):
        pytest.skip(f"this CPU has no {name}")
    client, server = rig.stream("--simd", name)
    gateway = rig.gateways[0]
    wait_until(lambda: f"scanner {name};" in gateway.errors(), "the scanner in the line of facts")
    body = b"".join(EVENTS)
    for at in range(0, len(body), 97):
        server.chunk(body[at:at + 97])
    received = client.body.read(len(body) - len(EVENTS[-1]))
    client.assert_silent(0.1)  # what is not whole waits
    server.end_chunks()
    assert received + client.body.rest() == body
    assert gateway.metrics().sum("sluice_events_total") == 7 * 8
