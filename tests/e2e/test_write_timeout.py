"""A client that takes nothing for --write-timeout is dropped and counted; a slow one is not."""

import time

from harness import wait_until


def flood(server, request):
    server.start_events()
    while True:
        server.chunk(b"data: %b\n\n" % (b"x" * 1000))


def test_a_stalled_client_is_dropped(rig):
    upstream = rig.upstream(flood)
    gateway = rig.gateway(upstream, "--write-timeout", "300ms")
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    gateway.wait_metric("sluice_closes_total", 1, side="client", reason="client_stalled")
    gateway.wait_idle()
    received = client.body.until_abort()
    assert received.startswith(b"data: x")


def test_a_client_that_makes_progress_is_kept(rig):
    gateway = rig.gateway(rig.upstream(flood), "--write-timeout", "500ms")
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    started = time.monotonic()

    def slowly_read_for_longer_than_the_timeout():
        client.body.read(200_000)
        return time.monotonic() - started > 1.5

    wait_until(slowly_read_for_longer_than_the_timeout, "reading on")
    assert gateway.metrics().sum("sluice_closes_total", reason="client_stalled") == 0


def test_an_idle_stream_has_nothing_to_write(rig):
    client, server = rig.stream("--write-timeout", "100ms", "--heartbeat", "0")
    client.assert_silent(0.4)
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
