"""Many streams at once, over one worker or several: each keeps its own order and ends its own way."""

import pytest

from harness.streams import interleave

STREAMS = 100
EVENTS = 20


@pytest.mark.parametrize("threads", ["1", "2", "4"])
def test_interleaved_streams(rig, threads):
    gateway = interleave(rig, STREAMS, EVENTS, "--threads", threads)
    assert gateway.metrics().sum("sluice_events_total") == STREAMS * EVENTS
    assert gateway.metrics().sum("sluice_closes_total", reason="complete") == STREAMS


@pytest.mark.parametrize("threads", ["1", "4"])
def test_all_clients_leave_at_once(rig, threads):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--threads", threads)
    clients = [rig.client(gateway) for _ in range(STREAMS)]
    servers = []
    for client in clients:
        client.get()
        servers.append(upstream.accept())
        servers[-1].read_request()
        servers[-1].start_events()
    for client in clients:
        client.close()
    for server in servers:
        server.wait_closed(2.0)
    gateway.wait_metric("sluice_upstream_cancels_total", STREAMS)


def test_connections_come_and_go(rig):
    """Slots, descriptors and counters come back with each of them."""
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"x" * 5000)))
    for _ in range(300):
        client = rig.client(gateway)
        client.get("/", "Connection: close")
        assert client.response()[1] == b"x" * 5000
        client.close()
    gateway.wait_idle()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_client_connections_accepted_total") == 300
    assert metrics.sum("sluice_client_connections") == 0
