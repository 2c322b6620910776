"""Several hundred upstreams' connections that are reset within an event: each client gets the whole
events that came before and an abort, and nothing of them is left."""

import pytest

from harness import wait_until

STREAMS = 300
WHOLE = b"data: 1\n\n"
PARTIAL = b"id: 2\ndata: 2\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_reset_within_an_event(rig, threads):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--threads", threads, "--upstream-keepalive", "0")
    clients = []
    servers = []
    for _ in range(STREAMS):
        clients.append(rig.client(gateway))
        clients[-1].get()
        servers.append(upstream.accept())
        servers[-1].read_request()
        servers[-1].start_events()
        servers[-1].send(b"%x\r\n%b" % (1000, WHOLE + PARTIAL))
    for client in clients:
        assert client.read_head().status == 200
    held = STREAMS * len(PARTIAL)
    wait_until(lambda: sum(stream["held"] for stream in gateway.streams()) == held, "half an event of each is held")

    for server in servers:
        server.reset()
    for client in clients:
        assert client.body.until_abort() == WHOLE
    gateway.wait_idle()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_closes_total", side="upstream", reason="upstream_reset") == STREAMS
    assert metrics.sum("sluice_discarded_bytes_total") == held
    assert metrics.sum("sluice_events_total") == STREAMS
    rig.assert_serves()
