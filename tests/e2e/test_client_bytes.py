"""sluice_client_sent_bytes_total counts what clients got of bodies, without heads and framing."""

import random

import pytest

SENT = "sluice_client_sent_bytes_total"
BODY = random.Random(1).randbytes(1024 * 1024)
EVENTS = [b"id: %d\ndata: %b\n\n" % (i, b"x" * (i % 700)) for i in range(300)]


def assert_sent(gateway, count):
    """Exactly so many: the client may know before the counter does."""
    gateway.wait_metric(SENT, count)
    gateway.wait_idle()
    assert gateway.metrics().sum(SENT) == count


def test_nothing_at_first(rig):
    metrics = rig.gateway(rig.upstream()).metrics()
    assert SENT in metrics.names
    assert metrics.sum(SENT) == 0


def test_each_event_as_it_leaves(rig):
    client, server = rig.stream()
    total = 0
    for event in EVENTS[:20]:
        server.chunk(event)
        assert client.body.event() == event
        total += len(event)
        rig.gateways[0].wait_metric(SENT, total)
        assert rig.gateways[0].metrics().sum(SENT) == total


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("framing", [
    f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked", "Connection: close"])
def test_bodies_of_every_framing(rig, framing, version):
    def answer(server, request):
        server.send_head("Content-Type: application/octet-stream", framing)
        if "chunked" not in framing:
            server.send(BODY)
        else:
            for at in range(0, len(BODY), 10_000):
                server.chunk(BODY[at:at + 10_000])
            server.end_chunks()
        if "close" in framing:
            server.close()

    gateway = rig.gateway(rig.upstream(answer))
    client = rig.client(gateway)
    client.get("/big", version=version)
    assert client.response()[1] == BODY
    assert_sent(gateway, len(BODY))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_sum_over_clients_and_requests(rig, threads):
    def serve(server, request):
        server.start_events()
        for event in EVENTS:
            server.chunk(event)
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve), "--threads", threads)
    clients = [rig.client(gateway) for _ in range(10)]
    for _ in range(2):
        for client in clients:
            client.get()
        for client in clients:
            assert client.response()[1] == b"".join(EVENTS)
    assert_sent(gateway, 20 * sum(map(len, EVENTS)))


def test_what_has_no_body(rig):
    upstream = rig.upstream(lambda server, request: server.send_head("Content-Length: 1000"))
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    client.request("HEAD", "/")
    client.response(to_head=True)
    gateway.wait_idle()
    assert gateway.metrics().sum(SENT) == 0


def test_what_a_stalled_client_has_not_read_is_not_sent(rig):
    total = 8 * len(BODY)

    def flood(server, request):
        server.send_head("Content-Type: application/octet-stream", f"Content-Length: {total}")
        for _ in range(8):
            server.send(BODY)

    gateway = rig.gateway(rig.upstream(flood, sndbuf=16 * 1024))
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    metrics = gateway.metrics()
    assert 0 < metrics.sum(SENT) < total
    assert metrics.sum(SENT) <= metrics.sum("sluice_upstream_received_bytes_total")
    assert client.body.rest() == BODY * 8
    assert_sent(gateway, total)


def test_only_what_left_of_a_stream_that_was_cut(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\ndata: never whole")
    server.close()
    assert client.body.until_abort() == b"data: 1\n\n"
    assert_sent(rig.gateways[0], len(b"data: 1\n\n"))


def test_heartbeats_are_bytes_too(rig):
    client, server = rig.stream("--heartbeat", "50ms")
    assert client.body.event() == b": heartbeat\n\n"
    rig.gateways[0].wait_metric(SENT, 3 * len(b": heartbeat\n\n"))
    assert rig.gateways[0].metrics().sum(SENT) % len(b": heartbeat\n\n") == 0
