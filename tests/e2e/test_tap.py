"""GET /tap on the admin port: a live copy of the events that clients get, within bounds, and only
where the operator allows it."""

import json

import pytest

from harness import wait_until
from harness.client import Client

FILTER = """
[[filter]]
name = "redact"
actions = [ { set = "/secret", value = "*" } ]
"""


def event(i):
    return b"id: %d\ndata: %d\n\n" % (i, i)


def watch(rig, gateway, query, **options):
    """A response of /tap, whose head has come."""
    watcher = Client(gateway.admin_port, **options)
    rig.clients.append(watcher)
    watcher.send(f"GET /tap?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    watcher.head = watcher.read_head()
    return watcher


def problem(gateway, query):
    response, text = gateway.admin("/tap?" + query)
    return response.status, json.loads(text)["detail"]


def stream(rig, *flags, **options):
    client, server = rig.stream("--tap", "on", *flags, **options)
    gateway = rig.gateways[-1]
    return client, server, gateway, gateway.streams()[0]["id"]


def told(kind, **data):
    return (b"event: sluice.tap.%b\ndata: " % kind.encode()
            + json.dumps(data, separators=(",", ":")).encode() + b"\n\n")


def test_off_unless_it_is_asked_for(rig):
    rig.stream()
    status, detail = problem(rig.gateways[0], "stream=%d" % rig.gateways[0].streams()[0]["id"])
    assert status == 403
    assert "--tap on" in detail


def test_a_stream_is_watched_to_its_end(rig):
    client, server, gateway, number = stream(rig)
    server.chunk(event(1))
    assert client.body.event() == event(1)
    watcher = watch(rig, gateway, f"stream={number}")
    assert watcher.head.get("content-type") == "text/event-stream"
    assert gateway.metrics().sum("sluice_taps") == 1
    for i in range(2, 10):
        server.chunk(event(i)[:7])
        server.chunk(event(i)[7:])
        assert watcher.body.read(len(event(i))) == event(i)
        assert client.body.event() == event(i)
    server.end_chunks()
    assert client.body.rest() == b""
    assert watcher.body.rest() == told("end", stream=number, ending="complete")
    wait_until(lambda: gateway.metrics().sum("sluice_taps") == 0, "the tap is gone")
    assert gateway.metrics().sum("sluice_tapped_bytes_total") == sum(len(event(i)) for i in range(2, 10))


def test_what_filters_make_of_it(rig, tmp_path):
    file = tmp_path / "sluice.toml"
    file.write_text(FILTER)
    client, server, gateway, number = stream(rig, "--config", str(file), "--filters", "redact")
    watcher = watch(rig, gateway, f"stream={number}")
    server.chunk(event(1) + b'data: {"secret":1}\n\n' + event(2))
    expected = event(1) + b'data: {"secret":"*"}\n\n' + event(2)
    assert client.body.read(len(expected)) == expected
    assert watcher.body.read(len(expected)) == expected


def test_packed_streams_are_shown_plain(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--tap", "on", "--compress", "gzip")
    client = rig.client(gateway)
    client.get("/events", "Accept-Encoding: gzip")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert client.read_head().get("content-encoding") == "gzip"
    watcher = watch(rig, gateway, "stream=%d" % gateway.streams()[0]["id"])
    server.chunk(event(1))
    assert watcher.body.read(len(event(1))) == event(1)


def test_a_route_of_several_streams(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--tap", "on", "--threads", "2")
    watcher = watch(rig, gateway, "route=%2F")
    ends = []
    for i in range(3):
        client = rig.client(gateway)
        client.get("/events")
        server = upstream.accept()
        server.read_request()
        server.start_events()
        client.read_head()
        ends.append((client, server, max(s["id"] for s in gateway.streams() if s["id"] not in [e[2] for e in ends])))
    for client, server, number in ends:
        server.chunk(event(1))
        expected = told("stream", stream=number) + event(1)
        assert watcher.body.read(len(expected)) == expected
        server.chunk(event(2))
        assert watcher.body.read(len(event(2))) == event(2)
    for client, server, number in ends:
        server.end_chunks()
        client.body.rest()
        expected = told("end", stream=number, ending="complete")
        assert watcher.body.read(len(expected)) == expected
    watcher.close()
    wait_until(lambda: gateway.metrics().sum("sluice_taps") == 0, "the tap is gone")


def test_a_part_of_the_streams(rig):
    """As many as are asked for, about; each of them as a whole."""
    def serve(server, request):
        server.start_events()
        server.chunk(event(1))
        server.chunk(event(2))
        server.end_chunks()

    gateway = rig.gateway(rig.upstream(serve), "--tap", "on")
    watcher = watch(rig, gateway, "route=/&sample=0.5")
    client = rig.client(gateway)
    for _ in range(100):
        client.get("/events")
        assert client.response()[1] == event(1) + event(2)
    drawn = gateway.metrics().sum("sluice_tapped_bytes_total") / len(event(1) + event(2))
    assert 25 < drawn < 75
    shown = []
    while shown.count(b"event: sluice.tap.end") < drawn:
        shown.append(watcher.body.event().split(b"\n")[0])
    kinds = [b"event: sluice.tap.stream", b"id: 1", b"id: 2", b"event: sluice.tap.end"]
    assert shown == kinds * int(drawn)


def test_several_taps_see_the_same(rig):
    client, server, gateway, number = stream(rig)
    watchers = [watch(rig, gateway, f"stream={number}") for _ in range(8)]
    assert problem(gateway, f"stream={number}")[0] == 503
    server.chunk(event(1))
    for watcher in watchers:
        assert watcher.body.read(len(event(1))) == event(1)
    for watcher in watchers:
        watcher.close()
    wait_until(lambda: gateway.metrics().sum("sluice_taps") == 0, "the taps are gone")
    wait_until(lambda: watch(rig, gateway, f"stream={number}").head.status == 200, "there is room again")


def test_a_slow_watcher_costs_nobody_but_itself(rig):
    client, server, gateway, number = stream(rig)
    watcher = watch(rig, gateway, f"stream={number}", rcvbuf=4096)
    large = b"data: " + b"x" * 10_000 + b"\n\n"
    sent = 0
    while gateway.metrics().sum("sluice_tap_dropped_events_total") < 10:
        for _ in range(100):
            server.chunk(large)
            assert client.body.read(len(large)) == large
        sent += 100
    server.end_chunks()
    assert client.body.rest() == b""
    shown = dropped = 0
    for block in watcher.body.rest().split(b"\n\n")[:-1]:
        if block == large[:-2]:
            shown += 1
        elif block.startswith(b"event: sluice.tap.dropped"):
            dropped += json.loads(block.split(b"data: ")[1])["events"]
    assert shown + dropped == sent
    assert dropped == gateway.metrics().sum("sluice_tap_dropped_events_total")


def test_events_that_are_cut_through_are_not_shown(rig):
    client, server, gateway, number = stream(rig, "--event-hold", "8k")
    watcher = watch(rig, gateway, f"stream={number}")
    long = b"data: " + b"x" * 20_000 + b"\n\n"
    for part in (event(1), long[:9000], long[9000:] + event(2)):
        server.chunk(part)
    expected = event(1) + long + event(2)
    assert client.body.read(len(expected)) == expected
    expected = event(1) + told("dropped", events=1) + event(2)
    assert watcher.body.read(len(expected)) == expected


@pytest.mark.parametrize("query, status", [
    ("", 400), ("stream=x", 400), ("stream=1&route=/", 400), ("route=/&sample=0", 400), ("route=/&sample=2", 400),
    ("route=/&sample=nan", 400), ("stream=0", 400), ("stream=1024", 404), ("stream=1023", 404),
    ("stream=18446744073709551615", 404), ("route=/nothing", 404), ("route=%zz", 400)])
def test_what_there_is_none_of(rig, query, status):
    gateway = rig.gateway(rig.upstream(), "--tap", "on")
    assert problem(gateway, query)[0] == status
    assert gateway.metrics().sum("sluice_taps") == 0


def test_a_response_that_is_no_event_stream(rig):
    client, server = rig.exchange("--tap", "on")
    gateway = rig.gateways[0]
    number = gateway.streams()[0]["id"]
    watcher = watch(rig, gateway, f"stream={number}")  # its head has yet to come
    server.send_head("Content-Type: text/plain", "Content-Length: 4")
    client.read_head()
    assert problem(gateway, f"stream={number}")[0] == 409
    server.send(b"text")
    assert client.body.rest() == b"text"
    assert watcher.body.rest() == told("end", stream=number, ending="complete")


def test_a_watched_client_that_leaves(rig):
    client, server, gateway, number = stream(rig)
    watcher = watch(rig, gateway, f"stream={number}")
    server.chunk(event(1))
    assert watcher.body.read(len(event(1))) == event(1)
    client.close()
    assert watcher.body.rest() == told("end", stream=number, ending="client_left")


def test_a_reload_ends_taps(rig, tmp_path):
    file = tmp_path / "sluice.toml"
    file.write_text('tap = "on"\n')
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--config", str(file))
    watcher = watch(rig, gateway, "route=/")
    assert watcher.head.status == 200
    file.write_text('tap = "off"\n')
    assert gateway.admin("/reload", method="POST")[0].status == 200
    assert watcher.body.rest() == b""


def test_the_end_of_the_process_ends_taps(rig):
    client, server, gateway, number = stream(rig)
    watcher = watch(rig, gateway, f"stream={number}")
    client.close()
    watcher.body.rest()
    watcher = watch(rig, gateway, "route=/")
    gateway.stop()
    watcher.wait_closed()


def test_the_admin_page_shows_a_stream(rig, browser):
    client, server, gateway, number = stream(rig)
    browser.open(f"http://127.0.0.1:{gateway.admin_port}/")
    button = f"document.querySelector('button[data-stream=\"{number}\"]')"
    wait_until(lambda: browser.run(f"return {button} !== null"), "the stream's button", 30)
    browser.run(f"{button}.click()")
    gateway.wait_metric("sluice_taps", 1)
    for i in range(1, 4):
        server.chunk(b"data: <b>%d</b> \xc3\xa9\n\n" % i)
    shown = "return document.getElementById('watched-events').textContent"
    wait_until(lambda: "<b>3</b> \u00e9" in browser.run(shown), "three events in the page", 30)
    assert browser.run(shown) == "".join(f"data: <b>{i}</b> \u00e9\n\n" for i in range(1, 4))
    browser.run("document.getElementById('close-watched').click()")
    wait_until(lambda: gateway.metrics().sum("sluice_taps") == 0, "the tap is gone", 30)
    browser.open("about:blank")


def test_the_admin_page_says_that_taps_are_off(rig, browser):
    rig.stream()
    gateway = rig.gateways[0]
    browser.open(f"http://127.0.0.1:{gateway.admin_port}/")
    wait_until(lambda: browser.run("return document.querySelector('button[data-stream]') !== null"), "a button", 30)
    browser.run("document.querySelector('button[data-stream]').click()")
    wait_until(lambda: "--tap on" in browser.run("return document.getElementById('watched-events').textContent"),
               "the reason", 30)
    browser.open("about:blank")


ROLE = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
HI = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hi"}}]}\n\n'
ERROR = b'data: {"error":'


@pytest.mark.parametrize("beside", ["nothing", "usage", "filter"])
def test_what_a_gate_has_held_and_our_own_error_are_shown_once(rig, tmp_path, beside):
    config = tmp_path / "sluice.toml"
    config.write_text('[[filter]]\nname = "none"\nmatch = { json = { pointer = "/secret", exists = true } }\nactions = [ { drop = true } ]\n')
    flags = {"nothing": [], "usage": ["--usage", "on"],
             "filter": ["--config", str(config), "--filters", "none"]}[beside]
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--tap", "on", "--gate", "content", "--gate-time", "60s", *flags)
    watcher = watch(rig, gateway, "route=/")
    client = rig.client(gateway)
    client.request("POST", "/v1/chat/completions", "Content-Type: application/json", body=b'{"stream":true}')
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(ROLE + ROLE)
    server.chunk(HI)
    client.read_head()
    for one in (ROLE, ROLE, HI):
        assert client.body.event() == one
    server.close()
    error = client.body.until_abort()
    assert error.startswith(ERROR)
    shown = []
    while not shown or not shown[-1].startswith(b"event: sluice.tap.end"):
        event = watcher.body.event()
        if not event.startswith(b"event: sluice.tap.stream"):
            shown.append(event)
    assert shown[:-1] == [ROLE, ROLE, HI, error]
