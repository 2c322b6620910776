#!/usr/bin/env python3
"""Proves that perf/fanout sees what a bad hub does, and that perf/hub works: a stand-in for a hub
harms what one subscriber gets in one way; then the script itself with a few subscribers.

Usage: hub_test.py [TEST...]   (SLUICE_BUILD: where it was built, default build/release; 30 s)
"""

import http.server
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
import unittest

PERF = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", PERF.parent / "build/release")).resolve()
DEADLINE_S = 60
ERRORS = ("lost", "repeated", "bad", "missing", "refused", "closed")


class Hub(http.server.ThreadingHTTPServer):
    """Passes what is published to all subscribers, and to the first one what `harm` makes of event number N."""

    daemon_threads = True

    def __init__(self, harm):
        super().__init__(("127.0.0.1", 0), Handler)
        self.harm, self.lock, self.subscribers, self.published = harm, threading.Lock(), [], 0

    def subscribe(self):
        with self.lock:
            self.subscribers.append(queue.SimpleQueue())
            return self.subscribers[-1]

    def publish(self, stream, data):
        """The number of the event."""
        with self.lock:
            number, self.published = self.published, self.published + 1
            if stream:  # a poke of poke-N; one stream, so that its positions are those of the hub
                data = b'{"stream":"%b","position":%d,"globalPosition":%d}' % (stream, number, number + 1)
            event = b"id: %d\ndata: %b\n\n" % (number, data)
            for i, subscriber in enumerate(self.subscribers):
                for each in self.harm(number, event) if i == 0 else [event]:
                    subscriber.put(each)
            return number


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        events = self.server.subscribe()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b": hi\n\nid: 0\n\n")
        while event := events.get():
            self.wfile.write(event)
        self.close_connection = True

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        stream = self.path.removeprefix("/publish").lstrip("/").encode()
        number = self.server.publish(stream, data)
        self.send_response(500 if self.server.harm(number, None) == "refuse" else 201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def at_20(change):
    return lambda number, event: change(event) if number == 20 and event else [event]


class FanoutTest(unittest.TestCase):
    def fanout(self, harm, *flags):
        hub = Hub(harm)
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,))
        thread.start()
        try:
            done = subprocess.run(
                [BUILD / "perf/fanout", "--connect", f"127.0.0.1:{hub.server_address[1]}", "--subscribe", "/subscribe",
                 "--publish", "/publish", "--subscribers", "3", "--settle", "0ms", "--warmup", "0ms", "--rate", "200",
                 "--duration", "500ms", "--drain", "300ms", *flags],
                capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        finally:
            for subscriber in hub.subscribers:
                subscriber.put(b"")
            hub.shutdown()
            thread.join()
            hub.server_close()
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if report["passed"] else 1, done.stderr)
        return report

    def assert_wrong(self, report, **wanted):
        self.assertEqual({kind: report[kind] for kind in ERRORS if report[kind]}, wanted)
        self.assertEqual(report["passed"], not wanted)

    def test_a_faithful_hub(self):
        report = self.fanout(at_20(lambda event: [event]))
        self.assert_wrong(report)
        self.assertEqual(report["deliveries"], 3 * report["published"])
        self.assertGreater(report["latency_ns"]["count"], 0)

    def test_as_fast_as_it_answers(self):
        self.assert_wrong(self.fanout(at_20(lambda event: [event]), "--rate", "0"))

    def test_an_event_is_lost(self):
        self.assert_wrong(self.fanout(at_20(lambda event: [])), lost=1)

    def test_the_last_events_are_lost(self):
        report = self.fanout(lambda number, event: [event] if number < 20 else [])
        self.assert_wrong(report, missing=report["published"] - 20)

    def test_an_event_comes_twice(self):
        self.assert_wrong(self.fanout(at_20(lambda event: [event, event])), repeated=1)

    def test_an_event_is_altered(self):
        report = self.fanout(at_20(lambda event: [event[:-4] + b"!" + event[-3:]]))
        self.assert_wrong(report, bad=1, lost=1)

    def test_an_event_is_cut(self):
        report = self.fanout(at_20(lambda event: [event[:100] + b"\n\n" + event[100:]]))
        self.assert_wrong(report, bad=1, lost=1)

    def test_a_publisher_is_refused(self):
        report = self.fanout(lambda number, event: [event] if event else "refuse" if number == 20 else "")
        self.assertEqual(report["refused"], 1)
        self.assertFalse(report["passed"])

    def test_pokes(self):
        flags = "--pokes", "--publish", "/publish/poke-{}"
        self.assert_wrong(self.fanout(at_20(lambda event: [event]), *flags))
        self.assert_wrong(self.fanout(at_20(lambda event: []), *flags), lost=1)
        changed = at_20(lambda event: [re.sub(rb'"position":\d+', b'"position":7000', event)])
        self.assert_wrong(self.fanout(changed, *flags), bad=1, lost=1)

    def test_a_group_misses_one(self):
        report = self.fanout(at_20(lambda event: []), "--pokes", "--publish", "/publish/poke-{}", "--subscribers", "0",
                             "--groups", "1", "--members", "1")
        self.assert_wrong(report, missing=1)


class HubTest(unittest.TestCase):
    def test_quick(self):
        with tempfile.TemporaryDirectory() as folder:
            record, picture = pathlib.Path(folder) / "hub.json", pathlib.Path(folder) / "hub.svg"
            done = subprocess.run([PERF / "hub", "--quick", "--hubs", "sluice", "--build", BUILD, "--json", record, "--plot",
                                   picture], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            runs = json.loads(record.read_text())["measurements"]
            self.assertEqual(set(runs), {"1k", "1k-max-2w", "pokes"})
            for of_hub in runs.values():
                self.assertGreater(of_hub["sluice"][0]["deliveries_per_s"], 0)
                self.assertEqual(of_hub["sluice"][0]["errors"], {})
            self.assertIn("us/delivery", picture.read_text())


if __name__ == "__main__":
    unittest.main()
