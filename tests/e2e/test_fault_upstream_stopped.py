"""An upstream's process that is stopped looks like one that thinks: its streams go on when it does,
and end by --stream-idle-timeout where that is too late."""

import time

import pytest

from harness import wait_until
from harness.streams import event
from harness.upstream_process import UpstreamProcess

HEARTBEAT = b": heartbeat\n\n"
STREAMS = 20


def body_of(target):
    return b"".join(event(target, i) for i in range(int(target.rsplit("/", 1)[1])))


@pytest.fixture
def upstream(rig):
    rig.upstreams.append(UpstreamProcess())
    return rig.upstreams[0]


def start_streams(rig, gateway, events):
    """Clients by target; each has seen its first event."""
    clients = {f"/{i}/{events}": rig.client(gateway) for i in range(STREAMS)}
    for target, client in clients.items():
        client.get(target)
    for target, client in clients.items():
        assert client.read_head().status == 200
        assert client.body.event() == event(target, 0)
    return clients


def wait_for_silence(gateway):
    """Nothing has come from the upstream for a good while."""
    seen = []

    def unchanged():
        seen.append(gateway.metrics().sum("sluice_upstream_received_bytes_total"))
        return len(seen) > 50 and seen[-1] == seen[-50]

    wait_until(unchanged, "silence")


def assert_serves(rig, gateway):
    client = rig.client(gateway)
    client.get("/after/1")
    assert client.response()[1] == event("/after/1", 0)


def test_it_goes_on_in_time(rig, upstream):
    gateway = rig.gateway(upstream, "--heartbeat", "50ms")
    clients = start_streams(rig, gateway, 50)
    upstream.stop()
    wait_for_silence(gateway)
    assert gateway.metrics().sum("sluice_active_event_streams") == STREAMS
    upstream.go_on()
    for target, client in clients.items():
        assert event(target, 0) + client.body.rest().replace(HEARTBEAT, b"") == body_of(target)
    assert_serves(rig, gateway)


def test_it_goes_on_after_half_a_minute(rig, upstream):
    """With the time-outs as they are by default."""
    gateway = rig.gateway(upstream)
    clients = start_streams(rig, gateway, 50)
    upstream.stop()
    time.sleep(30)
    assert gateway.metrics().sum("sluice_active_event_streams") == STREAMS
    upstream.go_on()
    for target, client in clients.items():
        assert event(target, 0) + client.body.rest().replace(HEARTBEAT, b"") == body_of(target)


def test_it_goes_on_too_late(rig, upstream):
    gateway = rig.gateway(upstream, "--heartbeat", "50ms", "--stream-idle-timeout", "1s", "--first-byte-timeout", "1s",
                          "--heal", "off")
    clients = start_streams(rig, gateway, 1000)
    upstream.stop()
    for target, client in clients.items():
        received = event(target, 0) + client.body.until_abort().replace(HEARTBEAT, b"")
        assert received != body_of(target)
        assert body_of(target).startswith(received) and received.endswith(b"\n\n")
    gateway.wait_idle()
    assert gateway.metrics().sum("sluice_closes_total", reason="upstream_idle_timeout") == STREAMS

    unanswered = rig.client(gateway)
    unanswered.get("/meanwhile/1")  # its kernel still takes connections
    assert unanswered.response()[0].status == 504
    upstream.go_on()
    assert_serves(rig, gateway)
