"""A link that goes down says nothing. What TCP can save within the time-outs arrives; what waits for
longer ends by them."""

import pytest

from harness.streams import event

QUICK = ("--stream-idle-timeout", "1s", "--connect-timeout", "1s", "--write-timeout", "1s", "--heartbeat", "0")
WHOLE = b"data: 1\n\n"
PARTIAL = b"data: 2\n"


# At its own end the gateway has no route then, which is told at once; at the other nobody answers.
@pytest.mark.parametrize("end,status", [("middle", 502), ("upstream_side", 504)])
def test_to_an_upstream(network, end, status):
    end = getattr(network, end)
    client, server = network.stream(*QUICK)
    gateway = network.gateways[0]
    server.chunk(WHOLE + PARTIAL)
    assert client.body.event() == WHOLE
    network.upstream_link.down(end)
    assert client.body.until_abort() == b""
    gateway.wait_idle()
    assert gateway.metrics().sum("sluice_closes_total", reason="upstream_idle_timeout") == 1

    meanwhile = network.client(gateway)
    meanwhile.get()
    assert meanwhile.response()[0].status == status
    network.upstream_link.up(end)
    server.wait_closed()
    network.assert_serves()


@pytest.mark.parametrize("link", ["client_link", "upstream_link"])
def test_a_short_outage_is_bridged(network, link):
    link = getattr(network, link)
    client, server = network.stream()
    server.chunk(event("/events", 0))
    assert client.body.event() == event("/events", 0)
    link.down(network.middle)
    for i in range(1, 100):
        server.chunk(event("/events", i))
    client.assert_silent(0.5)
    link.up(network.middle)
    server.end_chunks()
    assert client.body.rest() == b"".join(event("/events", i) for i in range(1, 100))
    network.gateways[0].wait_metric("sluice_closes_total", 1, reason="complete")


def test_to_a_client(network):
    def flood(server, request):
        server.start_events()
        while True:
            server.chunk(event(request.target, 0) * 100)

    gateway = network.gateway(network.upstream(flood), *QUICK)
    client = network.client(gateway)
    client.get()
    client.read_head()
    client.body.read(100_000)
    network.client_link.down(network.middle)
    gateway.wait_metric("sluice_closes_total", 1, reason="client_stalled")
    gateway.wait_idle()
    network.client_link.up(network.middle)
    client.send(b"x")  # by which it learns of its connection's end
    client.body.until_abort()
    again = network.client(gateway)
    again.get()
    assert again.read_head().status == 200
    again.body.read(100_000)
