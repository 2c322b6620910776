"""Streams of a hub that are fed from upstreams: one connection for all subscribers, which comes and
goes with them, and goes on where it broke."""

import json
import os
import signal

import pytest

from harness.wire import wait_until
from test_hub import Subscriber, ask, hub_gateway, publish


def source_gateway(rig, upstream, *settings, target="/events?all", **options):
    """Its sources do not outlive their subscribers for long, so that the gateway is idle in the end."""
    return hub_gateway(rig, f"hub-source=news={url(upstream, target)}", "hub-source-linger=0", *settings, **options)


def url(upstream, target="/events?all"):
    base, *options = upstream.url.split(";")
    return ";".join([base + target, *options])


def subscribe(rig, gateway, target="/hub/streams/news", *fields):
    return Subscriber(rig, gateway, target, *fields)


def accept(upstream):
    """The upstream's end of a connection whose request has come, and that request."""
    server = upstream.accept()
    return server, server.read_request()


def metric(gateway, name):
    return gateway.metrics().sum(f"sluice_hub_source_{name}")


def test_many_subscribers_cost_the_upstream_one_connection(rig):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream, threads="2")
    upstream.assert_no_connection(0.3)
    subscribers = [subscribe(rig, gateway) for _ in range(200)]
    server, request = accept(upstream)
    assert (request.method, request.target) == ("GET", "/events?all")
    assert request.get("accept") == "text/event-stream" and request.get("accept-encoding") == "identity"
    assert not any(name in request for name in ("last-event-id", "x-forwarded-for", "x-forwarded-host"))
    server.start_events()
    server.chunk(b": hello\n\nid: 1\nevent: Price\ndata: {\"eur\": 5}\n\n")
    server.chunk(b"id: 2\ndata: two\ndata: lines\n\ndata: un")
    server.chunk(b"named\n\n")
    for subscriber in subscribers:
        first, second, third = (subscriber.event() for _ in range(3))
        assert (first["event"], first["data"]) == ("Price", '{"eur": 5}')
        assert second["data"] == "two\nlines" and "event" not in second
        assert third["data"] == "unnamed"
    upstream.assert_no_connection(0.1)
    messages = ask(rig, gateway, "/hub/streams/news/messages?position=0")[2]
    assert [(m.get("originId"), m["data"]) for m in messages] == [("1", {"eur": 5}), ("2", "two\nlines"), (None, "unnamed")]
    assert metric(gateway, "up") == 1 and metric(gateway, "attempts_total") == 1
    assert metric(gateway, "events_total") == 3
    [shown] = [stream for stream in gateway.streams() if stream["client"] == "hub:main"]
    assert shown["target"] == "/events?***"
    assert publish(rig, gateway, "news", {"data": 1})[0] == 403
    assert publish(rig, gateway, "other", {"data": 1})[0] == 201


def test_a_cut_in_mid_event_goes_on_behind_the_last_id(rig):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream)
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: never who")
    assert subscriber.data(2) == ["1", "2"]
    server.cut()
    server, request = accept(upstream)
    assert request.get("last-event-id") == "b"
    server.start_events()
    # It replays more than it was asked for.
    server.chunk(b"id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: whole\n\n")
    assert subscriber.data(1) == ["whole"]
    assert metric(gateway, "duplicate_events_total") == 2
    wait_until(lambda: "is lost, and asked again: upstream_truncated" in gateway.errors(), "the loss is told")
    wait_until(lambda: "is read again" in gateway.errors(), "the return is told")
    assert [m["originId"] for m in ask(rig, gateway, "/hub/streams/news/messages")[2]] == ["a", "b", "c"]


@pytest.mark.parametrize("end", [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 31\r\n\r\nid: 1\ndata: 1\n\nid: 2\ndata: half",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nid: 1\ndata: 1\n\nid: 2\ndata: half"])
def test_an_end_in_order_is_asked_again(rig, end):
    """What it lacks of its last event is not made up."""
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream)
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.send(end)
    server.cut()
    assert subscriber.data(1) == ["1"]
    server, request = accept(upstream)
    assert request.get("last-event-id") == "1"
    server.start_events()
    server.chunk(b"id: 2\ndata: 2\n\n")
    assert subscriber.data(1) == ["2"]


def test_an_event_cut_at_every_byte(rig):
    text = b"\xef\xbb\xbfretry: 1\r\nid: 100\r\nevent: T\r\ndata: \xc3\xbc1\r\ndata: b\r\n\r\n"
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream)
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    for cut in range(1, len(text)):
        # A new id each time, else it is known.
        whole = text.replace(b"100", b"%d" % (100 + cut))
        server.start_events()
        server.chunk(whole[:cut])
        server.chunk(whole[cut:])
        event = subscriber.event()
        assert (event["event"], event["data"]) == ("T", "ü1\nb"), cut
        server.end_chunks()
        assert server.read_request().get("last-event-id") == str(100 + cut)


