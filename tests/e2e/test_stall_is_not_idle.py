"""While a client does not read, its upstream is stopped, not silent: that is no idle time."""

import time

EVENTS = 2000
EVENT = b"data: " + b"x" * 1000 + b"\n\n"


def test_a_stalled_stream_goes_on(rig):
    def flood(server, request):
        server.start_events()
        for _ in range(EVENTS):
            server.chunk(EVENT)
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(flood, sndbuf=16 * 1024), "--stream-idle-timeout", "500ms")
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    read_on = time.monotonic() + 1.5
    while time.monotonic() < read_on:  # nothing to wait for: nothing must happen
        assert gateway.metrics().sum("sluice_closes_total", reason="upstream_idle_timeout") == 0
        time.sleep(0.1)
    assert client.body.rest() == EVENT * EVENTS


def test_an_upstream_that_is_silent_after_the_stall_is_idle(rig):
    def flood_and_fall_silent(server, request):
        server.start_events()
        for _ in range(EVENTS):
            server.chunk(EVENT)
        server.wait_closed()

    gateway = rig.gateway(rig.upstream(flood_and_fall_silent, sndbuf=16 * 1024),
                          "--stream-idle-timeout", "500ms", "--heartbeat", "0")
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    assert client.body.until_abort() == EVENT * EVENTS
    gateway.wait_metric("sluice_closes_total", 1, reason="upstream_idle_timeout")
