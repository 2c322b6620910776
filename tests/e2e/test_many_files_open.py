"""Out of file descriptors: nobody is dropped, and the gateway goes on once some are free."""

import resource
import threading

from harness import http2, wait_until


def test_emfile_is_survived(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(upstream, open_files=(64, 64))
    served = rig.client(gateway)
    served.get("/before")
    assert served.response()[1] == b"ok"

    hoard = [rig.client(gateway) for _ in range(100)]  # the kernel's backlog takes what we cannot
    for client in hoard:
        client.send(b"G")  # who is silent is not there to be accepted yet
    late = rig.client(gateway)
    late.get("/late")
    late.assert_silent(0.2)
    served.get("/meanwhile")  # on connections that are open already
    assert served.response()[1] == b"ok"

    for client in hoard:
        client.close()
    assert late.response()[1] == b"ok"
    wait_until(lambda: gateway.metrics().sum("sluice_client_connections") <= 2, "the hoard is closed")
    assert gateway.metrics().sum("sluice_accept_pauses_total") >= 1


def test_a_worker_may_have_more_than_its_share(rig):
    """The kernel chooses whose backlog a connection lands in: the limit is the whole process's."""
    gateway = rig.gateway(rig.upstream(), "--threads", "2", open_files=(64, 64))
    limit = (64 - 24 - 2 * 6) // 2  # see share_fds() in net/process/server.cc

    def worker_of(number):
        wait_until(lambda: len(gateway.streams()) == number, "the request has arrived")
        return next(stream["worker"] for stream in gateway.streams()
                    if stream["target"] == f"/{number}")

    kept = []
    while len(kept) < limit * 3 // 4:
        client = rig.client(gateway)
        client.get(f"/{len(kept) + 1}")
        if worker_of(len(kept) + 1) == 0:
            kept.append(client)
        else:
            client.close()
            wait_until(lambda: len(gateway.streams()) == len(kept), "it is gone")
    assert gateway.metrics().sum("sluice_accept_pauses_total") == 0

    # The rest of the room is anybody's; whoever comes then waits, whichever worker it is given.
    crowd = [rig.client(gateway) for _ in range(40)]
    gateway.wait_metric("sluice_client_connections", limit)
    crowd[-1].assert_silent(0.3)
    assert limit <= gateway.metrics().sum("sluice_client_connections") <= limit + 2
    for client in kept + crowd[1:]:
        client.close()
    crowd[0].get("/1")
    wait_until(lambda: [stream["target"] for stream in gateway.streams()] == ["/1"], "it is served")


def test_the_limit_is_raised_at_start(rig):
    gateway = rig.gateway(rig.upstream(), open_files=(64, 500))
    with open(f"/proc/{gateway.pid}/limits") as limits:
        line = next(line for line in limits if line.startswith("Max open files"))
    assert line.split()[3:5] == ["500", "500"]


def held(rig):
    """A gateway of few file descriptors whose upstream answers once `go` is set."""
    go = threading.Event()

    def serve(server, request):
        go.wait(30)
        server.respond(request.target.encode())

    upstream = rig.upstream(serve)
    return rig.gateway(upstream, open_files=(64, 64)), upstream, go


def test_requests_wait_for_a_file_descriptor(rig):
    """A request needs two: its client's and its upstream's. Clients do not take them all."""
    gateway, upstream, go = held(rig)
    clients = [rig.client(gateway) for _ in range(40)]
    for i, client in enumerate(clients):
        client.get(f"/{i}")
    upstream.wait_requests(5)
    assert gateway.admin("/metrics")[0].status == 200
    go.set()
    for i, client in enumerate(clients):
        head, body = client.response()
        assert (head.status, body) == (200, f"/{i}".encode())
        client.close()


def test_requests_on_one_connection_leave_file_descriptors(rig):
    """Each beside the first takes the place of a client. What finds none is refused, to be tried again."""
    gateway, upstream, go = held(rig)
    client = rig.http2(gateway)
    streams = [client.request("GET", f"/{i}") for i in range(60)]
    upstream.wait_requests(5)
    client.round_trip()
    refused = [stream for stream in streams if stream.reset is not None]
    served = [stream for stream in streams if stream.reset is None]
    assert served and {stream.reset for stream in refused} == {http2.REFUSED_STREAM}
    metrics = gateway.metrics()
    assert metrics.sum("sluice_http2_no_place_total") == len(refused)
    assert metrics.sum("sluice_upstream_connect_errors_total") == 0
    go.set()
    for stream in served:
        head, body = stream.response()
        assert (head.status, body) == (200, f"/{streams.index(stream)}".encode())
    for _ in range(3):  # the places are free again
        again = [client.request("GET", "/again") for _ in served]
        assert {stream.response()[1] for stream in again} == {b"/again"}
    other = rig.client(gateway)
    other.get("/http1")
    assert other.response()[1] == b"/http1"


def test_none_is_left_at_all(rig):
    """Not even for an upstream: a request that needs one is answered 503, who waits outside is served
    once there are some."""
    # An accept keeps the limit that held when it was armed, so one that takes many would not notice.
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"ok")),
                          "--uring-disable", "multishot-accept")
    inside = rig.client(gateway)
    gateway.wait_metric("sluice_client_connections", 1)
    _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (1, hard))
    last = rig.client(gateway)  # the accept that was armed takes it
    for client in (inside, last):
        client.get()
        head, _ = client.response()
        assert head.status == 503
        assert "retry-after" in head
    outside = rig.client(gateway)
    outside.get()
    outside.assert_silent(0.3)

    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert outside.response()[1] == b"ok"
    metrics = gateway.metrics()
    assert metrics.sum("sluice_closes_total", side="self", reason="unavailable") == 2
    assert metrics.sum("sluice_upstream_connect_errors_total") == 2
    assert metrics.sum("sluice_accept_pauses_total") >= 1
    wait_until(lambda: "no socket for" in gateway.errors(), "it says why")
