"""A hub's subscribers as they are used: browsers, Node's eventsource and curl, over each protocol,
whose connections are cut on their way; and what a route's filters and codings make of its events."""

import json
import pathlib
import re
import subprocess

import pytest

from harness.cutter import Cutter
from harness.hub import read_until
from harness.wire import DEADLINE_S, wait_until

NODE = pathlib.Path(__file__).parent / "node"
JSON = "Content-Type: application/json"
ROUTE = "path=/hub,hub=main"
ACCEPT = "Accept: text/event-stream"


def publish(rig, gateway, stream, *events):
    client = rig.client(gateway)
    client.request("POST", f"/hub/streams/{stream}", JSON, body=json.dumps(events).encode())
    head, answer = client.response()
    assert head.status == 201, answer
    client.close()


def count(rig, gateway, *numbers):
    for number in numbers:
        publish(rig, gateway, "counter", {"data": number})


def subscribers(gateway):
    return gateway.metrics().sum("sluice_hub_subscribers")


def test_two_windows_share_the_demos_counter(rig, browser):
    def hub():
        return browser.run("return window.sluiceDemo.hub")

    def sees(value):
        wait_until(lambda: hub()["value"] == value, f"this window is at {value}", 30)
        seen = hub()
        assert (seen["received"], seen["wrong"], seen["gaps"]) == (value, 0, 0)

    gateway = rig.gateway(None, "--demo")
    with Cutter(gateway.port) as way:
        first = browser.window()
        browser.open(f"http://127.0.0.1:{way.port}/#hub")
        second = browser.new_window()
        browser.open(f"http://127.0.0.1:{way.port}/#hub")
        wait_until(lambda: subscribers(gateway) == 2, "both windows subscribe", 30)
        for value in (1, 2, 3):
            browser.run("document.getElementById('hub-count').click()")
            sees(value)
        browser.switch_to(first)
        sees(3)
        browser.run("document.getElementById('hub-count').click()")
        sees(4)
        with way.cut():
            wait_until(lambda: subscribers(gateway) == 0, "neither is connected")
            count(rig, gateway, 5, 6, 7)
        for window in (first, second):
            browser.switch_to(window)
            sees(7)
            assert hub()["reconnects"] == 1
        browser.run("document.getElementById('hub-cut').click()")
        count(rig, gateway, 8)
        sees(8)
        assert hub()["published"] == 3
        for window in (first, second):  # leaves its streams: the gateway must be idle again
            browser.switch_to(window)
            browser.open("about:blank")


def test_eventsource_in_a_browser_comes_back_by_id(rig, browser):
    """As above without the page's own code."""
    gateway = rig.gateway(None, "--demo")
    count(rig, gateway, *range(10))
    with Cutter(gateway.port) as way:
        browser.open(f"http://127.0.0.1:{way.port}/")
        browser.run("window.sluiceDemo.stopEvents(); window.seen = [];"
                    "window.mine = new EventSource('/hub/categories/counter?position=1');"
                    "window.mine.onmessage = event => seen.push([event.lastEventId, JSON.parse(event.data).data]);")
        for cuts in range(1, 4):
            have = 10 * cuts
            wait_until(lambda: browser.run("return seen.length") == have, f"{have} events", 30)
            with way.cut():
                wait_until(lambda: subscribers(gateway) == 0, "it is not connected")
                count(rig, gateway, *range(have, have + 10))
        wait_until(lambda: browser.run("return seen.length") == 40, "all events", 30)
        seen = browser.run("return seen")
        assert [data for _, data in seen] == list(range(40))
        assert [int(event_id.split(".")[1]) for event_id, _ in seen] == list(range(1, 41))
        browser.open("about:blank")


def test_node_eventsource_comes_back_by_id(rig):
    if not (NODE / "node_modules" / ".package-lock.json").exists():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE, check=True,
                       capture_output=True, timeout=200)
    gateway = rig.gateway(None, "--route", ROUTE)
    count(rig, gateway, *range(10))
    with Cutter(gateway.port) as way:
        url = f"http://127.0.0.1:{way.port}/hub/streams/counter?position=0"
        node = subprocess.Popen(["node", "eventsource_hub.js", url, "30", "0"], cwd=NODE, stdout=subprocess.PIPE, text=True)
        for have in (10, 20):
            gateway.wait_metric("sluice_hub_delivered_events_total", have)
            with way.cut():
                wait_until(lambda: subscribers(gateway) == 0, "it is not connected")
                count(rig, gateway, *range(have, have + 10))
        seen = json.loads(node.communicate(timeout=60)[0])
        assert node.returncode == 0
    # What was on its way when it was cut has come again, and nothing else.
    assert seen == {"data": [str(i) for i in range(30)], "connections": 3}


