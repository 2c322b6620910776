"""Bytes that clients send while their response runs: what is kept of them takes their own size, not a
slot for each client, and a stream that is never finished keeps nothing that others need."""

import resource

import pytest

from harness import wait_until
from harness.gateway import sanitized

STREAMS = 300 if sanitized() else 3000  # a sanitized process is slower, and its memory says little


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    if before[1] < 2 * STREAMS + 100:
        pytest.skip(f"RLIMIT_NOFILE is {before[1]}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_byte_from_each_of_many_clients_takes_no_slot(rig, many_files):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    clients, servers = [], []
    for _ in range(STREAMS):
        client = rig.client(gateway)
        client.get()
        server = upstream.accept()
        server.read_request()
        server.start_events()
        clients.append(client)
        servers.append(server)
    for client in clients:
        client.read_head()
    before = gateway.resident_bytes()
    received = gateway.metrics().sum("sluice_client_received_bytes_total")
    for client in clients:
        client.send(b"G")
    # Those whose receive is still armed are read; the others' bytes wait in the kernel.
    client, server = clients[-1], servers[-1]
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    metrics = gateway.metrics()
    assert metrics.sum("sluice_client_received_bytes_total") - received <= STREAMS
    assert metrics.sum("sluice_buffer_pool_leases") == 0
    if not sanitized():
        assert gateway.resident_bytes() - before < 1_000_000
    # It was the beginning of the next request.
    server.end_chunks()
    assert client.body.rest() == b""
    client.send(b"ET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert server.read_request().target == "/next"
    server.respond(b"next")
    assert client.response()[1] == b"next"


def test_a_client_that_leaves_behind_unread_bytes_is_missed_at_once(rig):
    client, server = rig.stream()
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
    client.close()
    server.wait_closed(2.0)


def test_pipelined_requests_are_answered_in_their_order(rig):
    upstream = rig.upstream(lambda server, request: server.respond(request.target.encode()))
    client = rig.client(rig.gateway(upstream))
    count = 2000  # many times what is read ahead
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(count)))
    for i in range(count):
        assert client.response()[1] == b"/%d" % i
    wait_until(lambda: rig.gateways[0].metrics().sum("sluice_requests_total") == count, "all are counted")
