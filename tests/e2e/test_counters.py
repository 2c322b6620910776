"""What is counted is what has happened: each counter and histogram moves by as much as it should."""

EVENT = b"data: 1\n\n"


def sum_of(rig, name, **labels):
    return rig.gateways[0].metrics().sum(name, **labels)


def test_torn_events(rig):
    client, server = rig.stream("--buffer-size", "4k", "--event-hold", "4k")
    server.chunk(b"data: " + b"x" * 8000)
    client.body.read(8006)
    server.chunk(b"\n\n" + EVENT)
    assert client.body.read(2 + len(EVENT)) == b"\n\n" + EVENT
    assert sum_of(rig, "sluice_torn_events_total") == 1
    assert sum_of(rig, "sluice_events_total") == 2


def test_discarded_bytes(rig):
    client, server = rig.stream()
    partial = b"id: 2\ndata: never whole"
    server.chunk(EVENT + partial)
    assert client.body.event() == EVENT
    server.close()
    assert client.body.until_abort() == b""
    rig.gateways[0].wait_idle()
    assert sum_of(rig, "sluice_discarded_bytes_total") == len(partial)


def test_cancelled_before_first_byte(rig):
    client, server = rig.exchange()
    client.close()
    server.wait_closed()
    rig.gateways[0].wait_metric("sluice_cancelled_before_first_byte_total", 1)
    late = rig.client(rig.gateways[0])
    late.get()
    server = rig.upstreams[0].accept()
    server.read_request()
    server.start_events()
    late.read_head()
    late.close()
    server.wait_closed()
    rig.gateways[0].wait_metric("sluice_closes_total", 2, reason="client_left")
    assert sum_of(rig, "sluice_cancelled_before_first_byte_total") == 1


def test_stall_seconds(rig):
    def flood(server, request):
        server.start_events()
        for _ in range(2000):
            server.chunk(b"data: " + b"x" * 1000 + b"\n\n")
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(flood, sndbuf=16 * 1024))
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    client.read_head()
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    client.body.rest()
    gateway.wait_idle()
    seconds = sum_of(rig, "sluice_backpressure_stall_seconds_total")
    assert 0 < seconds < 60


def test_histograms_count_every_event(rig):
    def serve(server, request):
        server.start_events()
        for i in range(int(request.target[1:])):
            server.chunk(b": no event\n\ndata: %d\n\n" % i)
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve))
    client = rig.client(gateway)
    counts = (5, 3, 1, 0)
    for count in counts:
        client.get(f"/{count}")
        client.response()
    gateway.wait_idle()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_time_to_first_event_seconds_count") == 3
    assert metrics.sum("sluice_event_gap_seconds_count") == 4 + 2
    assert metrics.sum("sluice_residence_seconds_count") == sum(counts)
    for name in ("time_to_first_event", "event_gap", "residence"):
        assert 0 <= metrics.sum(f"sluice_{name}_seconds_sum") < 60


def test_events_that_arrive_together_are_counted_each(rig):
    client, server = rig.stream()
    server.chunk(EVENT * 7)
    client.body.read(7 * len(EVENT))
    gateway = rig.gateways[0]
    gateway.wait_metric("sluice_residence_seconds_count", 7)
    assert sum_of(rig, "sluice_residence_seconds_count") == 7
    assert sum_of(rig, "sluice_event_gap_seconds_count") == 6
    assert sum_of(rig, "sluice_time_to_first_event_seconds_count") == 1


def test_ring_and_pool(rig):
    client, server = rig.stream()
    before = sum_of(rig, "sluice_ring_rearms_total")
    assert before > 0
    server.chunk(EVENT)
    client.body.event()
    metrics = rig.gateways[0].metrics()
    assert metrics.sum("sluice_buffer_pool_high_water", pool="sse_event") > 0
    assert metrics.sum("sluice_ring_submissions_total") > 0
    assert metrics.sum("sluice_ring_completions_total") > 0
    assert metrics.sum("sluice_ring_stale_completions_total") == 0


def test_reuses_and_retries(rig):
    client, server = rig.exchange()
    server.respond()
    client.response()
    assert sum_of(rig, "sluice_upstream_reuses_total") == 0
    client.get("/again")
    server.read_request()
    server.respond()
    client.response()
    assert sum_of(rig, "sluice_upstream_reuses_total") == 1
    assert sum_of(rig, "sluice_upstream_retries_total") == 0
    client.get("/stale")
    server.read_request()
    server.close()
    fresh = rig.upstreams[0].accept()
    fresh.read_request()
    fresh.respond()
    client.response()
    assert sum_of(rig, "sluice_upstream_reuses_total") == 2
    assert sum_of(rig, "sluice_upstream_retries_total") == 1
