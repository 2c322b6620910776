"""A hub's events in content codings: in gzip each is compressed once, however many subscribers read it, wherever
they join, and whatever else comes between."""

import json
import re
import signal
import subprocess
import zlib

import pytest

from harness.hub import ask, read_until
from harness.wire import DEADLINE_S, wait_until
from test_node_clients import NODE, node_for

SUBSCRIBE = "Accept: text/event-stream"


def start(rig, *settings, compress="gzip,zstd,br", threads="1", upstream=None):
    route = ",".join(["path=/hub", "hub=main", *settings])
    return rig.gateway(upstream, "--compress", compress, "--route", route, "--threads", threads)


def delta(i):
    return {"type": "chunk", "data": {"id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx", "object": "chat.completion.chunk",
            "created": 1732000000, "model": "gpt-4o-mini-2024-07-18", "choices": [
                {"index": 0, "delta": {"content": f" word{i}"}, "logprobs": None, "finish_reason": None}]}}


def publish(gateway, stream, *numbers):
    status, answer = ask(gateway, f"/hub/streams/{stream}", "POST", json.dumps([delta(i) for i in numbers]),
                         Content_Type="application/json")
    assert status == 201, answer


class Gzipped:
    """A subscriber that reads gzip, as far as each chunk allows."""

    def __init__(self, rig, gateway, target, *fields, accept="gzip"):
        self.client = rig.client(gateway)
        self.client.get(target, SUBSCRIBE, f"Accept-Encoding: {accept}", *fields)
        self.head = self.client.read_head()
        assert self.head.all("content-encoding") == ["gzip"]
        self.decoder = zlib.decompressobj(31)
        self.text = ""
        self.wire_bytes = 0

    def read_through(self, text):
        while text not in self.text:
            chunk = self.client.body.chunk()
            assert chunk is not None, self.text
            self.wire_bytes += len(chunk)
            self.text += self.decoder.decompress(chunk).decode()

    def read_to_end(self):
        while (chunk := self.client.body.chunk()) is not None:
            self.text += self.decoder.decompress(chunk).decode()

    def words(self):
        return [int(number) for number in re.findall(r'" word(\d+)"', self.text)]


