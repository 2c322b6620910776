"""Workers are pinned to CPUs, or not: both serve."""

import os

import pytest

from harness import wait_until


@pytest.mark.parametrize("flags,pinned", [((), True), (("--pin=off",), False), (("--no-pin",), False)])
def test_it_starts_and_serves(rig, flags, pinned):
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"ok")), "--threads", "1", *flags)
    client = rig.client(gateway)
    client.get()
    assert client.response()[1] == b"ok"
    facts = wait_until(lambda: [line for line in gateway.errors().splitlines() if "io_uring with" in line],
                       "the line of facts")[0]
    assert ("pinned" in facts) == pinned
    allowed = [len(os.sched_getaffinity(int(thread))) for thread in os.listdir(f"/proc/{gateway.pid}/task")]
    if os.cpu_count() > 1:
        assert (min(allowed) == 1) == pinned
