"""A broken upstream is not a broken client: event streams go on behind their last id, whatever the
upstream does when it comes back, and nothing is lost or repeated silently."""

import json
import threading

import pytest

from harness import held_port
from harness.streams import event as stream_event
from harness.upstream_process import UpstreamProcess

STREAMS = 20
EVENTS = 60
KILLS = 5


@pytest.fixture
def port():
    with held_port() as port:
        yield port


def event(i):
    return b"id: %s\ndata: %s\n\n" % (str(i).encode(), str(i).encode())


def fields(block):
    pairs = [line.split(b": ", 1) for line in block.strip().split(b"\n")]
    return {pair[0]: pair[1] if len(pair) > 1 else b"" for pair in pairs}


def ids_of(body):
    return [fields(block)[b"id"] for block in body.split(b"\n\n") if block.startswith(b"id: ")]


class Attempts:
    """Plays one script after the other, one for each request; the last one for all further ones."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.asked = []
        self.lock = threading.Lock()

    def __call__(self, server, request):
        with self.lock:
            self.asked.append(request.get("last-event-id"))
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        script(server)


def events(*ids, then="close"):
    def play(server):
        server.start_events()
        for i in ids:
            server.chunk(event(i))
        if then == "close":
            server.chunk(b"id: never\ndata: cut")
            server.close()
        elif then == "reset":
            server.reset()
        else:
            server.end_chunks()
    return play


def answer(status, *lines):
    def play(server):
        server.respond(b"", *lines, status=status)
    return play


def run(rig, *scripts, flags=()):
    attempts = Attempts(*scripts)
    gateway = rig.gateway(rig.upstream(attempts), "--gap-event", "on", *flags)
    client = rig.client(gateway)
    client.get()
    assert client.read_head().status == 200
    return client, attempts, gateway


def test_twenty_streams_over_five_kills(rig, port):
    """A process that is killed in mid-event and started again: each event once and in order."""
    upstream = UpstreamProcess(port)
    gateway = rig.gateway(upstream)
    clients = {f"/{i}/{EVENTS}": rig.client(gateway) for i in range(STREAMS)}
    seen = {}
    for target, client in clients.items():
        client.get(target)
    for target, client in clients.items():
        client.read_head()
        seen[target] = client.body.event()
    for _ in range(KILLS):
        upstream.kill()
        upstream.close()
        upstream = UpstreamProcess(port)
        for target, client in clients.items():  # each has been resumed
            seen[target] += client.body.event() + client.body.event()
    rig.upstreams.append(upstream)
    for target, client in clients.items():
        assert seen[target] + client.body.rest() == b"".join(stream_event(target, i) for i in range(EVENTS))
    metrics = gateway.metrics()
    assert metrics.sum("sluice_closes_total", reason="complete") == STREAMS
    assert metrics.sum("sluice_heals_total", result="resumed") >= STREAMS
    assert metrics.sum("sluice_heal_gaps_total") == 0


def test_every_event_once_and_in_order(rig):
    cuts = [events(*range(1 + 4 * n, 5 + 4 * n), then="close" if n % 2 else "reset") for n in range(KILLS)]
    client, attempts, gateway = run(rig, *cuts, events(21, then="end"))
    assert ids_of(client.body.rest()) == [b"%d" % i for i in range(1, 22)]
    assert attempts.asked == [None, "4", "8", "12", "16", "20"]
    assert gateway.metrics().sum("sluice_heals_total", result="resumed") == KILLS


def test_replay_of_everything_is_dropped_and_told(rig):
    client, _, gateway = run(rig, events("a", "b", "c"), events("a", "b", "c", "d", then="end"))
    body = client.body.rest()
    assert ids_of(body) == [b"a", b"b", b"c", b"d"]
    gap = next(fields(block) for block in body.split(b"\n\n") if b"sluice.gap" in block)
    assert json.loads(gap[b"data"]) == {"last_id": "c", "first_id": "a", "reason": "replayed", "attempts": 1}
    assert gateway.metrics().sum("sluice_duplicate_events_total") == 3


def test_skipped_ids_are_told(rig):
    client, _, gateway = run(rig, events(1, 2, 3), events(7, 8, then="end"))
    body = client.body.rest()
    assert body.index(b"event: sluice.gap") < body.index(b"id: 7")
    assert gateway.metrics().sum("sluice_heal_gaps_total", reason="skipped") == 1


def test_an_id_with_nul_is_none(rig):
    client, attempts, _ = run(rig, events(1, "2\0"), events(2, then="end"))
    client.body.rest()
    assert attempts.asked == [None, "1"]


@pytest.mark.parametrize("last", ["x" * 8192, ""], ids=["8 KiB", "empty"])
def test_behind_an_id_that_cannot_be_asked_for_the_ending_is_honest(rig, last):
    client, attempts, _ = run(rig, events(1, last))
    assert client.body.until_abort() == event(1) + event(last)
    assert attempts.asked == [None]


def test_behind_the_next_id_it_is_healed(rig):
    client, attempts, _ = run(rig, events(1, "x" * 8192, 3), events(4, then="end"))
    assert client.body.rest() == event(1) + event("x" * 8192) + event(3) + event(4)
    assert attempts.asked == [None, "3"]


def test_204_is_a_clean_end(rig):
    client, _, gateway = run(rig, events(1, 2), answer("204 No Content"))
    assert client.body.rest() == event(1) + event(2)
    assert gateway.metrics().sum("sluice_heals_total", result="ended") == 1


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "410 No", "200 OK"])
def test_what_cannot_heal_is_an_abort(rig, status):
    client, _, gateway = run(rig, events(1), answer(status))
    assert client.body.until_abort() == event(1)
    assert gateway.metrics().sum("sluice_heals_total", result="refused") == 1


def test_garbage_and_refusals_are_only_another_attempt(rig):
    def garbage(server):
        server.send(b"\0\1\2 what?\r\n\r\n")
        server.close()

    client, attempts, gateway = run(rig, events(1), garbage, answer("503 Later"), answer("429 Later", "Retry-After: 0"),
                                    events(2, then="end"))
    assert client.body.rest() == event(1) + event(2)
    assert attempts.asked == [None, "1", "1", "1", "1"]
    assert gateway.metrics().sum("sluice_heal_attempts_total", **{"class": "status"}) == 2


def test_an_upstream_that_flaps(rig):
    flaps = [events(i) for i in range(1, 30)]
    client, _, _ = run(rig, *flaps, events(30, then="end"), flags=("--heal-for", "10s"))
    assert ids_of(client.body.rest()) == [b"%d" % i for i in range(1, 31)]


def test_it_gives_up(rig):
    client, attempts, gateway = run(rig, events(1), answer("503 Later"), flags=("--heal-for", "700ms"))
    assert client.body.until_abort() == event(1)
    assert 2 <= len(attempts.asked) < 40
    assert gateway.metrics().sum("sluice_heals_total", result="given_up") == 1


def test_another_upstream_goes_on(rig, port):
    second = rig.upstream(Attempts(events(3, then="end")))
    first = Attempts(events(1, 2))
    gateway = rig.gateway(rig.upstream(first), "--upstream", second.url)
    for _ in range(2):  # one of these begins at the first
        client = rig.client(gateway)
        client.get()
        client.read_head()
        body = client.body.rest()
        assert body in (event(1) + event(2) + event(3), event(3))


# --- before content

def two(rig, first, *flags):
    """Two upstreams; the second answers."""
    good = rig.upstream(lambda server, _: server.respond(b"good"))
    return rig.gateway(None, "--upstream", first, "--upstream", good.url, *flags)


def all_good(rig, gateway, count=8, request=("GET", "/", None)):
    for _ in range(count):
        client = rig.client(gateway)
        client.request(request[0], request[1], body=request[2])
        head, body = client.response()
        assert (head.status, body) == (200, b"good")


@pytest.mark.parametrize("request_", [("GET", "/", None), ("POST", "/", b"x")], ids=["GET", "POST"])
def test_a_refusing_upstream_is_not_seen(rig, port, request_):
    gateway = two(rig, f"http://127.0.0.1:{port}")
    all_good(rig, gateway, request=request_)
    assert gateway.metrics().sum("sluice_retries_total", **{"class": "refused"}) > 0


@pytest.mark.parametrize("status", ["502 No", "503 No", "504 No", "429 No"])
def test_an_answer_that_says_later_is_not_seen(rig, status):
    gateway = two(rig, rig.upstream(lambda server, _: server.respond(b"bad", status=status)).url)
    all_good(rig, gateway)
    assert gateway.metrics().sum("sluice_retries_total", **{"class": "status"}) > 0


def test_a_reset_after_accept_is_not_seen(rig):
    gateway = two(rig, rig.upstream(lambda server, _: server.reset()).url)
    all_good(rig, gateway)


def test_a_stall_before_the_head_is_not_seen(rig):
    gateway = two(rig, rig.upstream(lambda server, _: None).url, "--first-byte-timeout", "1s")
    all_good(rig, gateway, 4)


def test_a_post_is_not_sent_twice(rig):
    """It may have been executed."""
    gateway = two(rig, rig.upstream(lambda server, _: server.reset()).url)
    statuses = []
    for _ in range(4):
        client = rig.client(gateway)
        client.request("POST", "/", body=b"x")
        statuses.append(client.response()[0].status)
    assert sorted(set(statuses)) == [200, 502]


def test_where_all_fail_the_last_answer_is_passed_on(rig):
    urls = [rig.upstream(lambda server, _, n=n: server.respond(n, status="503 No")).url for n in (b"1", b"2")]
    gateway = rig.gateway(None, "--upstream", urls[0], "--upstream", urls[1])
    client = rig.client(gateway)
    client.get()
    head, body = client.response()
    assert head.status == 503
    assert body in (b"1", b"2")


@pytest.mark.parametrize("status", [429, 503])
def test_a_post_goes_on_behind_an_answer_that_has_not_taken_it_on(rig, status):
    bodies = []

    def well(server, request):
        bodies.append(request.content)
        server.respond(b"ok")

    urls = [rig.upstream(lambda server, _: server.respond(b"no", status=f"{status} No")).url, rig.upstream(well).url]
    gateway = rig.gateway(None, "--upstream", urls[0], "--upstream", urls[1], "--eject-after", "0")
    for _ in range(4):
        client = rig.client(gateway)
        client.request("POST", "/", body=b"x" * 5000)
        assert client.response()[0].status == 200
    assert bodies == [b"x" * 5000] * 4


@pytest.mark.parametrize(("status", "flags"), [(502, ()), (503, ("--retry-on-post", "none"))])
def test_a_post_does_not_go_on_behind_another(rig, status, flags):
    failing = rig.upstream(lambda server, _: server.respond(b"no", status=f"{status} No"))
    gateway = two(rig, failing.url, "--eject-after", "0", *flags)
    statuses = set()
    for _ in range(4):
        client = rig.client(gateway)
        client.request("POST", "/", body=b"x")
        statuses.add(client.response()[0].status)
    assert statuses == {200, status}


def answers_of_a_group(rig, *handlers, flags=(), requests=3):
    """What requests get of upstreams that all fail, each of them asked first by some."""
    urls = [rig.upstream(handler).url for handler in handlers]
    upstreams = [flag for url in urls for flag in ("--upstream", url)]
    gateway = rig.gateway(None, *upstreams, "--eject-after", "0", "--balance", "round-robin", "--threads", "1", *flags)
    client = rig.client(gateway)
    answers = set()
    for _ in range(requests):
        client.get()
        head, body = client.response()
        answers.add((head.status, body))
    return answers


def says(status, body):
    return lambda server, _: server.respond(body, status=f"{status} No")


def test_where_all_fail_the_best_answer_is_passed_on(rig):
    assert answers_of_a_group(rig, says(503, b"a"), says(429, b"b"), says(502, b"c")) == {(429, b"b")}


def test_an_upstreams_answer_is_better_than_ours(rig):
    gone = [lambda server, _: server.reset(), lambda server, _: server.close()]
    assert answers_of_a_group(rig, says(504, b"own words"), *gone) == {(504, b"own words")}


def test_a_large_answer_is_not_kept(rig):
    """Its status is."""
    gone = lambda server, _: server.reset()  # noqa: E731
    answers = answers_of_a_group(rig, says(503, b"x" * 5000), gone, requests=2)
    assert {status for status, _ in answers} == {503}
    assert any(body != b"x" * 5000 for _, body in answers)


def test_the_retry_buffer_counts_the_body_alone(rig):
    failing = rig.upstream(lambda server, _: server.respond(b"no", status="503 No"))
    gateway = two(rig, failing.url, "--eject-after", "0", "--retry-buffer", "1000")
    for size, expected in ((1000, {200}), (1001, {200, 503})):
        statuses = set()
        for _ in range(4):
            client = rig.client(gateway)
            client.request("PUT", "/", body=b"x" * size)
            statuses.add(client.response()[0].status)
        assert statuses == expected


def test_a_stale_connection_is_replayed_whatever_the_retry_buffer(rig):
    bodies = []

    def answer(server, request):
        if request.target == "/stale" and not bodies:
            bodies.append(request.content)
            server.close()
        else:
            bodies.append(request.content)
            server.respond(b"ok")

    first, second = rig.upstream(answer), rig.upstream(answer)
    gateway = rig.gateway(None, "--upstream", first.url, "--upstream", second.url, "--retry-buffer", "10", "--threads", "1")
    client = rig.client(gateway)
    for _ in range(2):  # both have a connection then
        client.get()
        assert client.response()[0].status == 200
    bodies.clear()
    client.request("PUT", "/stale", body=b"x" * 30000)
    assert client.response()[0].status == 200
    assert bodies == [b"x" * 30000] * 2


def test_retries_have_a_budget(rig):
    urls = [rig.upstream(lambda server, _: server.respond(b"no", status="503 No")).url for _ in range(2)]
    gateway = rig.gateway(None, "--upstream", urls[0], "--upstream", urls[1], "--eject-after", "0")
    client = rig.client(gateway)
    for _ in range(200):
        client.get()
        assert client.response()[0].status == 503
    metrics = gateway.metrics()
    workers = 2
    assert 0 < metrics.sum("sluice_retries_total") <= 200 // 5 + 2 * 10 * workers
    assert metrics.sum("sluice_retries_denied_total") > 0


def test_a_post_is_not_executed_twice_in_a_group(rig):
    """Its kept-alive connection ends without an answer, and another upstream is there."""
    executed = []

    def answer(server, request):
        if request.method == "POST":
            executed.append(request.content)
            server.close()
        else:
            server.respond(b"ok")

    urls = [rig.upstream(answer).url for _ in range(2)]
    gateway = rig.gateway(None, "--upstream", urls[0], "--upstream", urls[1])
    client = rig.client(gateway)
    for _ in range(4):  # both have a connection then
        client.get()
        assert client.response()[0].status == 200
    client.request("POST", "/", body=b"once")
    assert client.response()[0].status == 502
    assert executed == [b"once"]


def test_events_that_share_an_id_are_not_lost(rig):
    """Their id does not tell what has come before."""

    def same(*numbers, then):
        def play(server):
            server.start_events()
            for number in numbers:
                server.chunk(b"id: run7\ndata: %d\n\n" % number)
            server.close() if then == "close" else server.end_chunks()
        return play

    attempts = Attempts(same(1, 2, 3, then="close"), same(4, 5, 6, then="end"))
    client = rig.client(rig.gateway(rig.upstream(attempts)))
    client.get()
    assert client.read_head().status == 200
    body = client.body.rest()
    assert [block.split(b"data: ")[1] for block in body.split(b"\n\n") if block] == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert attempts.asked == [None, "run7"]


def test_time_outs_of_many_ask_the_other_upstream_once(rig):
    """One hangs before its head: all its requests go to the other, and none is answered by us."""
    done = threading.Event()
    silent = rig.upstream(lambda server, request: done.wait(20))
    well = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(None, "--upstream", silent.url, "--upstream", well.url, "--first-byte-timeout", "300ms",
                          "--eject-after", "0", "--balance", "round-robin")
    clients = [rig.client(gateway) for _ in range(16)]
    for client in clients:
        client.get()
    for client in clients:
        assert client.response()[0].status == 200
    assert gateway.metrics().sum("sluice_retries_total") == 8
    done.set()


def test_a_stream_without_ids_for_long_is_searched_no_longer(rig):
    """It costs nothing then, and breaks as honestly as ever."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream))
    client.get()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert client.read_head().status == 200
    server.chunk(b"data: x\n\n" * 101)
    for _ in range(101):
        assert client.body.event() == b"data: x\n\n"
    server.chunk(event(1))
    assert client.body.event() == event(1)
    server.close()
    assert client.body.until_abort() == b""
