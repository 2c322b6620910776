"""An upstream that no packet reaches any more: each phase of a request has its time-out, and later
requests are served as soon as packets come through."""

import time

PATIENCE_S = 1
QUICK = ("--connect-timeout", "1s", "--first-byte-timeout", "1s")


def assert_gateway_timeout(client, sent_at, reason, gateway):
    assert client.response()[0].status == 504
    assert PATIENCE_S * 0.9 < time.monotonic() - sent_at < PATIENCE_S + 5
    gateway.wait_idle()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_closes_total", side="upstream", reason=reason) == 1
    assert metrics.sum("sluice_upstream_retries_total") == 0


def test_before_the_connection(network):
    gateway = network.gateway(network.upstream(), *QUICK)
    client = network.client(gateway)
    network.upstream_link.lose()
    sent_at = time.monotonic()
    client.get()
    assert_gateway_timeout(client, sent_at, "upstream_connect_timeout", gateway)
    assert network.upstream_link.lost() > 0
    network.upstream_link.lose_no_more()
    network.assert_serves()


def test_behind_the_connection(network):
    client, server = network.exchange(*QUICK)
    network.upstream_link.lose()
    sent_at = time.monotonic()  # a little after the request
    server.respond(b"lost")
    assert_gateway_timeout(client, sent_at, "upstream_first_byte_timeout", network.gateways[0])
    network.upstream_link.lose_no_more()
    network.assert_serves()


def test_a_connection_that_was_kept(network):
    """Silence is no sign that it was stale: the request may have been heard, and is not repeated."""
    client, server = network.exchange(*QUICK)
    server.respond()
    client.response()
    network.upstream_link.lose()
    sent_at = time.monotonic()
    client.get("/again")
    assert_gateway_timeout(client, sent_at, "upstream_first_byte_timeout", network.gateways[0])
    network.upstream_link.lose_no_more()
    network.assert_serves()
