"""The admin port: metrics in both formats, health, live streams."""

import contextlib
import ctypes
import json
import os
import socket


def test_prometheus_text(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\ndata: 2\n\n")
    client.body.read(18)
    response, text = rig.gateways[0].admin("/metrics")
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# EOF" not in text
    metrics = rig.gateways[0].metrics()
    assert metrics.sum("sluice_active_streams") == 1
    assert metrics.sum("sluice_events_total") == 2
    assert metrics.sum("sluice_buffer_pool_allocations_total") >= 1
    for name in ("sluice_buffer_pool_reuse_rate", "sluice_buffer_pool_discards_total", "sluice_buffer_pool_current_size"):
        assert name in metrics.names, name
    assert_families_are_declared_once(text)


def assert_families_are_declared_once(text):
    declared = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(declared) == len(set(declared))
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(samples) == len({line.rsplit(" ", 1)[0] for line in samples}), "a sample twice"


def test_openmetrics(rig):
    gateway = rig.gateway(rig.upstream())
    response, text = gateway.admin("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    for line in text.splitlines():  # a counter's family is named without _total
        if line.startswith("# TYPE") and line.endswith(" counter"):
            assert not line.split()[2].endswith("_total")
    assert_families_are_declared_once(text)


def test_histograms_are_cumulative(rig):
    client, server = rig.stream()
    for i in range(3):
        server.chunk(b"data: %d\n\n" % i)
        client.body.event()
    server.end_chunks()
    client.body.rest()
    samples = rig.gateways[0].metrics().samples
    families = {name.removesuffix("_bucket") for name, _, _ in samples if name.endswith("_bucket")}
    assert families
    for family in families:
        by_labels = {}
        for name, labels, value in samples:
            if name == family + "_bucket":
                key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
                by_labels.setdefault(key, []).append((float(labels["le"].replace("+Inf", "inf")), value))
        for key, buckets in by_labels.items():
            assert buckets == sorted(buckets)
            assert [count for _, count in buckets] == sorted(count for _, count in buckets)
            total = [value for name, labels, value in samples
                     if name == family + "_count" and tuple(sorted(labels.items())) == key]
            assert total == [buckets[-1][1]]


def test_requests_are_counted_by_route_and_code(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"", status="404 Not Found"))
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    for _ in range(3):
        client.get("/nothing")
        client.response()
    gateway.wait_metric("sluice_requests_total", 3, route="/", code="404")


def test_health(rig):
    gateway = rig.gateway(rig.upstream())
    assert gateway.admin("/healthz")[0].status == 200
    assert gateway.admin("/readyz")[0].status == 200


def test_streams(rig):
    client, server = rig.stream()
    server.chunk(b"data: 1\n\ndata: 2\n\n")
    client.body.read(18)
    streams = rig.gateways[0].streams()
    assert len(streams) == 1
    stream = streams[0]
    assert stream["route"] == "/"
    assert stream["events"] == 2
    assert stream["bytes"] >= 18
    assert stream["age_ms"] >= 0
    assert stream["credit"] > 0
    assert isinstance(stream["state"], str)
    server.end_chunks()
    client.body.rest()
    rig.gateways[0].wait_idle()
    assert rig.gateways[0].streams() == []


def test_what_is_not_there(rig):
    gateway = rig.gateway(rig.upstream())
    response, body = gateway.admin("/nothing")
    assert response.status == 404
    assert json.loads(body)["status"] == 404
    response, _ = gateway.admin("/metrics", method="POST")
    assert response.status == 405
    assert "GET" in response.headers["allow"]


def test_a_rebound_name_reads_nothing(rig):
    """A page whose name an attacker has made to mean this machine is refused, whatever it asks for."""
    gateway = rig.gateway(rig.upstream(), "--admin-host", "sluice.test,10.1.2.3", "--admin-host", "other.test")
    for path in ("/", "/metrics", "/streams", "/healthz", "/readyz", "/nothing"):
        for host in ("rebound.test", f"rebound.test:{gateway.admin_port}", "10.1.2.4"):
            response, body = gateway.admin(path, host=host)
            assert (response.status, json.loads(body)["status"]) == (421, 421)
    for host in ("localhost", f"127.0.0.1:{gateway.admin_port}", "sluice.test", "Other.test:80", "10.1.2.3"):
        assert gateway.admin("/streams", host=host)[0].status == 200


def test_it_may_be_off(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(upstream, "--admin", "off")
    client = rig.client(gateway)
    client.get()
    assert client.response()[1] == b"ok"


def test_idle_and_slow_clients_keep_no_scraper_out(rig):
    gateway = rig.gateway(rig.upstream())
    hoard = []
    try:
        for _ in range(200):
            hoard.append(socket.create_connection(("127.0.0.1", gateway.admin_port)))
            hoard[-1].sendall(b"GET /met")
        assert gateway.admin("/healthz")[0].status == 200
        assert gateway.metrics().sum("sluice_admin_connections_dropped_total") > 100
        assert gateway.open_fds() < 100
    finally:
        for one in hoard:
            one.close()


# sys/ptrace.h
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


@contextlib.contextmanager
def stopped_thread(pid, name):
    """One thread of a process stands still, as under a debugger."""
    def ptrace(request):
        if libc.ptrace(request, thread, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")

    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    folder = f"/proc/{pid}/task"
    thread = next(int(task) for task in os.listdir(folder)
                  if open(f"{folder}/{task}/comm", encoding="ascii").read().strip() == name)
    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(thread, 0x40000000)  # __WALL
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH)


def test_a_worker_that_hangs_holds_up_nothing_else(rig):
    """The worker's thread alone is stopped, by the tracing that a debugger does."""
    gateway = rig.gateway(rig.upstream())
    with stopped_thread(gateway.pid, "sluice/0"):
        response, body = gateway.admin("/metrics")
        assert (response.status, json.loads(body)["detail"]) == (503, "A worker did not answer in time.")
        assert response.headers["retry-after"] == "1"
        for path in ("/healthz", "/readyz"):
            assert gateway.admin(path)[0].status == 200
    assert gateway.admin("/metrics")[0].status == 200
