"""A 503 of ours says when to come back."""


def test_a_queue_that_takes_too_long(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--upstream-max-connections", "1", "--connect-timeout", "200ms")
    first = rig.client(gateway)
    first.get("/first")
    server = upstream.accept()
    server.read_request()
    second = rig.client(gateway)
    second.get("/second")
    head, _ = second.response()
    assert head.status == 503
    assert head.get("content-type") == "application/problem+json"
    assert 1 <= int(head.get("retry-after")) <= 10
    gateway.wait_metric("sluice_closes_total", 1, side="self", reason="unavailable")
    server.respond(b"still served")
    assert first.response()[1] == b"still served"


def test_other_answers_of_ours_do_not(rig):
    client, server = rig.exchange()
    server.close()
    head, _ = client.response()
    assert (head.status, "retry-after" in head) == (502, False)
