"""A pool that has grown for stalled streams shrinks to its first size when they are gone."""

from harness import wait_until

FIRST_SLOTS = 64
STREAMS = 30
EVENT = b"data: " + b"x" * 1000 + b"\n\n"


def flood(server, request):
    server.start_events()
    if request.target == "/flood":
        while True:
            server.chunk(EVENT)
    server.chunk(EVENT)
    server.end_chunks()


def test_growth_is_given_back(rig):
    gateway = rig.gateway(rig.upstream(flood, sndbuf=16 * 1024), "--pool-sse-event", f"4k:{FIRST_SLOTS}")

    def pool(name):
        return gateway.metrics().sum("sluice_buffer_pool_" + name, pool="sse_event")

    clients = [rig.client(gateway, rcvbuf=4096) for _ in range(STREAMS)]
    for client in clients:
        client.get("/flood")
        client.read_head()
    wait_until(lambda: pool("current_size") > FIRST_SLOTS, "the pool grows")
    gateway.wait_metric("sluice_backpressure_stalls_total", STREAMS)
    discards = pool("discards_total")
    for client in clients:
        client.close()
    wait_until(lambda: pool("current_size") == FIRST_SLOTS, "the pool is at its first size again")
    assert pool("discards_total") > discards
    client = rig.client(gateway)
    for _ in range(3):
        client.get("/again")
        assert client.response()[1] == EVENT
