"""--latency-budget lets a worker gather events before it wakes for them: that costs no byte, no order and
no ending, also where the kernel has no minimal wait and a timed one stands in for it."""

import subprocess

import pytest

from harness import wait_until
from harness.gateway import binary
from harness.streams import event, interleave

STREAMS = 60
EVENTS = 20
GATHERED = "sluice_loop_gathered_turns_total"
CPU = "sluice_loop_cpu_seconds_total"

waits = pytest.mark.parametrize("wait", [(), ("--uring-disable", "min-wait")], ids=["min-wait", "timed-wait"])
budgets = pytest.mark.parametrize("budget", ["20ms", "500us", "10us", "off", "0", "auto"])
times = pytest.mark.parametrize("budget", ["20ms", "500us"])


@waits
@budgets
def test_content_and_order(rig, budget, wait):
    gateway = interleave(rig, STREAMS, EVENTS, "--latency-budget", budget, *wait)
    gateway.wait_metric("sluice_closes_total", STREAMS, reason="complete")
    assert gateway.metrics().sum("sluice_events_total") == STREAMS * EVENTS


@waits
@budgets
def test_endings(rig, budget, wait):
    client, server = rig.stream("--latency-budget", budget, *wait)
    server.chunk(b"data: 1\n\ndata: cut")
    server.close()
    assert client.body.until_abort() == b"data: 1\n\n"

    gateway, upstream = rig.gateways[0], rig.upstreams[0]
    for phase in ("awaiting_head", "streaming"):
        leaver = rig.client(gateway)
        leaver.get()
        server = upstream.accept()
        server.read_request()
        if phase == "streaming":
            server.start_events()
            leaver.read_head()
            server.chunk(b"data: 1\n\n")
            assert leaver.body.event() == b"data: 1\n\n"
        leaver.close()
        server.wait_closed()
        gateway.wait_metric("sluice_upstream_cancels_total", 1, phase=phase)


@waits
@times
def test_an_event_does_not_wait_for_the_next(rig, budget, wait):
    client, server = rig.stream("--latency-budget", budget, *wait)
    for i in range(20):
        server.chunk(event("/", i))
        assert client.body.chunk() == event("/", i)


@waits
@pytest.mark.parametrize("threads", ["1", "2"])
@times
def test_turns_gather(rig, budget, threads, wait):
    gateway = interleave(rig, STREAMS, EVENTS, "--latency-budget", budget, "--threads", threads, *wait)
    before = gateway.metrics()
    assert 0 < before.sum(GATHERED) <= before.sum("sluice_loop_turns_total")
    client = rig.client(gateway)
    client.send(b"GET / HTTP/1.1\r\n\r\n")  # work, though no upstream hears of a request without a Host
    assert client.response()[0].status == 400
    gateway.wait_metric(GATHERED, before.sum(GATHERED) + 1)


@pytest.mark.parametrize("budget", ["off", "0"])
@waits
def test_off_never_gathers(rig, budget, wait):
    metrics = interleave(rig, STREAMS, EVENTS, "--latency-budget", budget, *wait).metrics()
    assert GATHERED in metrics.names
    assert metrics.sum(GATHERED) == 0
    assert metrics.sum("sluice_loop_turns_total") > 0


@waits
def test_gathering_saves_turns(rig, wait):
    # Long enough that a worker which is short of CPU time, and so gathers by itself, takes many turns, too.
    gateways = (interleave(rig, STREAMS, 10 * EVENTS, "--latency-budget", budget, *wait) for budget in ("off", "20ms"))
    off, on = (gateway.metrics().sum("sluice_loop_turns_total") for gateway in gateways)
    assert on < off


@waits
@times
def test_an_idle_worker_does_not_poll(rig, budget, wait):
    """Gathering follows work only: with nothing to do a timed wait is not made again and again."""
    client, server = rig.stream("--latency-budget", budget, *wait)
    before = rig.gateways[0].metrics().sum("sluice_loop_turns_total")
    client.assert_silent(1.0)
    assert rig.gateways[0].metrics().sum("sluice_loop_turns_total") - before < 25


@pytest.mark.parametrize("budget", ["20ms", "off"])
def test_cpu_time_is_counted(rig, budget):
    gateway = interleave(rig, STREAMS, EVENTS, "--latency-budget", budget)
    before = wait_until(lambda: gateway.metrics().sum(CPU), "what the streams cost is counted")
    wait_until(lambda: gateway.metrics().sum(CPU) > before, "what a scrape costs is, too")


@pytest.mark.parametrize("budget", ["9us", "21ms", "1s", "1", "fast", "-1ms", "1ms 2ms", ""])
def test_a_bad_budget_is_said_in_one_line(budget):
    result = subprocess.run([binary(), "--check", "--upstream", "http://127.0.0.1:9", "--latency-budget", budget],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "--latency-budget" in result.stderr


@pytest.mark.parametrize("budget", ["10us", "20ms", "off", "0", "auto"])
def test_the_bounds_are_taken(budget):
    result = subprocess.run([binary(), "--check", "--upstream", "http://127.0.0.1:9", "--latency-budget", budget],
                            capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stderr) == (0, ""), result