def test_answers_that_are_no_stream_back_off(rig):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream)
    subscriber = subscribe(rig, gateway)
    for status, *fields in (("503 Service Unavailable", "Retry-After: 0"), ("200 OK", "Content-Type: text/html"),
                            ("404 Not Found",), ("301 Moved Permanently", "Location: /")):
        server, _ = accept(upstream)
        server.respond(b"data: 1\n\n", "Connection: close", *fields, status=status)
        server.cut()
    wait_until(lambda: "is lost, and asked again: status 503" in gateway.errors(), "told once")
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"data: at last\n\n")
    assert subscriber.data(1) == ["at last"]
    assert gateway.errors().count("is lost, and asked again") == 1


def test_204_is_the_end_until_somebody_comes_anew(rig):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream)
    first = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.send_head("Connection: close", status="204 No Content")
    server.cut()
    wait_until(lambda: "has ended (204)" in gateway.errors(), "the end is told")
    second = subscribe(rig, gateway)
    upstream.assert_no_connection(0.5)
    for subscriber in (first, second):
        subscriber.client.close()
    # Once it has been noticed that they have left, another one asks again.
    upstream.assert_no_connection(2.5)
    subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()


def test_it_lingers_and_comes_back_behind_the_last_id(rig):
    upstream = rig.upstream()
    gateway = hub_gateway(rig, f"hub-source=news={url(upstream)}", "hub-source-linger=2s")
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"id: 1\ndata: 1\n\n")
    place = subscriber.event()["id"]
    subscriber.client.close()
    gateway.wait_metric("sluice_hub_source_events_total", 1)
    server.chunk(b"id: 2\ndata: while nobody listens\n\n")
    gateway.wait_metric("sluice_hub_source_events_total", 2)
    server.wait_closed()
    assert metric(gateway, "up") == 0
    upstream.assert_no_connection(0.3)
    subscriber = subscribe(rig, gateway, "/hub/streams/news", f"Last-Event-ID: {place}")
    server, request = accept(upstream)
    assert request.get("last-event-id") == "2"
    server.start_events()
    server.chunk(b"id: 3\ndata: 3\n\n")
    assert subscriber.data(2) == ["while nobody listens", "3"]
    # One who comes while it lingers finds it open.
    subscriber.client.close()
    subscriber = subscribe(rig, gateway)
    server.chunk(b"id: 4\ndata: 4\n\n")
    assert subscriber.data(1) == ["4"]


def test_readers_of_its_category_open_it_and_messages_do_not(rig):
    upstream = rig.upstream()
    gateway = hub_gateway(rig, f"hub-source=account-1={url(upstream)}", "hub-source-linger=0", threads="2")
    assert ask(rig, gateway, "/hub/streams/account-1/messages")[2] == []
    subscribe(rig, gateway, "/hub/categories/other")
    subscribe(rig, gateway, "/hub/streams/account-2")
    upstream.assert_no_connection(0.5)
    subscriber = subscribe(rig, gateway, "/hub/subscribe?category=account&stream=x-1")
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"data: 1\n\n")
    assert json.loads(subscriber.event()["data"])["stream"] == "account-1"


def test_always_open(rig):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream, "hub-source-open=always")
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"id: 1\ndata: 1\n\n")
    gateway.wait_metric("sluice_hub_source_events_total", 1)
    assert len(ask(rig, gateway, "/hub/streams/news/messages")[2]) == 1
    gateway.signal(signal.SIGTERM)
    server.wait_closed()
    assert gateway.wait_exit() == 0


def test_an_https_upstream(rig, pki):
    upstream = rig.upstream(tls=pki.server_context(), tls_options=f";ca={pki.ca}")
    gateway = source_gateway(rig, upstream)
    subscriber = subscribe(rig, gateway)
    server, request = accept(upstream)
    assert request.target == "/events?all"
    server.start_events()
    server.chunk(b"data: secret\n\n")
    assert subscriber.data(1) == ["secret"]


def test_a_unix_upstream_and_an_encoded_answer(rig, tmp_path):
    import gzip
    upstream = rig.upstream(unix=str(tmp_path / "source"))
    gateway = source_gateway(rig, upstream, target=":/events?all")
    subscriber = subscribe(rig, gateway)
    server, request = accept(upstream)
    assert request.target == "/events?all"
    server.start_events("Content-Encoding: gzip")
    server.chunk(gzip.compress(b"id: 1\ndata: packed\n\n"))
    server.end_chunks()
    assert subscriber.data(1) == ["packed"]


def test_an_event_that_is_too_large_is_left_out(rig):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream, "hub-event-size=1k")
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()
    for size in (1025, 100_000):
        server.chunk(b"data: 1\n\ndata: " + b"x" * size + b"\r\n\r\ndata: 2\n\n")
        assert subscriber.data(2) == ["1", "2"]
    server.chunk(b"event: sluice.gap\ndata: {}\n\nid: \xff\ndata: \xff\n\n")
    assert subscriber.data(1) == ["\N{REPLACEMENT CHARACTER}"]
    assert metric(gateway, "refused_events_total") == 3
    wait_until(lambda: "does not take: it is larger than hub-event-size" in gateway.errors(), "that is told")


