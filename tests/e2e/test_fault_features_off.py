"""Each io_uring feature forced off by itself, and each two of them together: streams, a slow reader,
an upload, a client that leaves and a drain are as with all of them."""

import itertools
import pathlib
import re
import signal
import threading

import pytest

from harness import wait_until
from harness.streams import event

HEADER = pathlib.Path(__file__).resolve().parents[2] / "core/features.h"
FEATURES = re.findall(r'\{"([a-z-]+)", &Features::', HEADER.read_text(encoding="utf-8"))
COMBINATIONS = [names for size in (1, 2) for names in itertools.combinations(FEATURES, size)]
# So that a reader stalls behind little. With less than this a window may be smaller than a segment,
# and each segment then waits for the sender's timer.
RCVBUF = 16 * 1024
SMALL = ("--client-sndbuf", "4k", "--client-notsent-lowat", "4k", "--upstream-rcvbuf", "4k")
EVENTS = {"/stream/0": 20, "/stream/1": 20, "/stream/2": 20, "/slow": 4000}
UPLOAD = bytes(range(256)) * 400


def body_of(target):
    return b"".join(event(target, i) for i in range(EVENTS[target]))


class Upstream:
    def __init__(self):
        self.go = threading.Event()

    def __call__(self, server, request):
        if request.method == "POST":
            server.respond(request.content)
            return
        server.start_events()
        if request.target == "/endless":
            server.chunk(b"data: and so on\n\n")
            server.wait_closed()
        elif request.target == "/last":
            server.chunk(b"data: before\n\n")
            self.go.wait(10)
            server.chunk(b"data: after\n\n")
            server.end_chunks()
        else:
            body = body_of(request.target)
            for at in range(0, len(body), 100):
                server.chunk(body[at:at + 100])
            server.end_chunks()


def test_the_features_are_found():
    assert len(FEATURES) == len(set(FEATURES)) >= 9


@pytest.mark.parametrize("off", COMBINATIONS, ids="+".join)
def test_without(rig, off):
    upstream = Upstream()
    gateway = rig.gateway(rig.upstream(upstream, sndbuf=16 * 1024), "--uring-disable", ",".join(off), *SMALL)
    facts = wait_until(lambda: re.search("io_uring with.*, without ([^;]*)", gateway.errors()), "the line of facts")
    assert set(off) <= set(facts.group(1).split())

    clients = {target: rig.client(gateway, rcvbuf=RCVBUF if target == "/slow" else None) for target in EVENTS}
    for target, client in clients.items():
        client.get(target)
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    for target, client in clients.items():
        assert client.response()[1] == body_of(target)

    client = clients["/stream/0"]
    client.request("POST", "/upload", body=UPLOAD)
    assert client.response()[1] == UPLOAD

    client.get("/endless")
    client.read_head()
    client.body.event()
    client.reset()
    gateway.wait_metric("sluice_upstream_cancels_total", 1)
    for client in clients.values():
        client.close()
    gateway.wait_idle()

    last = rig.client(gateway)
    last.get("/last")
    last.read_head()
    assert last.body.event() == b"data: before\n\n"
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in gateway.errors(), "it drains")
    upstream.go.set()
    assert last.body.rest() == b"data: after\n\n"
    assert last.wait_closed() == "fin"
    last.close()
    assert gateway.wait_exit() == 0
