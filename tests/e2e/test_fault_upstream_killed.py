"""An upstream's process that is killed in mid-event, and whose streams are not healed: its clients get the whole events that came
before and an abort, the next ones a 502, until it is started again."""

import pytest

from harness import held_port
from harness.streams import event
from harness.upstream_process import UpstreamProcess

STREAMS = 100
EVENTS = 1000  # more than come to an end


@pytest.fixture
def port():
    with held_port() as port:
        yield port


def test_killed_and_started_again(port, rig):
    first = UpstreamProcess(port)
    rig.upstreams.append(first)
    gateway = rig.gateway(first, "--heal", "off")
    clients = {f"/{i}/{EVENTS}": rig.client(gateway) for i in range(STREAMS)}
    for target, client in clients.items():
        client.get(target)
    for target, client in clients.items():
        client.read_head()
        assert client.body.event() == event(target, 0)

    first.kill()
    for target, client in clients.items():
        received = event(target, 0) + client.body.until_abort()
        assert b"".join(event(target, i) for i in range(EVENTS)).startswith(received)
        assert received.endswith(b"\n\n")
    gateway.wait_idle()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_closes_total", side="upstream") == STREAMS
    assert metrics.sum("sluice_closes_total") == STREAMS

    client = rig.client(gateway)
    client.get("/meanwhile/1")
    assert client.response()[0].status == 502
    rig.upstreams.append(UpstreamProcess(port))
    client.get("/again/3")
    assert client.response()[1] == b"".join(event("/again/3", i) for i in range(3))
