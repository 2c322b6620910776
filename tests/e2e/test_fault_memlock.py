"""Where little memory may be locked, slots that do not fit are not registered, and serve as well."""

import os
import subprocess

import pytest

from harness import wait_until
from harness.gateway import become, binary
from harness.streams import event, interleave

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")

NOBODY = 65534
SERVED, GROWN, REFUSED = range(NOBODY - 4, NOBODY - 1)  # each a user of its own
MIB = 1024 * 1024
STALLED = 100
RCVBUF = 16 * 1024
EVENTS = 4000


def or_skip(start):
    try:
        return start()
    except PermissionError:
        pytest.skip("the binary is where nobody else may run it")


def test_streams_from_slots_that_are_not_registered(rig):
    gateway = or_skip(lambda: interleave(rig, 50, 20, before_exec=become(SERVED, 8 * MIB)))
    assert "not registered: RLIMIT_MEMLOCK" in gateway.errors()
    assert gateway.metrics().sum("sluice_closes_total", reason="complete") == 50


def test_a_pool_that_grows_beyond_what_may_be_locked(rig):
    def body_of(target):
        return b"".join(event(target, i) for i in range(EVENTS))

    def serve(server, request):
        server.start_events()
        body = body_of(request.target)
        for at in range(0, len(body), 2000):
            server.chunk(body[at:at + 2000])
        server.end_chunks()

    upstream = rig.upstream(serve, sndbuf=16 * 1024)
    gateway = or_skip(lambda: rig.gateway(
        upstream, "--pool-sse-event", "4k:64", "--pool-http-message", "4k:16", "--buffer-size", "32k",
        "--client-sndbuf", "4k", before_exec=become(GROWN, MIB)))
    assert ", registered" in gateway.errors()

    def slots():
        return gateway.metrics().sum("sluice_buffer_pool_current_size", pool="sse_event")

    clients = {f"/{i}": rig.client(gateway, rcvbuf=RCVBUF) for i in range(STALLED)}
    for target, client in clients.items():
        client.get(target)
    wait_until(lambda: slots() * 4096 > MIB, "more slots than may be locked")
    for target, client in clients.items():
        assert client.response()[1] == body_of(target)
    wait_until(lambda: slots() == 64, "what the pool grew by is given back")


def test_not_even_the_rings_fit():
    command = [binary(), "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    result = or_skip(lambda: subprocess.run(
        command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
        preexec_fn=become(REFUSED, 64 * 1024)))
    assert result.returncode == 1, result
    refusal = [line for line in result.stderr.splitlines() if "listening on" not in line]
    assert len(refusal) == 1, result.stderr
    assert "io_uring is refused" in refusal[0] and "RLIMIT_MEMLOCK" in refusal[0]
