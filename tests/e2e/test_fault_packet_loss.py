"""One packet in a hundred is lost on the way to and from both peers: all events arrive, in order."""

from harness.streams import interleave

STREAMS = 20
EVENTS = 200


def test_one_in_a_hundred(network):
    links = (network.client_link, network.upstream_link)
    for link in links:
        link.lose(one_in=100)
    gateway = interleave(network, STREAMS, EVENTS)
    assert all(link.lost() > 0 for link in links)
    metrics = gateway.metrics()
    assert metrics.sum("sluice_events_total") == STREAMS * EVENTS
    assert metrics.sum("sluice_closes_total", reason="complete") == STREAMS
