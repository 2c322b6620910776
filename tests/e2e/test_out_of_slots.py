"""Out of slots is a wait: no stream fails or loses a byte, all go on once slots come back."""

import concurrent.futures
import threading

from harness import wait_until

STREAMS = 150
EVENTS = 100
TINY = ("--pool-sse-event", "512:16", "--pool-http-message", "512:16", "--pool-max", "1m",
        "--client-sndbuf", "4k", "--client-notsent-lowat", "4k")


def body_of(target):
    return b"".join(b"id: %d\ndata: %b %b\n\n" % (i, target.encode(), b"x" * 900) for i in range(EVENTS))


def read_all(clients, expected):
    """Whether all clients, read at the same time, get what is expected for their target."""
    def read(item):
        target, client = item
        return client.body.rest() == expected(target)

    with concurrent.futures.ThreadPoolExecutor(STREAMS) as readers:
        return all(readers.map(read, clients.items()))


def test_all_bytes_arrive_in_order_in_the_end(rig):
    go = threading.Event()

    def serve(server, request):
        server.start_events()
        go.wait(30)
        body = body_of(request.target)
        for at in range(0, len(body), 700):  # reads that end anywhere
            server.chunk(body[at:at + 700])
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve, sndbuf=16 * 1024), *TINY)
    clients = {f"/{i}": rig.client(gateway, rcvbuf=4096) for i in range(STREAMS)}
    for target, client in clients.items():
        client.get(target)
        assert client.read_head().status == 200
    go.set()
    wait_until(lambda: gateway.metrics().sum("sluice_buffer_pool_waits_total", pool="sse_event") > 0,
               "a receive finds no slot", 30)

    assert read_all(clients, body_of)
    assert gateway.metrics().sum("sluice_closes_total", reason="complete") == STREAMS


def test_events_that_are_held_do_not_wait_for_their_own_slots(rig):
    """All slots hold the beginnings of events, whose ends have to be received into slots, too."""
    go = threading.Event()
    body = b"data: " + b"x" * 60_000 + b"\n\n"

    def serve(server, request):
        server.start_events()
        go.wait(30)
        server.chunk(body[:-2])
        server.chunk(body[-2:])
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve), *TINY)
    clients = {f"/{i}": rig.client(gateway) for i in range(STREAMS)}
    for target, client in clients.items():
        client.get(target)
        assert client.read_head().status == 200
    go.set()
    assert read_all(clients, lambda target: body)
    assert gateway.metrics().sum("sluice_buffer_pool_waits_total", pool="sse_event") > 0
    assert gateway.metrics().sum("sluice_events_total") == STREAMS