def test_a_hub_that_takes_no_more_makes_the_upstream_wait(rig):
    """As many a second as it may take, and none is lost."""
    upstream = rig.upstream(sndbuf=16 * 1024)
    gateway = source_gateway(rig, upstream, "hub-rate=1000")
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()
    count = 2500
    for begin in range(0, count, 100):
        server.chunk(b"".join(b"id: %d\ndata: %d %s\n\n" % (i, i, b"x" * 100) for i in range(begin, begin + 100)))
    assert [int(data.split()[0]) for data in subscriber.data(count)] == list(range(count))


def test_reloads(rig, tmp_path):
    one, two = rig.upstream(), rig.upstream()
    file = tmp_path / "sluice.toml"

    def write(*sources):
        listed = ", ".join(f'"{source}"' for source in sources)
        file.write_text(f'[[route]]\npath = "/hub"\nhub = "main"\nhub-source = [{listed}]\nhub-source-linger = "0"\n')

    write()
    gateway = rig.gateway(None, "--config", str(file), "--threads", "2")
    subscriber = subscribe(rig, gateway)
    one.assert_no_connection(0.2)
    write(f"news={url(one)}")
    assert gateway.admin("/reload", method="POST")[0].status == 200
    server, _ = accept(one)
    server.start_events()
    server.chunk(b"id: 1\ndata: one\n\n")
    assert subscriber.data(1) == ["one"]
    # One more, and it goes on as it was.
    write(f"news={url(one)}", f"more={url(two)}")
    assert gateway.admin("/reload", method="POST")[0].status == 200
    server.chunk(b"id: 2\ndata: still one\n\n")
    assert subscriber.data(1) == ["still one"]
    # Another upstream knows nothing of the first one's ids.
    write(f"news={url(two)}")
    assert gateway.admin("/reload", method="POST")[0].status == 200
    server.wait_closed()
    server, request = accept(two)
    assert "last-event-id" not in request
    server.start_events()
    server.chunk(b"id: 1\ndata: two\n\n")
    assert subscriber.data(1) == ["two"]
    write()
    assert gateway.admin("/reload", method="POST")[0].status == 200
    server.wait_closed()
    wait_until(lambda: publish(rig, gateway, "news", {"data": "ours"})[0] == 201, "it is a stream like others")
    assert subscriber.data(1) == ['"ours"']


@pytest.mark.parametrize("memory", [[], ["hub-history-events=1"]], ids=["in memory", "on the disk"])
def test_a_restart_goes_on_behind_what_the_store_has(rig, tmp_path, memory):
    upstream = rig.upstream()
    store = f"hub-store=sqlite:{tmp_path / 'hub'}"
    gateway = source_gateway(rig, upstream, store)
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"id: x\ndata: 1\n\nid: y\ndata: 2\n\ndata: without\n\n")
    assert subscriber.data(3) == ["1", "2", "without"]
    gateway.kill()
    rig.gateways.remove(gateway)
    gateway = source_gateway(rig, upstream, store, *memory)
    subscriber = subscribe(rig, gateway)
    server, request = accept(upstream)
    assert request.get("last-event-id") == "y"
    server.start_events()
    server.chunk(b"id: z\ndata: 3\n\n")
    assert subscriber.data(1) == ["3"]
    assert [m.get("originId") for m in ask(rig, gateway, "/hub/streams/news/messages")[2]] == ["x", "y", None, "z"]


def test_a_full_disk_makes_the_upstream_wait(rig, small_disk):
    upstream = rig.upstream()
    gateway = source_gateway(rig, upstream, f"hub-store=sqlite:{small_disk / 'hub'}")
    subscriber = subscribe(rig, gateway)
    server, _ = accept(upstream)
    server.start_events()
    server.chunk(b"id: 1\ndata: 1\n\n")
    assert subscriber.data(1) == ["1"]
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 20 << 20)
    server.chunk(b"id: 2\ndata: 2\n\n")
    wait_until(lambda: "waits and is not read: the hub's disk is full" in gateway.errors(), "that is told")
    server.chunk(b"id: 3\ndata: 3\n\nid: 4\ndata: ha")
    server.cut()
    # It is asked again when the hub has all of what came, and not before.
    upstream.assert_no_connection(0.5)
    filler.unlink()
    server, request = accept(upstream)
    assert request.get("last-event-id") == "3"
    server.start_events()
    server.chunk(b"id: 4\ndata: 4\n\n")
    assert subscriber.data(3) == ["2", "3", "4"]
    wait_until(lambda: "is read on" in gateway.errors(), "that is told, too")
