"""A route's group: who gets a request, and what becomes of an upstream that fails."""

import collections
import itertools
import json
import threading

import pytest

from harness.rig import held_port
from harness.wire import wait_until


def named(name):
    return lambda server, request: server.respond(name.encode())


def failing(server, request):
    server.respond(b"no", status="503 Service Unavailable")


def get(rig, gateway, target="/", *fields):
    """The status and the body of one request."""
    client = rig.client(gateway)
    client.get(target, *fields)
    head, body = client.response()
    client.close()
    return head.status, body


def count(rig, gateway, requests, target="/"):
    return collections.Counter(get(rig, gateway, target) for _ in range(requests))


def upstreams(gateway):
    """What /upstreams lists, by url."""
    return {one["url"]: one for one in json.loads(gateway.admin("/upstreams")[1])}


@pytest.fixture
def dead():
    """The url of an upstream that refuses connections."""
    with held_port() as port:
        yield f"http://127.0.0.1:{port}"


def group(*upstreams):
    # Each failure is to be seen.
    return ["--retries", "0", *itertools.chain(*(("--upstream", upstream) for upstream in upstreams))]


# --- balance ---


def test_weights_are_shares(rig):
    a, b = rig.upstream(named("a")), rig.upstream(named("b"))
    gateway = rig.gateway(None, *group(a.url + ";weight=3", b.url), "--balance", "round-robin")
    assert count(rig, gateway, 8) == {(200, b"a"): 6, (200, b"b"): 2}


def test_streams_that_stay_count_over_all_workers(rig):
    """Clients land on either worker, and the group has the same number each all the same."""
    started = []

    def handler(server, request):
        server.start_events()
        server.chunk(b"data: x\n\n")
        started.append(server)
        done.wait()

    done = threading.Event()
    servers = [rig.upstream(handler) for _ in range(2)]
    gateway = rig.gateway(None, *group(*(server.url for server in servers)), "--threads", "2")
    try:
        clients = []
        for _ in range(20):
            clients.append(rig.client(gateway))
            clients[-1].get("/")
            clients[-1].read_head()
        assert {one["outstanding"] for one in upstreams(gateway).values()} == {10}
        assert [len(server.requests) for server in servers] == [10, 10]
    finally:
        done.set()


@pytest.mark.parametrize("how, requests", [
    ("hash:path", lambda key: (f"/{key}?{key}", ())),
    ("hash:field:X-User", lambda key: ("/", (f"x-user: {key}",))),
    ("hash:cookie:sid", lambda key: ("/", (f"Cookie: a=b; sid={key}; c=d",))),
])
def test_a_hash_keeps_to_one_upstream(rig, how, requests):
    servers = [rig.upstream(named(name)) for name in "abc"]
    gateway = rig.gateway(None, *group(*(server.url for server in servers)), "--balance", how,
                          "--threads", "2")
    homes = {}
    for key in range(12):
        target, fields = requests(key)
        answers = {get(rig, gateway, target, *fields) for _ in range(4)}
        assert len(answers) == 1
        homes[key] = answers.pop()
    assert len(set(homes.values())) > 1


def test_a_backup_waits_until_no_other_is_left(rig, dead):
    backup = rig.upstream(named("backup"))
    gateway = rig.gateway(None, *group(dead, backup.url + ";backup"), "--eject-after", "2")
    assert [get(rig, gateway)[0] for _ in range(2)] == [502, 502]
    assert count(rig, gateway, 5) == {(200, b"backup"): 5}


# --- health ---


@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_dead_of_two_fails_few_requests(rig, dead, threads):
    """As few with two workers: one goes by what the other has seen."""
    alive = rig.upstream(named("alive"))
    gateway = rig.gateway(None, *group(alive.url, dead), "--threads", threads)
    statuses = [get(rig, gateway)[0] for _ in range(40)]
    assert statuses.count(502) == 5, "eject-after"
    assert set(statuses[20:]) == {200}
    assert upstreams(gateway)[dead]["state"] == "open"
    assert upstreams(gateway)[dead]["last_ejections"][0]["reason"] == "connect"
    assert upstreams(gateway)[alive.url]["state"] == "closed"
    assert gateway.metrics().sum("sluice_upstream_ejections_total", upstream=dead, reason="connect") == 1
    wait_until(lambda: f"upstream {dead} is left out for 10s: connect" in gateway.errors(), "a warning")


def test_answers_5xx_eject_but_not_the_last_one(rig):
    servers = [rig.upstream(failing) for _ in range(2)]
    gateway = rig.gateway(None, *group(*(server.url for server in servers)))
    for _ in range(30):
        assert get(rig, gateway) == (503, b"no"), "the answer that there is"
    states = sorted(one["state"] for one in upstreams(gateway).values())
    assert states == ["closed", "open"]


def test_a_single_upstream_is_never_ejected(rig):
    gateway = rig.gateway(rig.upstream(failing))
    assert count(rig, gateway, 20) == {(503, b"no"): 20}


def test_zero_ejects_nobody(rig, dead):
    alive = rig.upstream(named("alive"))
    gateway = rig.gateway(None, *group(alive.url, dead), "--eject-after", "0")
    assert [get(rig, gateway)[0] for _ in range(40)].count(502) == 20
    assert upstreams(gateway)[dead]["state"] == "closed"


def test_a_time_out_before_the_head_ejects(rig):
    alive, silent = rig.upstream(named("alive")), rig.upstream()
    gateway = rig.gateway(None, *group(alive.url, silent.url), "--eject-after", "2",
                          "--first-byte-timeout", "50ms")
    statuses = [get(rig, gateway)[0] for _ in range(10)]
    assert statuses.count(504) == 2
    assert upstreams(gateway)[silent.url]["last_ejections"][0]["reason"] == "timeout"