def follow(gateway, target, coding, *options):
    return subprocess.Popen(["curl", "-sSN", "--compressed", "-H", f"Accept-Encoding: {coding}", "-H", SUBSCRIBE,
                             *options, gateway.url + target], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def leave(process):
    process.kill()
    return process.communicate(timeout=DEADLINE_S)


def coded(gateway):
    return gateway.metrics().sum("sluice_hub_coded_events_total")


def test_two_hundred_subscribers_cost_one_compression_an_event(rig):
    gateway = start(rig)
    subscribers = [Gzipped(rig, gateway, "/hub/streams/a-1") for _ in range(200)]
    for i in range(10):
        publish(gateway, "a-1", i)
        for one in subscribers:
            one.read_through(f" word{i}\"")
            assert one.words() == list(range(i + 1))
    metrics = gateway.metrics()
    assert metrics.sum("sluice_hub_coded_events_total") == 10
    assert metrics.sum("sluice_hub_delivered_events_total") == 2000
    assert metrics.sum("sluice_encoder_state_bytes") == 0
    assert metrics.sum("sluice_encoded_bodies_total", coding="gzip") == 200
    plain = metrics.sum("sluice_encoded_plain_bytes_total", coding="gzip")
    assert plain == sum(len(one.text) for one in subscribers)
    assert 0 < metrics.sum("sluice_encoded_bytes_total", coding="gzip") < plain / 2


def test_workers_share_what_one_has_made(rig):
    """Two that need it in the same moment may both make it."""
    gateway = start(rig, threads="2")
    subscribers = [Gzipped(rig, gateway, "/hub/categories/a") for _ in range(40)]
    for i in range(20):
        publish(gateway, "a-1", i)
    for one in subscribers:
        one.read_through(" word19\"")
        assert one.words() == list(range(20))
    assert 20 <= coded(gateway) <= 40


def test_a_packed_reader_is_shown_as_a_plain_one(rig):
    gateway = start(rig)
    plain = rig.client(gateway)
    plain.get("/hub/streams/a-1", SUBSCRIBE)
    plain.read_head()
    packed = Gzipped(rig, gateway, "/hub/streams/a-1")
    publish(gateway, "a-1", 0, 1, 2)
    packed.read_through(' word2"')
    one, other = [{key: stream[key] for key in ("state", "events", "bytes")} for stream in gateway.streams()]
    assert one == other == {"state": "streaming", "events": 3, "bytes": len(packed.text)}


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_curl_reads_each_event_at_once(rig, coding, version):
    gateway = start(rig)
    curl = follow(gateway, "/hub/streams/a-1", coding, version, "-D", "-")
    got = read_until(curl, b"\r\n\r\n").decode()
    assert f"content-encoding: {coding}\r\n" in got.lower()
    assert "vary: accept-encoding\r\n" in got.lower()
    for i in range(20):
        publish(gateway, "a-1", i)
        got += read_until(curl, f" word{i}\"".encode()).decode()
    assert re.findall(r'" word(\d+)"', got) == [str(i) for i in range(20)]
    assert coded(gateway) == (20 if coding == "gzip" else 0)
    leave(curl)


def test_subscribers_of_all_codings_read_the_same(rig):
    gateway = start(rig)
    publish(gateway, "a-1", *range(5))
    targets = ["/hub/streams/a-1?position=0", "/hub/categories/a?position=1", "/hub/categories/a?position=1&mode=poke",
               "/hub/subscribe?stream=a-1&category=b&position=1", "/hub/categories/a?position=1&member=0&size=1"]
    codings = ["identity", "gzip", "zstd", "br"]
    all_of_them = {(target, coding): follow(gateway, target, coding) for target in targets for coding in codings}
    gateway.wait_metric("sluice_hub_subscribers", len(all_of_them))
    for i in range(5, 30):
        publish(gateway, "a-1", i)
    last = {target: b'"globalPosition":30}\n\n' if "poke" in target else b" word29\"" for target in targets}
    texts = {key: read_until(curl, last[key[0]]).decode() for key, curl in all_of_them.items()}
    for (target, coding), text in texts.items():
        end = last[target].decode()
        of_all = texts[target, "identity"]
        assert text[:text.index(end)] == of_all[:of_all.index(end)], (target, coding)
    for curl in all_of_them.values():
        leave(curl)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_heartbeats_stand_between(rig, coding):
    gateway = start(rig, "heartbeat=20ms")
    curls = [follow(gateway, "/hub/streams/a-1", coding) for _ in range(3)]
    gateway.wait_metric("sluice_hub_subscribers", 3)
    texts = [""] * 3
    for i in range(10):
        beats = gateway.metrics().sum("sluice_heartbeats_total")
        wait_until(lambda: gateway.metrics().sum("sluice_heartbeats_total") >= beats + 3, "heartbeats")
        publish(gateway, "a-1", i)
        texts = [text + read_until(curl, f" word{i}\"".encode()).decode() for text, curl in zip(texts, curls)]
    for text in texts:
        assert re.findall(r'" word(\d+)"', text) == [str(i) for i in range(10)]
        assert text.count(": heartbeat\n\n") >= 5
    for curl in curls:
        leave(curl)


def test_joins_where_others_are_and_ends_cleanly(rig):
    gateway = start(rig, "hub-history-events=8")
    first = Gzipped(rig, gateway, "/hub/streams/a-1")
    for i in range(10):
        publish(gateway, "a-1", i)
        first.read_through(f" word{i}\"")
    later = Gzipped(rig, gateway, "/hub/streams/a-1?position=5")
    behind_gap = Gzipped(rig, gateway, "/hub/streams/a-1?position=0")
    publish(gateway, "a-1", *range(10, 15))
    gateway.signal(signal.SIGTERM)
    for one, begin in ((first, 0), (later, 5), (behind_gap, 2)):
        one.read_to_end()
        assert one.words() == list(range(begin, 15))
        assert "retry: " in one.text
        assert one.decoder.eof and not one.decoder.unused_data, "its check sum and length are right"
    assert "event: sluice.gap" in behind_gap.text
    assert gateway.wait_exit() == 0


def test_what_is_cut_has_no_end(rig):
    gateway = start(rig)
    one = Gzipped(rig, gateway, "/hub/streams/a-1")
    publish(gateway, "a-1", 1)
    one.read_through(" word1\"")
    gateway.kill()
    rig.gateways.remove(gateway)
    one.client.body.until_abort()
    assert not one.decoder.eof


def test_history_of_a_store_is_packed_too(rig, tmp_path):
    gateway = start(rig, f"hub-store=sqlite:{tmp_path / 'hub.db'}", "hub-history-events=10")
    for begin in range(0, 1000, 100):
        publish(gateway, "a-1", *range(begin, begin + 100))
    curl = follow(gateway, "/hub/streams/a-1?position=earliest", "gzip")
    got = read_until(curl, b" word999\"").decode()
    publish(gateway, "a-1", 1000)
    got += read_until(curl, b" word1000\"").decode()
    assert re.findall(r'" word(\d+)"', got) == [str(i) for i in range(1001)]
    metrics = gateway.metrics()
    assert metrics.sum("sluice_hub_store_pages_total") > 0
    assert metrics.sum("sluice_encoder_state_bytes") == 0
    plain = metrics.sum("sluice_encoded_plain_bytes_total", coding="gzip")
    assert metrics.sum("sluice_encoded_bytes_total", coding="gzip") < plain / 3
    leave(curl)


@pytest.mark.parametrize("coding", ["zstd", "br"])
def test_other_codings_have_an_encoder_for_each(rig, coding):
    gateway = start(rig, compress=coding)
    curl = follow(gateway, "/hub/streams/a-1", coding)
    gateway.wait_metric("sluice_encoder_states", 1, coding=coding)
    publish(gateway, "a-1", 1)
    read_until(curl, b" word1\"")
    assert coded(gateway) == 0
    leave(curl)


def test_weights_and_methods_count_as_elsewhere(rig):
    gateway = start(rig)
    Gzipped(rig, gateway, "/hub/streams/a-1", accept="gzip;q=0.9, zstd;q=0.5, br;q=0")
    plain = rig.client(gateway)
    plain.get("/hub/streams/a-1", SUBSCRIBE, "Accept-Encoding: gzip", "Cache-Control: no-transform")
    assert "content-encoding" not in plain.read_head()
    head = rig.client(gateway)
    head.request("HEAD", "/hub/streams/a-1", SUBSCRIBE, "Accept-Encoding: gzip")
    answer = head.read_head(to_head=True)
    assert answer.all("vary") == ["Accept-Encoding"] and "content-encoding" not in answer
    assert gateway.metrics().sum("sluice_hub_subscribers") == 2


def test_forms_count_towards_the_history(rig):
    gateway = start(rig)
    publish(gateway, "a-1", *range(100))
    before = ask(gateway, "/hub")[1]["bytes"]
    one = Gzipped(rig, gateway, "/hub/streams/a-1?position=0")
    one.read_through(" word99\"")
    with_forms = ask(gateway, "/hub")[1]["bytes"]
    assert with_forms - before > 100 * 80
    assert gateway.metrics().sum("sluice_hub_bytes") == with_forms


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_nodes_fetch_reads_each_event_at_once(rig, coding):
    node = node_for(coding)
    gateway = start(rig)
    publish(gateway, "a-1", 100)
    process = subprocess.Popen([node, NODE / "fetch.js", f"{gateway.url}/hub/subscribe?stream=a-1", coding],
                               stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == f"{coding}\n"
        assert process.stdout.readline().startswith("id: ")
        for i in range(20):  # each before the next one is sent
            publish(gateway, "a-1", i)
            while f" word{i}\"" not in (line := process.stdout.readline()):
                assert line, "it has ended"
        gateway.signal(signal.SIGTERM)
        assert process.stdout.read().endswith("end\n")
    assert process.returncode == 0
    assert gateway.wait_exit() == 0


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_eventsource_in_a_browser(rig, browser, coding):
    def page(server, request):
        server.respond(b"<!doctype html><title>x</title>", "Content-Type: text/html")

    gateway = start(rig, compress=coding, upstream=rig.upstream(page))
    browser.open(gateway.url + "/")
    browser.run("window.seen = []; window.mine = new EventSource('/hub/streams/a-1');"
                "window.mine.addEventListener('chunk', event => seen.push(JSON.parse(event.data).choices[0].delta.content));")
    gateway.wait_metric("sluice_hub_subscribers", 1)
    for i in range(10):
        publish(gateway, "a-1", i)
        wait_until(lambda: browser.run("return seen.length") == i + 1, f"event {i}", 30)
    assert browser.run("return seen") == [f" word{i}" for i in range(10)]
    assert coded(gateway) == (10 if coding == "gzip" else 0)
    browser.open("about:blank")
