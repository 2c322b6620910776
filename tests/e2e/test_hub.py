"""The hub as its clients see it: publishing, reading, subscribing, resuming, and what it refuses."""

import http.client
import json
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from harness.gateway import sanitized
from harness.wire import DEADLINE_S, wait_until

NODE = pathlib.Path(__file__).parent / "node"
JSON = "Content-Type: application/json"
MIB = 1 << 20


def hub_gateway(rig, *settings, threads="1", flags=()):
    return rig.gateway(None, "--route", ",".join(["path=/hub", "hub=main", *settings]), "--threads", threads, *flags)


def ask(rig, gateway, target, *fields, method="GET", body=None):
    """The status, the head and the JSON of one request's answer."""
    client = rig.client(gateway)
    client.request(method, target, *fields, body=body)
    head, text = client.response()
    client.close()
    return head.status, head, json.loads(text) if text else None


def publish(rig, gateway, stream, *events, query="", fields=()):
    body = json.dumps(list(events)).encode()
    return ask(rig, gateway, f"/hub/streams/{stream}{query}", JSON, *fields, method="POST", body=body)


class Subscriber:
    """Reads whole events; `place` is the id that came without an event."""

    def __init__(self, rig, gateway, target, *fields, **options):
        self.client = rig.client(gateway, **options)
        self.client.get(target, "Accept: text/event-stream", *fields)
        self.head = self.client.read_head()
        assert self.head.status == 200, self.client.body.rest()
        assert self.head.get("content-type") == "text/event-stream"

    def block(self):
        """The next event, or what else stands by itself; not comments."""
        while (block := self.client.body.event()).startswith(b":"):
            pass
        fields = [line.split(": ", 1) for line in block.decode().split("\n")[:-2]]
        return {name: "\n".join(value for key, value in fields if key == name) for name, _ in fields}

    def event(self):
        while "data" not in (block := self.block()):
            assert block.keys() <= {"id"}, block
        return block

    def data(self, count):
        return [self.event()["data"] for _ in range(count)]


