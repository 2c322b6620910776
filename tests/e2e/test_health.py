"""Health checks: upstreams that are asked now and then whether they are well."""

import collections
import json
import threading

import pytest

from harness.rig import held_port
from harness.wire import wait_until

PROBED = ["--retries", "0", "--slow-start", "0", "--health", "/up", "--health-interval", "100ms",
          "--health-fail", "2", "--health-pass", "2"]


class Probed:
    """An upstream's handler: `up` answers probes, and the name of the upstream all else."""

    def __init__(self, name, up=None):
        self.name = name.encode()
        self.up = up or self.well
        self.probes = []

    def well(self, server):
        server.respond(b"well")

    def unwell(self, server):
        server.respond(b"not now", status="503 Service Unavailable")

    def __call__(self, server, request):
        if request.get("user-agent") != "sluice-health":
            server.respond(self.name)
            return
        self.probes.append(request)
        self.up(server)


def get(rig, gateway, target="/"):
    client = rig.client(gateway)
    client.get(target)
    head, body = client.response()
    client.close()
    return head.status, body


def count(rig, gateway, requests, target="/"):
    return collections.Counter(get(rig, gateway, target) for _ in range(requests))


def listed(gateway, upstream):
    """What /upstreams says of it."""
    return {one["url"]: one for one in json.loads(gateway.admin("/upstreams")[1])}[upstream.url]


def wait_state(gateway, upstream, state):
    wait_until(lambda: listed(gateway, upstream)["state"] == state, f"{upstream.url} to be {state}")


def wait_probes(probed, count):
    wait_until(lambda: len(probed.probes) >= count, f"{count} probes")


def group(*upstreams):
    return [word for upstream in upstreams for word in ("--upstream", upstream.url)]


def test_one_that_answers_503_is_left_out_and_comes_back(rig):
    well, probed = Probed("well"), Probed("probed")
    a, b = rig.upstream(well), rig.upstream(probed)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--balance", "round-robin")
    assert count(rig, gateway, 4) == {(200, b"well"): 2, (200, b"probed"): 2}
    probed.up = probed.unwell
    wait_state(gateway, b, "unhealthy")
    assert count(rig, gateway, 6) == {(200, b"well"): 6}
    health = listed(gateway, b)["health"]
    assert health["path"] == "/up" and health["times_unhealthy"] == 1
    assert (health["last_failure"]["reason"], health["last_failure"]["status"]) == ("status", 503)
    metrics = gateway.metrics()
    assert metrics.sum("sluice_upstream_state", upstream=b.url, state="unhealthy") == 1
    assert metrics.sum("sluice_upstream_unhealthy_total", upstream=b.url) == 1
    assert metrics.sum("sluice_health_probes_total", upstream=b.url, result="status") >= 2
    wait_until(lambda: f"upstream {b.url} is left out, its probes fail: status 503" in gateway.errors(),
               "a warning")
    probed.up = probed.well
    wait_state(gateway, b, "closed")
    assert count(rig, gateway, 4) == {(200, b"well"): 2, (200, b"probed"): 2}
    wait_until(lambda: f"upstream {b.url} is back, its probes pass" in gateway.errors(), "a message")
    assert listed(gateway, a)["health"]["times_unhealthy"] == 0


def test_where_all_fail_requests_are_served_all_the_same(rig):
    handlers = [Probed("a"), Probed("b")]
    servers = [rig.upstream(handler) for handler in handlers]
    for handler in handlers:
        handler.up = handler.unwell
    gateway = rig.gateway(None, *group(*servers), *PROBED)
    for server in servers:
        wait_state(gateway, server, "unhealthy")
    assert count(rig, gateway, 6) == {(200, b"a"): 3, (200, b"b"): 3}