@pytest.fixture(params=["http1", "tls", "http2", "http2-tls"])
def curl(request, rig, pki):
    """A gateway, the way to it, and curl over one protocol: curl(target, *options) is a process."""
    tls = "tls" in request.param
    listen = ["--listen", "https://127.0.0.1:0", *pki.flags()] if tls else []
    gateway = rig.gateway(None, "--route", ROUTE, *listen)
    version = "--http1.1" if "http1" in request.param or request.param == "tls" else \
        "--http2" if tls else "--http2-prior-knowledge"
    with Cutter(gateway.port) as way:
        origin = f"{'https' if tls else 'http'}://localhost:{way.port}"

        def run(target, *options):
            return subprocess.Popen(["curl", "-sSN", version, "--cacert", pki.ca, *options, origin + target],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run.gateway, run.way, run.protocol = gateway, way, request.param
        yield run


def finish(process):
    rest, errors = process.communicate(timeout=DEADLINE_S)
    return rest, errors


def test_curl_subscribes_is_cut_and_resumes(curl):
    def post(*numbers):
        body = json.dumps([{"data": number} for number in numbers])
        answer, errors = finish(curl("/hub/streams/a", "-H", JSON, "-d", body))
        assert json.loads(answer)["position"] == numbers[-1], errors

    post(0, 1, 2)
    first = curl("/hub/streams/a?position=0", "-H", ACCEPT)
    got = read_until(first, b"data: 2\n\n")
    post(3)
    got += read_until(first, b"data: 3\n\n")
    with curl.way.cut():
        assert finish(first)[0] == b""
    assert first.returncode != 0, "it sees that this was no end"
    post(4, 5)
    last = re.findall(rb"^id: (.+)$", got, re.M)[-1].decode()
    again = curl("/hub/streams/a?position=0", "-H", ACCEPT, "-H", f"Last-Event-ID: {last}", "-D", "-")
    rest = read_until(again, b"data: 5\n\n")
    assert b"sluice-replay: complete" in rest.lower()
    post(6)
    rest += read_until(again, b"data: 6\n\n")
    assert re.findall(rb"^data: (\d)$", got + rest, re.M) == [b"%d" % i for i in range(7)]
    again.kill()
    finish(again)
    version = "http2" if "http2" in curl.protocol else "http1"
    metrics = curl.gateway.metrics()
    assert metrics.sum("sluice_client_protocols_total", protocol=version) == \
        metrics.sum("sluice_client_protocols_total")


FILTERS = """
[[filter]]
name = "pings"
match = { event = "ping" }
actions = [ { drop = true } ]

[[filter]]
name = "secrets"
match = { json = { pointer = "/secret" } }
actions = [ { remove = "/secret" } ]

[[filter]]
name = "mail"
actions = [ { redact = '[a-z]+@[a-z.]+', with = "[mail]" } ]

[[filter]]
name = "hello"
match = { data = '"first"' }
actions = [ { add-before = { event = "hello", data = "1" } } ]

[[route]]
path = "/hub"
hub = "main"

[[route]]
path = "/public"
hub = "main"
hub-access = "read"
filters = ["pings", "secrets", "mail", "hello"]
compress = "zstd,gzip,br"
"""
PUBLISHED = [{"data": {"n": 0, "secret": 1}}, {"type": "ping", "data": {}}, {"data": "ann@example.org"},
             {"type": "ping", "data": {}}, {"data": "first"}]


@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])
def test_filters_and_codings_of_a_route_apply_to_its_subscribers(rig, tmp_path, coding):
    """Another route of the same hub shows all. What comes live is seen at once, event by event."""
    config = tmp_path / "sluice.toml"
    config.write_text(FILTERS)
    gateway = rig.gateway(None, "--config", str(config))

    def follow(target, *options):
        return subprocess.Popen(["curl", "-sSN", "-H", ACCEPT, *options, gateway.url + target], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    for event in PUBLISHED:
        publish(rig, gateway, "a-1", event)
    packed = ["--compressed", "-H", f"Accept-Encoding: {coding}"]
    public = follow("/public/streams/a-1?position=0", "-D", "-", *packed)
    got = read_until(public, b'data: "first"\n\n')
    for i in range(10):
        publish(rig, gateway, "a-1", {"type": "ping", "data": i})
        publish(rig, gateway, "a-1", {"data": {"live": i, "secret": 2}})
        got += read_until(public, b'"live": %d' % i)
    head, _, body = got.decode().partition("\r\n\r\n")
    assert ("content-encoding: " + coding in head.lower()) == (coding != "identity")
    blocks = [block for block in body.split("\n\n") if "data:" in block]
    assert blocks[2].split("\n") == ["event: hello", "data: 1"]
    data = [line for block in blocks for line in block.split("\n") if line.startswith("data: ")]
    assert data == ['data: {"n": 0}', 'data: "[mail]"', "data: 1", 'data: "first"',
                    *(f'data: {{"live": {i}}}' for i in range(10))]
    assert [line for line in re.findall(r"^id: \w+\.(\d+)$", body, re.M)] == \
        ["0", "2", "4", *(str(i) for i in range(6, 26, 2))]
    public.kill()
    finish(public)
    everything = follow("/hub/streams/a-1?position=0")
    all_of_it = read_until(everything, b'"live": 9')
    assert all_of_it.count(b"event: ping") == 12 and b"ann@example.org" in all_of_it
    everything.kill()
    finish(everything)