def test_an_event_goes_from_publisher_to_subscribers(rig):
    gateway = hub_gateway(rig)
    single = Subscriber(rig, gateway, "/hub/streams/account-1")
    category = Subscriber(rig, gateway, "/hub/categories/account")
    pokes = Subscriber(rig, gateway, "/hub/subscribe?category=account&stream=order-1&mode=poke")
    event = {"type": "Paid", "data": {"a": [1, "ü"]}, "metadata": {"m": 1}, "id": "u1"}
    status, _, answer = publish(rig, gateway, "account-1", event)
    assert (status, answer) == (201, {"stream": "account-1", "position": 0, "globalPosition": 1, "appended": 1})
    publish(rig, gateway, "other-1", event)
    publish(rig, gateway, "order-1", event)
    got = single.event()
    assert got["event"] == "Paid" and json.loads(got["data"]) == event["data"]
    envelope = category.event()
    message = json.loads(envelope["data"])
    assert re.fullmatch(r"[0-9a-f]{8}\.1", envelope["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.pop("time"))
    assert message == {"stream": "account-1", "position": 0, "globalPosition": 1, **event}
    assert [json.loads(data) for data in pokes.data(2)] == [
        {"stream": "account-1", "position": 0, "globalPosition": 1},
        {"stream": "order-1", "position": 0, "globalPosition": 3}]


def test_bytes_are_those_of_curl(rig):
    gateway = hub_gateway(rig)
    curl = subprocess.Popen(["curl", "-sSN", "-H", "Accept: text/event-stream", f"{gateway.url}/hub/streams/log"],
                            stdout=subprocess.PIPE)
    gateway.wait_metric("sluice_hub_subscribers", 1)
    posted = subprocess.run(["curl", "-sS", "-H", "Content-Type: text/plain", "--data-binary", "a\n\nb",
                             f"{gateway.url}/hub/streams/log?type=Line"], capture_output=True, timeout=DEADLINE_S)
    assert json.loads(posted.stdout)["position"] == 0
    epoch = ask(rig, gateway, "/hub/streams/log")[2]["epoch"]
    assert curl.stdout.read1() == f"id: {epoch}.0\nevent: Line\ndata: a\ndata: \ndata: b\n\n".encode()
    curl.kill()
    curl.wait()
    curl.stdout.close()


def test_reading_messages(rig):
    gateway = hub_gateway(rig)
    for i in range(30):
        publish(rig, gateway, f"account-{i % 3}", *[{"type": f"T{i}", "data": "x" * 500}] * 50)
    status, _, messages = ask(rig, gateway, "/hub/streams/account-1/messages?position=400&batch=70")
    assert status == 200 and [m["position"] for m in messages] == list(range(400, 470))
    assert len(ask(rig, gateway, "/hub/streams/account-1/messages?position=480")[2]) == 20
    assert len(ask(rig, gateway, "/hub/categories/account/messages")[2]) == 1000
    everything = ask(rig, gateway, "/hub/categories/account/messages?batch=-1")[2]
    assert [m["globalPosition"] for m in everything] == list(range(1, 1501))
    assert ask(rig, gateway, "/hub/streams/account-1/last")[2]["position"] == 499
    assert ask(rig, gateway, "/hub/streams/account-1/last?type=T1")[2]["position"] == 49
    assert ask(rig, gateway, "/hub/streams/account-1/last?type=none")[0] == 404
    assert ask(rig, gateway, "/hub/streams/account-1/version")[2] == {"version": 499}
    assert ask(rig, gateway, "/hub/streams/nobody-1/version")[2] == {"version": -1}
    assert ask(rig, gateway, "/hub/streams/nobody-1/messages")[2] == []


def test_the_last_of_a_type_is_looked_for_among_ten_thousand(rig):
    gateway = hub_gateway(rig)
    publish(rig, gateway, "a-1", {"type": "Old"})
    for _ in range(10):
        publish(rig, gateway, "a-1", *[{"type": "New"}] * 999)
    publish(rig, gateway, "a-1", *[{"type": "New"}] * 9)
    assert ask(rig, gateway, "/hub/streams/a-1/last?type=Old")[2]["position"] == 0
    publish(rig, gateway, "a-1", {"type": "New"})
    status, _, answer = ask(rig, gateway, "/hub/streams/a-1/last?type=Old")
    assert status == 404 and "last 10,000" in answer["detail"]


def test_a_group_and_correlation(rig):
    gateway = hub_gateway(rig)
    names = ["account-123", "account-123+456", "account-1", "account-", "account"]
    live = [Subscriber(rig, gateway, f"/hub/categories/account?member={i}&size=4") for i in range(4)]
    for name in names:
        publish(rig, gateway, name, {"data": 1, "metadata": {"correlationStreamName": f"{name[-1]}x-7"}})
    publish(rig, gateway, "account-123", {"data": "end"})
    publish(rig, gateway, "account-1", {"data": "end"})
    expected = {0: ["account-"], 1: [], 2: ["account-1"], 3: ["account-123", "account-123+456"]}
    for member, streams in expected.items():
        got = [m["stream"] for m in
               ask(rig, gateway, f"/hub/categories/account/messages?member={member}&size=4&batch=100")[2]
               if m["data"] == 1]
        assert got == streams
        assert [json.loads(data)["stream"] for data in live[member].data(len(streams))] == streams
    assert [m["stream"] for m in ask(rig, gateway, "/hub/categories/account/messages?correlation=3x")[2]] == ["account-123"]
    for query in ("member=1", "size=2", "member=2&size=2", "member=-1&size=2", "member=0&size=0"):
        assert ask(rig, gateway, f"/hub/categories/account/messages?{query}")[0] == 400, query


def test_resuming_is_exact(rig):
    gateway = hub_gateway(rig)
    publish(rig, gateway, "a-1", *[{"data": i} for i in range(1000)])
    first = Subscriber(rig, gateway, "/hub/streams/a-1?position=0")
    assert first.head.get("sluice-replay") == "complete"
    events = [first.event() for _ in range(700)]
    assert [event["data"] for event in events] == [str(i) for i in range(700)]
    first.client.close()
    for where in ({"fields": [f"Last-Event-ID: {events[-1]['id']}"]}, {"query": f"?last_event_id={events[-1]['id']}"}):
        again = Subscriber(rig, gateway, "/hub/streams/a-1" + where.get("query", "?position=3"), *where.get("fields", []))
        assert again.head.get("sluice-replay") == "complete"
        assert again.data(300) == [str(i) for i in range(700, 1000)]
    publish(rig, gateway, "a-1", {"data": 1000})
    assert again.data(1) == ["1000"]
    since = ask(rig, gateway, "/hub/streams/a-1/last")[2]["time"]
    assert Subscriber(rig, gateway, f"/hub/streams/a-1?since={since}").data(1) == ["1000"]


def test_a_client_that_has_seen_no_event_resumes_too(rig):
    gateway = hub_gateway(rig)
    publish(rig, gateway, "a-1", {"data": 0})
    early = Subscriber(rig, gateway, "/hub/streams/a-1")
    place = early.block()
    assert place.keys() == {"id"}
    early.client.close()
    publish(rig, gateway, "a-1", {"data": 1})
    again = Subscriber(rig, gateway, "/hub/streams/a-1", f"Last-Event-ID: {place['id']}")
    assert again.data(1) == ["1"]


@pytest.mark.parametrize("wanted", ["id", "forged", "foreign", "position", "beyond"])
def test_what_is_missing_is_said(rig, wanted):
    gateway = hub_gateway(rig, "hub-history-events=10")
    publish(rig, gateway, "a-1", *[{"data": i} for i in range(20)])
    epoch = ask(rig, gateway, "/hub/streams/a-1")[2]["epoch"]
    said, first = {"id": (f"{epoch}.3", 10), "forged": ("%22\\%00", 10), "foreign": ("00000000.12", 10),
                   "position": (3, 10), "beyond": (25, 20)}[wanted]
    asked = f"position={said}" if isinstance(said, int) else f"last_event_id={said}"
    status, head, _ = ask(rig, gateway, f"/hub/subscribe?stream=a-1&{asked}&require=complete")
    assert status == 412 and head.get("sluice-replay") == "gap"
    late = Subscriber(rig, gateway, f"/hub/subscribe?stream=a-1&{asked}")
    assert late.head.get("sluice-replay") == "gap"
    gap = late.event()
    assert gap["event"] == "sluice.gap"
    assert json.loads(gap["data"]) == {"wanted": '"\\\0' if wanted == "forged" else said,
                                       "got": f"{epoch}.{first}", "epoch": epoch}
    publish(rig, gateway, "a-1", {"data": 20})
    assert late.event() == {"id": f"{epoch}.{first}", "data": str(first)}


@pytest.mark.parametrize("slow", ["disconnect", "skip", "coalesce"])
def test_a_slow_subscriber(rig, slow):
    """It costs nobody else anything: its cursor falls out of history, and it is told."""
    gateway = hub_gateway(rig, "hub-history-bytes=1m", "client-sndbuf=4k", "hub-event-size=64k")
    lazy = Subscriber(rig, gateway, f"/hub/categories/a?slow={slow}", rcvbuf=4096)
    quick = Subscriber(rig, gateway, "/hub/categories/a")
    for i in range(60):
        publish(rig, gateway, f"a-{i % 3}", {"type": str(i), "data": "x" * 60_000})
        assert json.loads(quick.event()["data"])["type"] == str(i)
    types = []
    if slow == "disconnect":
        for block in lazy.client.body.rest().split(b"\n\n"):  # a clean end, between two events
            types += [json.loads(line[6:])["type"] for line in block.split(b"\n") if line.startswith(b"data: ")]
        assert types == [str(i) for i in range(len(types))] and len(types) < 50
        assert gateway.metrics().sum("sluice_hub_slow_ended_total") == 1
        return
    while True:
        event = lazy.event()
        if event.get("event") == "sluice.gap":
            break
        types.append(json.loads(event["data"])["type"])
    assert types == [str(i) for i in range(len(types))]
    rest = [json.loads(lazy.event()["data"])["type"]]
    while rest[-1] != "59":
        rest.append(json.loads(lazy.event()["data"])["type"])
    assert rest == (["57", "58", "59"] if slow == "coalesce" else [str(i) for i in range(int(rest[0]), 60)])
    publish(rig, gateway, "a-9", {"type": "60", "data": 1})
    assert json.loads(lazy.event()["data"])["type"] == "60"


def test_expected_version_and_idempotency(rig):
    gateway = hub_gateway(rig)
    assert publish(rig, gateway, "a-1", {"data": 1}, query="?expected_version=0")[0] == 409
    assert publish(rig, gateway, "a-1", {"data": 1}, query="?expected_version=-1")[0] == 201
    assert publish(rig, gateway, "a-1", {"data": 1}, query="?expected_version=-1")[0] == 409
    key = ["Idempotency-Key: k1"]
    first = publish(rig, gateway, "a-1", {"data": 2}, query="?expected_version=0", fields=key)
    again = publish(rig, gateway, "a-1", {"data": 2}, query="?expected_version=0", fields=key)
    assert (first[0], again[0]) == (201, 200)
    assert again[2] == {**first[2], "appended": 0}
    assert publish(rig, gateway, "a-1", {"data": 3}, query="?expected_version=0", fields=key)[0] == 422
    assert publish(rig, gateway, "a-1", {"data": 2}, fields=key)[0] == 422
    assert publish(rig, gateway, "a-1", {"data": 2}, query="?expected_version=-1", fields=key)[0] == 422
    assert publish(rig, gateway, "a-1", {"data": 4, "id": "m"}, {"data": 5, "id": "m"})[2]["appended"] == 1
    assert ask(rig, gateway, "/hub/streams/a-1/version")[2] == {"version": 2}


def test_a_key_stands_for_all_that_is_asked(rig):
    gateway = hub_gateway(rig)

    def say(query="", type="text/plain"):
        return ask(rig, gateway, f"/hub/streams/a-1{query}", f"Content-Type: {type}", "Idempotency-Key: k", method="POST",
                   body=b"{}")[0]

    assert say("?type=A&id=1") == 201
    assert say("?id=1&type=A&ack=memory") == 200  # how it is answered is no part of it
    for query in ("", "?type=A", "?id=1", "?type=A&id=2", "?type=B&id=1", "?type=1&id=A", "?type=A1", "?type=A&id=1&expected_version=0"):
        assert say(query) == 422, query
    assert say(type="application/json") == 422
    assert ask(rig, gateway, "/hub")[2]["events"] == 1


def test_consumers(rig):
    gateway = hub_gateway(rig)
    assert ask(rig, gateway, "/hub/consumers/c")[0] == 404
    assert ask(rig, gateway, "/hub/consumers/c", method="PUT", body=b'{"position": 7}')[0] == 200
    assert ask(rig, gateway, "/hub/consumers/c")[2] == {"consumer": "c", "position": 7}
    for body in (b"", b"7", b'{"position": -1}', b'{"position": "7"}', b'{"place": 7}'):
        assert ask(rig, gateway, "/hub/consumers/c", method="PUT", body=body)[0] == 400
    status, _, answer = ask(rig, gateway, "/hub/consumers/c", method="DELETE")
    assert (status, answer) == (200, {"consumer": "c", "position": 7})
    assert ask(rig, gateway, "/hub/consumers/c")[0] == 404
    assert ask(rig, gateway, "/hub/consumers/c", method="DELETE")[0] == 404


@pytest.mark.parametrize("status, method, target, fields, body", [
    (404, "GET", "/hub/none", [], None),
    (404, "GET", "/hub/streams", [], None),
    (404, "GET", "/hub/streams/a/b", [], None),
    (404, "GET", "/hub/streams/a/messages/x", [], None),
    (405, "DELETE", "/hub/streams/a", [], None),
    (405, "POST", "/hub/categories/a", [JSON], b"{}"),
    (400, "GET", "/hub/streams/a%00b", [], None),
    (400, "GET", "/hub/streams/a%0ab", [], None),
    (400, "GET", "/hub/streams/%ff", [], None),
    (400, "GET", "/hub/streams/%zz", [], None),
    (400, "GET", "/hub/streams/" + "a" * 257, [], None),
    (400, "GET", "/hub/categories/a-1", [], None),
    (400, "GET", "/hub/streams/a/messages?position=-2", [], None),
    (400, "GET", "/hub/streams/a/messages?position=99999999999999999999", [], None),
    (400, "GET", "/hub/streams/a/messages?posision=1", [], None),
    (400, "GET", "/hub/subscribe", [], None),
    (400, "GET", "/hub/subscribe?stream=a&since=yesterday", [], None),
    (400, "GET", "/hub/subscribe?" + "&".join(f"stream=a{i}" for i in range(65)), [], None),
    (400, "POST", "/hub/streams/a", [JSON], b"{"),
    (400, "POST", "/hub/streams/a", [JSON], b"[]"),
    (400, "POST", "/hub/streams/a", [JSON], b'{"datum":1}'),
    (400, "POST", "/hub/streams/a?ack=disk", [JSON], b"{}"),
    (400, "POST", "/hub/streams/a", ["Content-Type: text/plain"], b"\xff"),
    (400, "POST", "/hub/streams/a", [JSON, "Idempotency-Key: " + "k" * 256], b"{}"),
    (413, "POST", "/hub/streams/a", [JSON], b"[" + b"{}," * 1000 + b"{}]"),
])
def test_bad_requests(rig, status, method, target, fields, body):
    gateway = hub_gateway(rig)
    client = rig.client(gateway)
    client.request(method, target, *fields, body=body)
    head, text = client.response()
    assert head.status == status, text
    assert json.loads(text)["status"] == status
    assert ask(rig, gateway, "/hub")[2]["events"] == 0


def test_a_body_that_is_too_large(rig):
    gateway = hub_gateway(rig)
    for size in (70_000, 5 << 20):
        assert ask(rig, gateway, "/hub/streams/a", "Content-Type: text/plain", method="POST", body=b"x" * size)[0] == 413
    event = json.dumps({"data": "x" * 60_000}).encode()
    for body in (b'{"data":"%s"}' % (b"x" * 70_000), b"[" + b",".join([event] * 20) + b"]"):
        assert ask(rig, gateway, "/hub/streams/a", JSON, method="POST", body=body)[0] == 413
    # What is known before need not be sent, nor be waited for.
    client = rig.client(gateway)
    client.send(b"POST /hub/streams/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n")
    assert client.response()[0].status == 413
    assert ask(rig, gateway, "/hub")[2]["events"] == 0


def test_access_and_limits(rig):
    gateway = rig.gateway(None, "--route", "path=/read,hub=h,hub-access=read", "--route",
                          "path=/write,hub=h,hub-access=publish,hub-streams=2,hub-rate=5", "--route",
                          "path=/a,hub=h,hub-streams=2,hub-rate=5")
    assert ask(rig, gateway, "/read/streams/a", JSON, method="POST", body=b"{}")[0] == 403
    assert ask(rig, gateway, "/write/streams/a")[0] == 403
    for stream, status in (("a", 201), ("b", 201), ("c", 403)):
        assert ask(rig, gateway, f"/write/streams/{stream}", JSON, method="POST", body=b"{}")[0] == status
    statuses = [ask(rig, gateway, "/write/streams/a", JSON, method="POST", body=b"{}") for _ in range(10)]
    refused = [head for status, head, _ in statuses if status == 429]
    assert refused and refused[0].get("retry-after") == "1"
    assert ask(rig, gateway, "/read/streams/a/version")[0] == 200


def test_many_streams_of_one_client_are_bounded(rig):
    gateway = hub_gateway(rig, "hub-streams=1000", "hub-history-events=500", "hub-history-bytes=2m")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
    for i in range(3000):
        connection.request("POST", f"/hub/streams/s-{i}", body="{}", headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 201
    connection.close()
    info = ask(rig, gateway, "/hub")[2]
    assert (info["streams"], info["events"], info["globalPosition"]) == (1000, 500, 3000)
    assert gateway.metrics().sum("sluice_hub_bytes") == info["bytes"] <= 2 * MIB
    late = Subscriber(rig, gateway, "/hub/streams/s-1?position=0")
    assert late.head.get("sluice-replay") == "complete"  # the stream is no more: it begins anew


def test_names_of_streams_are_bounded_by_bytes(rig):
    """Each of them costs every worker its name, and its category's."""
    gateway = hub_gateway(rig, "hub-history-bytes=1m", threads="2")
    client = rig.client(gateway)

    def publish_each(names):
        for begin in range(0, len(names), 50):
            part = names[begin:begin + 50]
            client.send(b"".join(b"POST /hub/streams/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n7" % name
                                 for name in part))
            assert {client.response()[0].status for _ in part} == {201}

    publish_each([b"warm-1"] * 2000)
    before = gateway.resident_bytes()
    count = 2000 if sanitized() else 10_000
    publish_each([b"c%06d" % i + b"y" * 120 + b"-" + b"z" * 120 for i in range(count)])
    info = ask(rig, gateway, "/hub")[2]
    assert 100 < info["streams"] < 1000 and info["globalPosition"] == 2000 + count
    wait_until(lambda: gateway.metrics().sum("sluice_hub_bytes") <= MIB, "both have evicted")
    if not sanitized():
        assert gateway.resident_bytes() - before < 5 * MIB  # 15 of names


def test_who_waits_loses_nothing_with_names_that_others_made(rig):
    """Streams and categories that are not there yet, or are forgotten and come again, beside many names."""
    gateway = hub_gateway(rig, "hub-history-bytes=200k", threads="2")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)

    def publish_to(stream):
        connection.request("POST", f"/hub/streams/{stream}", "{}", {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 201

    publish_to("old-1")
    waiting = {target: Subscriber(rig, gateway, f"/hub/{target}") for target in (
        "streams/new-1", "categories/new", "streams/old-1", "categories/old", "streams/old-1?position=0",
        "subscribe?stream=new-1&stream=never-1", "subscribe?category=never&category=old", "streams/new-1?slow=skip")}
    waiting["streams/old-1?position=0"].event()
    for round_number in range(2):
        for i in range(1500):
            publish_to(f"x{round_number}{i}-1")
        assert ask(rig, gateway, "/hub/streams/old-1/version")[2]["version"] == -1, "it is forgotten"
        publish_to("new-1")
        publish_to("old-1")
        for target, subscriber in waiting.items():
            assert "data" in subscriber.event(), target
    metrics = gateway.metrics()
    assert metrics.sum("sluice_hub_slow_ended_total") == metrics.sum("sluice_hub_gaps_total") == 0


def test_cors(rig):
    gateway = hub_gateway(rig, "hub-cors=https://a.example+https://b.example", "hub-cors-credentials=on")
    status, head, _ = ask(rig, gateway, "/hub/streams/a", "Origin: https://b.example", method="OPTIONS")
    assert status == 204 and head.get("access-control-allow-origin") == "https://b.example"
    assert "Last-Event-ID" in head.get("access-control-allow-headers")
    head = ask(rig, gateway, "/hub/streams/a", "Origin: https://b.example")[1]
    assert head.get("access-control-allow-credentials") == "true" and head.get("vary") == "Origin"
    head = ask(rig, gateway, "/hub/streams/a", "Origin: https://evil.example")[1]
    assert "access-control-allow-origin" not in head and head.get("vary") == "Origin"
    # A form of any page may send this without asking before.
    for origin, host, expected in (("https://evil.example", "gateway.test", 403), ("http://gateway.test", "gateway.test", 201),
                                   ("https://a.example", "gateway.test", 201)):
        status, _, _ = ask(rig, gateway, "/hub/streams/a", "Content-Type: text/plain", f"Origin: {origin}",
                           method="POST", body=b"x")
        assert status == expected, origin


def test_a_publisher_that_stalls_or_leaves(rig):
    gateway = hub_gateway(rig, "body-timeout=300ms")
    stalled = rig.client(gateway)
    stalled.send(b"POST /hub/streams/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhalf")
    assert stalled.response()[0].status == 408
    gone = rig.client(gateway)
    gone.send(b"POST /hub/streams/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhalf")
    gone.close()
    gateway.wait_idle()
    assert ask(rig, gateway, "/hub")[2]["events"] == 0


def test_a_body_may_be_cut_anywhere(rig):
    gateway = hub_gateway(rig)
    body = '{"type":"é","data":{"a":"\\u00e9","b":[1,2]},"id":"%d"}'
    size = len(body.encode())
    for cut in range(size):
        whole = (body % cut).encode()
        client = rig.client(gateway)
        head = f"POST /hub/streams/a HTTP/1.1\r\nHost: x\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        client.send(head + b"%x\r\n" % max(cut, 1) + whole[:max(cut, 1)] + b"\r\n")
        rest = whole[max(cut, 1):]
        client.send(b"%x\r\n" % len(rest) + rest + b"\r\n0\r\n\r\n")
        assert client.response()[0].status == 201
        client.close()
    messages = ask(rig, gateway, "/hub/streams/a/messages")[2]
    assert [m["id"] for m in messages] == [str(i) for i in range(size)]
    assert {json.dumps([m["type"], m["data"]]) for m in messages} == {json.dumps(["é", {"a": "é", "b": [1, 2]}])}


def test_a_body_that_waits_to_be_asked_for(rig):
    gateway = hub_gateway(rig)
    client = rig.client(gateway)
    client.send(b"POST /hub/streams/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert client.read_head().status == 100
    client.send(b"x")
    assert client.response()[0].status == 201
    client.send(b"POST /hub/none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert client.response()[0].status == 404


def test_keep_alive_and_pipelining(rig):
    gateway = hub_gateway(rig)
    client = rig.client(gateway)
    request = b"POST /hub/streams/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n"
    client.send(b"".join(request + b"%d" % i for i in range(10)) + b"GET /hub/streams/a/version HTTP/1.1\r\nHost: x\r\n\r\n")
    for i in range(10):
        assert json.loads(client.response()[1])["position"] == i
    assert json.loads(client.response()[1]) == {"version": 9}


def test_http2_and_compression(rig):
    gateway = hub_gateway(rig, "compress=gzip")
    publish(rig, gateway, "a-1", *[{"data": i} for i in range(500)])
    curl = ["curl", "-sSN", "--http2-prior-knowledge", "--compressed", "-m", "20"]
    subscriber = subprocess.Popen([*curl, f"{gateway.url}/hub/subscribe?stream=a-1&position=0"], stdout=subprocess.PIPE)
    got = b""
    while b"data: 499\n\n" not in got:
        got += subscriber.stdout.read1()
    posted = subprocess.run([*curl, "-H", JSON, "-d", '{"data":500}', f"{gateway.url}/hub/streams/a-1"], capture_output=True)
    assert json.loads(posted.stdout)["position"] == 500
    while b"data: 500\n\n" not in got:
        got += subscriber.stdout.read1()
    assert re.findall(rb"data: (\d+)\n\n", got) == [b"%d" % i for i in range(501)]
    subscriber.kill()
    subscriber.wait()
    subscriber.stdout.close()


def test_heartbeats_and_filters_work_as_for_upstreams(rig, tmp_path):
    config = tmp_path / "sluice.toml"
    config.write_text('[[filter]]\nname = "pin"\nactions = [ { redact = "[0-9]{4}", with = "****" } ]\n'
                      '[[route]]\npath = "/hub"\nhub = "main"\nheartbeat = "50ms"\nfilters = ["pin"]\n')
    gateway = rig.gateway(None, "--config", str(config))
    quiet = Subscriber(rig, gateway, "/hub/streams/a")
    wait_until(lambda: gateway.metrics().sum("sluice_heartbeats_total") >= 3, "heartbeats")
    publish(rig, gateway, "a", {"data": {"pin": "1234"}})
    blocks = []
    while not blocks or b"data: " not in blocks[-1]:
        blocks.append(quiet.client.body.event())
    assert b'"****"' in blocks[-1] and b"1234" not in blocks[-1]
    assert blocks.count(b": heartbeat\n\n") >= 3
    assert len(blocks) == blocks.count(b": heartbeat\n\n") + 1


def test_a_reload_keeps_hubs_and_subscribers(rig, tmp_path):
    config = tmp_path / "sluice.toml"
    route = '[[route]]\npath = "/hub"\nhub = "main"\n'
    config.write_text(route)
    gateway = rig.gateway(None, "--config", str(config))
    publish(rig, gateway, "a-1", {"data": 1})
    live = Subscriber(rig, gateway, "/hub/streams/a-1?position=0")
    assert live.data(1) == ["1"]
    config.write_text(route + 'hub-history-events = 1\n\n[[route]]\npath = "/more"\nhub = "more"\n')
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: ask(rig, gateway, "/more")[0] == 200, gateway.errors)
    publish(rig, gateway, "a-1", {"data": 2})
    assert live.data(1) == ["2"]
    assert ask(rig, gateway, "/hub")[2]["events"] == 1


def test_a_drain_asks_subscribers_to_come_back_later(rig):
    gateway = hub_gateway(rig)
    publish(rig, gateway, "a", {"data": 1})
    live = [Subscriber(rig, gateway, "/hub/streams/a?position=0") for _ in range(5)]
    assert [one.data(1) for one in live] == [["1"]] * 5
    gateway.signal(signal.SIGTERM)
    waits = [int(one.block()["retry"]) for one in live]
    for one in live:
        assert one.client.body.rest() == b""
    assert all(1000 <= wait <= 10_000 for wait in waits) and len(set(waits)) > 1
    assert gateway.wait_exit() == 0


def test_a_gap_is_told_with_the_first_event_that_follows(rig):
    gateway = hub_gateway(rig, "hub-history-events=3")
    for stream in ("a-1", "a-1", "b-1", "b-1", "a-1"):
        publish(rig, gateway, stream, {"data": 1})
    category = Subscriber(rig, gateway, "/hub/categories/a?position=1")
    gap = category.event()
    assert gap["event"] == "sluice.gap"
    first = category.event()
    assert json.loads(gap["data"])["got"] == first["id"]
    assert json.loads(first["data"])["globalPosition"] == 5
    # Of those that are wanted: nothing is held, so it is the next one.
    none = Subscriber(rig, gateway, "/hub/categories/a?position=1&correlation=x")
    assert json.loads(none.event()["data"])["got"].endswith(".6")


@pytest.mark.parametrize("settings", [(), ("dialect=openai",), ("dialect=anthropic", "gate=content"), ("usage=on",)])
def test_a_dialect_is_none_of_a_hubs(rig, settings):
    """A hub may relay a model's events. They begin and end nothing here."""
    gateway = hub_gateway(rig, *settings)
    chunk = '{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}'
    sent = [chunk, "[DONE]", "behind it", chunk, "[DONE]"]
    live = Subscriber(rig, gateway, "/hub/streams/a")
    for data in sent[:3]:
        ask(rig, gateway, "/hub/streams/a", "Content-Type: text/plain", method="POST", body=data.encode())
    assert live.data(3) == sent[:3]
    again = Subscriber(rig, gateway, "/hub/streams/a?position=0")
    assert again.data(3) == sent[:3]
    for data in sent[3:]:
        ask(rig, gateway, "/hub/streams/a", "Content-Type: text/plain", method="POST", body=data.encode())
    assert live.data(2) == again.data(2) == sent[3:]
    unfinished = Subscriber(rig, gateway, "/hub/streams/a?position=3")
    assert unfinished.data(1) == [chunk]
    gateway.signal(signal.SIGTERM)
    for one in (live, again, unfinished):
        while "retry" not in (block := one.block()):
            assert block["data"] == "[DONE]"
        assert one.client.body.rest() == b""
    assert gateway.wait_exit() == 0


def test_presence(rig):
    gateway = hub_gateway(rig, threads="2")
    live = [Subscriber(rig, gateway, "/hub/streams/a-1") for _ in range(8)]
    assert ask(rig, gateway, "/hub/streams/a-1")[2]["subscribers"] == 8
    assert ask(rig, gateway, "/hub/categories/a")[2]["subscribers"] == 0
    live[0].client.close()
    wait_until(lambda: ask(rig, gateway, "/hub/streams/a-1")[2]["subscribers"] == 7, "seven")
    assert gateway.metrics().sum("sluice_hub_subscribers", hub="main") == 7


def test_several_workers_share_one_hub(rig):
    """Publishers and subscribers on all of them: each subscriber sees each stream whole and in order,
    whenever it came, and those of a category see one order."""
    gateway = hub_gateway(rig, threads="4")
    publishers, each = 8, 150
    early = [Subscriber(rig, gateway, "/hub/categories/a?position=1") for _ in range(6)]
    answers = [[] for _ in range(publishers)]

    def run(number):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
        for i in range(each):
            connection.request("POST", f"/hub/streams/a-{number % 4}", body=f"{number}.{i}",
                               headers={"Content-Type": "text/plain"})
            answers[number].append(json.loads(connection.getresponse().read())["globalPosition"])
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(publishers)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers[0]) > each // 3, "a part")
    late = [Subscriber(rig, gateway, "/hub/categories/a?position=1") for _ in range(6)]
    single = [Subscriber(rig, gateway, f"/hub/streams/a-{i}?position=0") for i in range(4)]
    for thread in threads:
        thread.join()
    assert sorted(sum(answers, [])) == list(range(1, publishers * each + 1))
    assert all(sorted(one) == one for one in answers)
    orders = [[json.loads(data) for data in one.data(publishers * each)] for one in early + late]
    assert all(order == orders[0] for order in orders)
    assert [message["globalPosition"] for message in orders[0]] == list(range(1, publishers * each + 1))
    for i, one in enumerate(single):
        events = [one.event() for _ in range(publishers * each // 4)]
        assert [int(event["id"].split(".")[1]) for event in events] == list(range(len(events)))
        assert [event["data"] for event in events] == [m["data"] for m in orders[0] if m["stream"] == f"a-{i}"]
    # Whatever worker it comes to, a client reads what it has been told of, and resumes.
    for _ in range(50):
        position = publish(rig, gateway, "b-1", {"data": 1})[2]["position"]
        assert ask(rig, gateway, "/hub/streams/b-1/version")[2] == {"version": position}
        epoch = ask(rig, gateway, "/hub/streams/b-1")[2]["epoch"]
        back = Subscriber(rig, gateway, "/hub/streams/b-1", f"Last-Event-ID: {epoch}.{position}")
        assert back.head.get("sluice-replay") == "complete"
        back.client.close()
    key = ["Idempotency-Key: once"]
    assert sorted(publish(rig, gateway, "b-1", {"data": 2}, fields=key)[0] for _ in range(8)) == [200] * 7 + [201]


def test_a_stream_leaves_room_for_others(rig):
    gateway = hub_gateway(rig, "hub-stream-bytes=16k")
    publish(rig, gateway, "quiet-1", {"data": 1})
    for i in range(20):
        publish(rig, gateway, "busy-1", {"data": f"{i:04}" + "x" * 3000})
    kept = ask(rig, gateway, "/hub/streams/busy-1/messages")[2]
    assert [message["position"] for message in kept] == [18, 19]
    assert len(ask(rig, gateway, "/hub/streams/quiet-1/messages")[2]) == 1
    late = Subscriber(rig, gateway, "/hub/streams/busy-1?position=0")
    assert late.event()["event"] == "sluice.gap" and late.data(1)[0].startswith('"0018')


@pytest.mark.parametrize("limits, events", [(("hub-history-events=20", "hub-streams=40"), 20),
                                            (("hub-history-bytes=64k",), 68)])
def test_all_workers_evict_and_forget_the_same(rig, limits, events):
    gateway = hub_gateway(rig, *limits, "hub-stream-events=3", threads="4")
    for i in range(60):
        assert publish(rig, gateway, f"s-{i}", *[{"data": 1}] * 5)[0] == 201
        assert publish(rig, gateway, "s-0", {"data": 2})[0] == 201
    publish(rig, gateway, "end", *[{"data": 3}] * 2)

    def facts_of_all():  # an eviction may be on its way yet
        facts = [ask(rig, gateway, "/hub")[2] for _ in range(30)]
        return facts[0] if all(one == facts[0] for one in facts) else None

    facts = wait_until(facts_of_all, "all workers have the same log")
    assert facts["globalPosition"] == 362 and facts["events"] <= events and facts["streams"] <= 40


def test_node_eventsource_resumes_through_a_hub(rig):
    if not (NODE / "node_modules" / ".package-lock.json").exists():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE, check=True,
                       capture_output=True, timeout=200)
    gateway = hub_gateway(rig)
    publish(rig, gateway, "counter", *[{"data": i} for i in range(10)])
    node = subprocess.Popen(["node", "eventsource_hub.js", f"{gateway.url}/hub/streams/counter?position=0", "30", "7"],
                            cwd=NODE, stdout=subprocess.PIPE, text=True)
    gateway.wait_metric("sluice_hub_delivered_events_total", 10)
    wait_until(lambda: gateway.metrics().sum("sluice_hub_subscribers") == 0, "it has cut its connection")
    publish(rig, gateway, "counter", *[{"data": i} for i in range(10, 20)])
    gateway.wait_metric("sluice_hub_delivered_events_total", 20)
    publish(rig, gateway, "counter", *[{"data": i} for i in range(20, 30)])
    seen = json.loads(node.communicate(timeout=60)[0])
    assert node.returncode == 0
    assert seen == {"data": [str(i) for i in range(30)], "connections": 2}