def test_one_prober_asks_for_all_workers(rig):
    """One probe at a time of an upstream is all that there is: a second prober would send another,
    within the time in which the upstream beside it is asked ten times."""
    held, clock = Probed("held", silent), Probed("clock")
    a, b = rig.upstream(held), rig.upstream(clock)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--threads", "2", "--health-timeout", "1h")
    wait_probes(held, 1)
    wait_probes(clock, 10)
    assert len(held.probes) == 1
    assert len(a.connections) == 1
    assert gateway.metrics().sum("sluice_health_probes_total", upstream=a.url) == 0


def test_what_a_probe_asks(rig):
    probed = Probed("a")
    a = rig.upstream(probed)
    rig.gateway(None, *group(a), *PROBED)
    wait_probes(probed, 1)
    probe = probed.probes[0]
    assert (probe.method, probe.target) == ("GET", "/up")
    assert probe.get("host") == a.url.removeprefix("http://")
    assert probe.get("connection") == "close"


def test_all_workers_go_by_it(rig):
    well, probed = Probed("well"), Probed("probed")
    probed.up = probed.unwell
    a, b = rig.upstream(well), rig.upstream(probed)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--threads", "2")
    wait_state(gateway, b, "unhealthy")
    assert count(rig, gateway, 20) == {(200, b"well"): 20}


def silent(server):
    server.wait_closed()


def closes(server):
    server.close()


def garbage(server):
    server.send(b"\x16\x03\x01 whatever\r\n\r\n")
    server.wait_closed()


def huge_head(server):
    server.send(b"HTTP/1.1 200 OK\r\n" + b"X-Much: more\r\n" * 10_000)
    server.wait_closed()


def endless_interim(server):
    try:
        while True:
            server.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    except OSError:
        pass


def half_a_head(server):
    server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    server.close()


@pytest.mark.parametrize("answers, reason", [
    (silent, "timeout"), (closes, "broken"), (garbage, "broken"), (huge_head, "broken"),
    (endless_interim, "broken"), (half_a_head, "broken")])
def test_bad_answers(rig, answers, reason):
    well, probed = Probed("well"), Probed("bad", answers)
    a, b = rig.upstream(well), rig.upstream(probed)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--health-timeout", "200ms")
    wait_state(gateway, b, "unhealthy")
    assert listed(gateway, b)["health"]["last_failure"]["reason"] == reason
    assert count(rig, gateway, 4) == {(200, b"well"): 4}
    probed.up = probed.well
    wait_state(gateway, b, "closed")


def test_nobody_listens(rig):
    a = rig.upstream(Probed("well"))
    with held_port() as port:
        dead = f"http://127.0.0.1:{port}"
        gateway = rig.gateway(None, *group(a), "--upstream", dead, *PROBED)
        gateway.wait_metric("sluice_upstream_unhealthy_total", 1, upstream=dead)
        assert count(rig, gateway, 6) == {(200, b"well"): 6}, "no request had to find out"
        assert gateway.metrics().sum("sluice_health_probes_total", upstream=dead, result="connect") >= 2


def test_the_body_of_an_answer_is_not_read(rig):
    def endless(server):
        server.send_head("Transfer-Encoding: chunked")
        try:
            while True:
                server.chunk(b"x" * 10_000)
        except OSError:
            pass

    probed = Probed("a", endless)
    a = rig.upstream(probed)
    gateway = rig.gateway(None, *group(a), *PROBED)
    gateway.wait_metric("sluice_health_probes_total", 3, upstream=a.url, result="passed")


def test_a_unix_upstream(rig, tmp_path):
    probed = Probed("unix")
    a = rig.upstream(probed, unix=str(tmp_path / "up.sock"))
    gateway = rig.gateway(None, *group(a), *PROBED)
    gateway.wait_metric("sluice_health_probes_total", 2, upstream=a.url, result="passed")
    assert probed.probes[0].get("host") == "localhost"


def test_statuses_are_a_choice(rig):
    probed = Probed("a", lambda server: server.respond(b"", status="401 Unauthorized"))
    other = Probed("b", lambda server: server.respond(b"", status="200 OK"))
    a, b = rig.upstream(probed), rig.upstream(other)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--health-status", "204,400-499")
    wait_state(gateway, b, "unhealthy")
    wait_probes(probed, 3)
    assert listed(gateway, a)["state"] == "closed"