def test_clients_that_leave_eject_nobody(rig):
    a, b = rig.upstream(), rig.upstream(named("b"))
    gateway = rig.gateway(None, *group(a.url, b.url), "--eject-after", "1", "--balance", "round-robin")
    for _ in range(6):
        client = rig.client(gateway)
        client.get("/")
        server = a.accept()
        server.read_request()
        client.close()
        server.wait_closed()
        assert get(rig, gateway) == (200, b"b")
    assert upstreams(gateway)[a.url]["state"] == "closed"


def test_an_upstream_that_is_back_is_tried_and_returns(rig):
    """While it is down it is tried once for each time that it has been left out."""
    down = threading.Event()
    down.set()

    def handler(server, request):
        (failing if down.is_set() else named("back"))(server, request)

    alive, flaky = rig.upstream(named("alive")), rig.upstream(handler)
    gateway = rig.gateway(None, *group(alive.url, flaky.url), "--eject-after", "1",
                          "--eject-time", "100ms", "--slow-start", "0")
    wait_until(lambda: get(rig, gateway)[0] == 503, "the first failure")

    def ejections():
        return sum(upstreams(gateway)[flaky.url]["ejections"].values())

    wait_until(lambda: get(rig, gateway) and ejections() >= 3, "trials that fail")
    assert len(flaky.requests) == ejections()
    last = [one["for_ms"] for one in upstreams(gateway)[flaky.url]["last_ejections"]]
    assert last[::-1][:3] == [100, 200, 400]
    down.clear()
    wait_until(lambda: get(rig, gateway) == (200, b"back"), "its return")
    assert upstreams(gateway)[flaky.url]["state"] == "closed"
    assert count(rig, gateway, 10)[(200, b"back")] == 5
    wait_until(lambda: f"upstream {flaky.url} is back" in gateway.errors(), "a message")


def test_an_ejection_outlives_a_reload(rig, dead, tmp_path):
    alive = rig.upstream(named("alive"))
    config = tmp_path / "sluice.toml"
    config.write_text(f'upstream = ["{alive.url}", "{dead}"]\n')
    gateway = rig.gateway(None, "--config", str(config))
    count(rig, gateway, 20)
    config.write_text(f'upstream = ["{dead};weight=2", "{alive.url}"]\n')
    assert gateway.admin("/reload", method="POST")[0].status == 200
    assert count(rig, gateway, 10) == {(200, b"alive"): 10}
    assert upstreams(gateway)[dead]["routes"] == [{"path": "/", "weight": 2, "backup": False}]


# --- drain ---


def test_a_drained_upstream_gets_nothing_new(rig):
    a, b = rig.upstream(named("a")), rig.upstream(named("b"))
    gateway = rig.gateway(None, *group(a.url, b.url))
    assert gateway.admin(f"/upstreams/drain?url={a.url}", method="POST")[0].status == 200
    assert count(rig, gateway, 6) == {(200, b"b"): 6}
    assert gateway.metrics().sum("sluice_upstream_state", upstream=a.url, state="drained") == 1
    assert gateway.admin(f"/upstreams/drain?url={b.url}", method="POST")[0].status == 200
    assert sum(count(rig, gateway, 6).values()) == 6, "where all are drained they serve on"
    assert gateway.admin(f"/upstreams/undrain?url={a.url}", method="POST")[0].status == 200
    assert count(rig, gateway, 6) == {(200, b"a"): 6}


# --- what routes share ---


def test_a_route_of_its_own_goes_on_using_what_a_group_has_ejected(rig):
    alive, broken = rig.upstream(named("alive")), rig.upstream(failing)
    gateway = rig.gateway(None, *group(alive.url, broken.url), "--eject-after", "1",
                          "--route", f"path=/own,upstream={broken.url}")
    wait_until(lambda: get(rig, gateway)[0] == 503, "the failure that ejects")
    assert upstreams(gateway)[broken.url]["state"] == "open"
    assert count(rig, gateway, 4, "/own") == {(503, b"no"): 4}
    assert upstreams(gateway)[broken.url]["state"] == "open"
    assert count(rig, gateway, 4) == {(200, b"alive"): 4}


def test_a_group_of_none_but_ejected_ones_uses_them(rig, tmp_path):
    """A reload has put them together. The first answer brings one back before its time."""
    well = threading.Event()

    def handler(name):
        return lambda server, request: (named(name) if well.is_set() else failing)(server, request)

    alive, x, y = rig.upstream(named("alive")), rig.upstream(handler("x")), rig.upstream(handler("y"))
    config = tmp_path / "sluice.toml"
    config.write_text(f'eject-after = 1\nupstream = ["{alive.url}", "{x.url}", "{y.url}"]\n')
    gateway = rig.gateway(None, "--config", str(config))

    def states():
        return [upstreams(gateway)[one.url]["state"] for one in (x, y)]

    wait_until(lambda: get(rig, gateway) and states() == ["open", "open"], "both are ejected")
    config.write_text(f'eject-after = 1\nupstream = ["{x.url}", "{y.url}"]\n')
    assert gateway.admin("/reload", method="POST")[0].status == 200
    assert count(rig, gateway, 4) == {(503, b"no"): 4}
    well.set()
    status, name = get(rig, gateway)
    assert status == 200
    assert sorted(states()) == ["closed", "open"]
    assert count(rig, gateway, 4) == {(200, name): 4}