# --- beside the breaker ---


def test_good_probes_have_an_ejected_one_tried_before_its_time(rig):
    """Its request decides: once it is answered well, the upstream is back."""
    down = threading.Event()
    probed = Probed("flaky")

    def handler(server, request):
        if down.is_set() and request.get("user-agent") != "sluice-health":
            server.respond(b"no", status="503 Service Unavailable")
        else:
            probed(server, request)

    a, b = rig.upstream(Probed("well")), rig.upstream(handler)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--eject-after", "1", "--eject-time", "5m")
    down.set()
    wait_until(lambda: get(rig, gateway)[0] == 503, "the failure that ejects")
    wait_state(gateway, b, "half_open")
    wait_until(lambda: get(rig, gateway)[0] == 503, "the trial that fails")
    wait_probes(probed, len(probed.probes) + 6)
    assert listed(gateway, b)["state"] == "open", "requests know better than its probes"
    assert count(rig, gateway, 6) == {(200, b"well"): 6}
    assert gateway.errors().count(f"upstream {b.url} is tried before its time") == 1


def test_a_trial_before_its_time_brings_it_back(rig):
    fails = threading.Event()
    fails.set()
    probed = Probed("flaky")

    def handler(server, request):
        if fails.is_set() and request.get("user-agent") != "sluice-health":
            fails.clear()
            server.respond(b"no", status="503 Service Unavailable")
        else:
            probed(server, request)

    a, b = rig.upstream(Probed("well")), rig.upstream(handler)
    gateway = rig.gateway(None, *group(a, b), *PROBED, "--eject-after", "1", "--eject-time", "5m")
    wait_until(lambda: get(rig, gateway)[0] == 503, "the failure that ejects")
    wait_until(lambda: get(rig, gateway) == (200, b"flaky"), "its return")
    assert listed(gateway, b)["state"] == "closed"


# --- reload ---


def test_a_reload_that_drops_the_check_takes_it_back(rig, tmp_path):
    well, probed = Probed("well"), Probed("probed")
    probed.up = probed.unwell
    a, b = rig.upstream(well), rig.upstream(probed)
    config = tmp_path / "sluice.toml"
    lines = f'upstream = ["{a.url}", "{b.url}"]\nslow-start = 0\nbalance = "round-robin"\n'
    check = 'health = "/up"\nhealth-interval = "100ms"\nhealth-fail = 2\n'
    config.write_text(lines + check)
    gateway = rig.gateway(None, "--config", str(config))
    wait_state(gateway, b, "unhealthy")
    config.write_text(lines)
    assert gateway.admin("/reload", method="POST")[0].status == 200
    assert listed(gateway, b)["state"] == "closed"
    assert listed(gateway, b)["health"] is None
    assert count(rig, gateway, 4) == {(200, b"well"): 2, (200, b"probed"): 2}
    config.write_text(lines + check.replace("/up", "/other"))
    assert gateway.admin("/reload", method="POST")[0].status == 200
    wait_state(gateway, b, "unhealthy")
    assert probed.probes[-1].target == "/other"


def test_of_routes_that_differ_the_first_by_path_holds(rig):
    probed = Probed("a")
    a = rig.upstream(probed)
    gateway = rig.gateway(
        None, "--health-interval", "100ms",
        "--route", f"path=/b,upstream={a.url},health=/of-b",
        "--route", f"path=/a,upstream={a.url},health=/of-a,health-status=200+204",
        "--route", f"path=/,upstream={a.url},health=off")
    wait_probes(probed, 3)
    assert {probe.target for probe in probed.probes} == {"/of-a"}


def test_a_stop_waits_for_no_probe(rig):
    probed = Probed("a", silent)
    a = rig.upstream(probed)
    gateway = rig.gateway(None, *group(a), *PROBED, "--health-timeout", "1h")
    wait_probes(probed, 1)
    gateway.stop()
