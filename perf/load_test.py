#!/usr/bin/env python3
"""Proves that perf/load sees what a bad gateway does: each test puts a stand-in between origin and
load that harms one stream in one way, and looks for that harm in load's report.

Usage: load_test.py ORIGIN LOAD   (the two executables)
"""

import gzip
import http.client
import http.server
import json
import subprocess
import sys
import threading
import unittest

ORIGIN, LOAD = sys.argv[1:3]
TARGET = "/stream?rate=0&size=200&count=50"
WITH_IDS = TARGET + "&ids=on"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def drop(events):
    return events[:20] + events[21:]


def drop_last(events):
    return events[:-1]


def duplicate(events):
    return events[:21] + events[20:]


def reorder(events):
    return events[:20] + [events[21], events[20]] + events[22:]


def tear(events):
    return events[:20] + [events[20][:100] + b"\n\n" + events[20][100:]] + events[21:]


def join(events):
    return events[:20] + [events[20][:-1] + events[21]] + events[22:]


def alter(events):
    return events[:20] + [events[20][:150] + b"!" + events[20][151:]] + events[21:]


def alter_id(events):
    return events[:20] + [events[20].replace(b"id: 10000000020\n", b"id: 10000000021\n")] + events[21:]


def take_id(events):
    return events[:20] + [events[20].partition(b"\n")[2]] + events[21:]


def heartbeat(events):
    return events[:20] + [b": heartbeat\n\n"] + events[20:]


def heartbeat_inside(events):
    return events[:20] + [events[20][:100] + b": heartbeat\n\n" + events[20][100:]] + events[21:]


def mix(events):
    """Another stream's event in place of one's own."""
    other = b"data: 0000ffff" + events[20][14:]
    return events[:20] + [other] + events[21:]


def split_chunks(events):
    return chunk(b"".join(events[:20]) + events[20][:50]) + chunk(
        events[20][50:] + b"".join(events[21:]))


class StandIn(http.server.ThreadingHTTPServer):
    """A gateway that fetches the whole stream, harms it and sends it on."""

    daemon_threads = True

    def __init__(self, origin_port, harm, framed=False, complete=True, pack=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.origin_port, self.harm, self.framed, self.complete, self.pack = (
            origin_port, harm, framed, complete, pack)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.origin_port)
        upstream.request("GET", self.path)
        try:
            body = upstream.getresponse().read()
        except http.client.IncompleteRead as partial:
            body = partial.partial
        upstream.close()
        events = [event + b"\n\n" for event in body.split(b"\n\n")[:-1]]
        harmed = self.server.harm(events)
        if self.server.pack:
            harmed = [self.server.pack(b"".join(harmed))]
        out = harmed if self.server.framed else b"".join(chunk(event) for event in harmed)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        if self.server.pack:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(out + (b"0\r\n\r\n" if self.server.complete else b""))
        self.close_connection = not self.server.complete

    def log_message(self, *_):
        pass


class LoadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = subprocess.Popen([ORIGIN, "--listen", "127.0.0.1:0"],
                                      stderr=subprocess.PIPE, text=True)
        cls.origin_port = int(cls.origin.stderr.readline().rsplit(":", 1)[1])

    @classmethod
    def tearDownClass(cls):
        cls.origin.terminate()
        cls.origin.communicate(timeout=10)

    def load(self, port, *flags, target=TARGET):
        done = subprocess.run(
            [LOAD, "--connect", f"127.0.0.1:{port}", "--target", target, "--connections", "1",
             "--duration", "20s", "--quiet", "--json", "-", *flags],
            capture_output=True, text=True, timeout=60, check=False)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if report["passed"] else 1, done.stderr)
        return report

    def through(self, harm, *flags, target=TARGET, **how):
        server = StandIn(self.origin_port, harm, **how)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            return self.load(server.server_address[1], *flags, target=target)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def assert_wrong(self, report, **wanted):
        self.assertFalse(report["passed"], report)
        kinds = ("lost", "duplicated", "reordered", "torn", "bad")
        self.assertEqual({kind: report[kind] for kind in kinds if report[kind]}, wanted)

    def test_direct_is_clean(self):
        for target in (TARGET, WITH_IDS, "/stream?rate=500&count=50&burst=3", "/llm?deltas=10&every=1"):
            with self.subTest(target=target):
                report = self.load(self.origin_port, target=target)
                self.assertTrue(report["passed"], report)
                self.assertEqual(report["events"], 11 if "llm" in target else 50)
                self.assertEqual(report["streams_clean"], 1)
                self.assertEqual(report["split"], 0)

    def test_faithful_gateway_is_clean(self):
        report = self.through(lambda events: events)
        self.assertTrue(report["passed"], report)

    def test_lost(self):
        self.assert_wrong(self.through(drop), lost=1)

    def test_lost_at_the_end(self):
        self.assert_wrong(self.through(drop_last), lost=1)

    def test_done_lost(self):
        self.assert_wrong(self.through(drop_last, target="/llm?deltas=10&every=0"), lost=1)

    def test_duplicated(self):
        self.assert_wrong(self.through(duplicate), duplicated=1)

    def test_reordered(self):
        self.assert_wrong(self.through(reorder), reordered=1)

    def test_torn(self):
        self.assert_wrong(self.through(tear), torn=2, lost=1)

    def test_joined(self):
        self.assert_wrong(self.through(join), torn=1, lost=2)

    def test_altered(self):
        self.assert_wrong(self.through(alter), bad=1, lost=1)

    def test_of_another_stream(self):
        self.assert_wrong(self.through(mix), bad=1, lost=1)

    def test_another_id(self):
        self.assert_wrong(self.through(alter_id, target=WITH_IDS), bad=1, lost=1)

    def test_no_id(self):
        self.assert_wrong(self.through(take_id, target=WITH_IDS), torn=1, lost=1)

    def test_origin_goes_on_behind_the_last_id(self):
        events = self.ask(WITH_IDS)[1]
        for last, status, left in ((10000000019, 200, 30), (10000000048, 200, 1),
                                   (10000000049, 204, 0), (7, 200, 50)):
            with self.subTest(last=last):
                found, body = self.ask(WITH_IDS, {"Last-Event-ID": str(last)})
                self.assertEqual((found, body.count(b"\n\n")), (status, left))
                self.assertEqual(self.without_times(body), self.without_times(events)[50 - left:])
        # An upstream without ids begins anew.
        body = self.ask(TARGET, {"Last-Event-ID": "10000000019"})[1]
        self.assertEqual(body.count(b"\n\n"), 50)

    def ask(self, target, fields=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.origin_port, timeout=60)
        connection.request("GET", target, headers=dict(fields))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    @staticmethod
    def without_times(body):
        """What is left of each event, for comparison."""
        return [event[:40] + event[56:] for event in body.split(b"\n\n")[:-1]]

    def test_stalls(self):
        target = "/stream?rate=200&size=200&count=5"
        stalls = self.load(self.origin_port, "--stalls", "0us", target=target)["stalls"]
        self.assertEqual(len(stalls), 4)
        for before, after in zip(stalls, stalls[1:]):
            self.assertEqual((after[0], after[1]), (1, before[2]))
        report = self.load(self.origin_port, "--stalls", "1m", target=target)
        self.assertEqual(report["stalls"], [])
        self.assertNotIn("stalls", self.load(self.origin_port, target=target))

    def test_heartbeat_between_events_is_clean(self):
        report = self.through(heartbeat)
        self.assertTrue(report["passed"], report)
        self.assertEqual(report["heartbeats"], 1)

    def test_heartbeat_inside_an_event(self):
        self.assert_wrong(self.through(heartbeat_inside), torn=2, lost=1)

    def test_split_chunks_are_counted_and_wrong_on_demand(self):
        report = self.through(split_chunks, framed=True)
        self.assertTrue(report["passed"], report)
        self.assertEqual(report["split"], 1)
        report = self.through(split_chunks, "--whole", framed=True)
        self.assert_wrong(report)
        self.assertEqual(report["split"], 1)

    def test_aborted(self):
        report = self.through(lambda events: events, complete=False)
        self.assert_wrong(report)
        self.assertEqual(report["streams_aborted"], 1)

    def test_abort_of_the_origin_passed_on(self):
        report = self.through(lambda events: events, target=TARGET + "&end=truncate",
                              complete=False)
        self.assertTrue(report["passed"], report)
        self.assertEqual(report["streams_aborted_rightly"], 1)

    def test_truncation_made_to_look_complete(self):
        report = self.through(lambda events: events, target=TARGET + "&end=truncate")
        self.assert_wrong(report)
        self.assertEqual(report["streams_ended_wrongly"], 1)

    def test_packed(self):
        report = self.through(lambda events: events, "--accept-encoding", "gzip", pack=gzip.compress)
        self.assertTrue(report["passed"], report)
        self.assertEqual(report["events"], 50)
        self.assertLess(report["body_bytes"], report["event_bytes"])

    def test_harm_within_a_packed_body(self):
        self.assert_wrong(self.through(alter, "--accept-encoding", "gzip", pack=gzip.compress), bad=1, lost=1)

    def test_a_packed_body_without_its_end(self):
        report = self.through(lambda events: events, "--accept-encoding", "gzip",
                              pack=lambda body: gzip.compress(body)[:-4])
        self.assertFalse(report["passed"], report)
        self.assertEqual(report["streams_aborted"], 1)

    def test_what_is_no_packing(self):
        report = self.through(lambda events: events, "--accept-encoding", "gzip", pack=lambda body: body)
        self.assertFalse(report["passed"], report)

    def test_an_answer_that_is_not_packed(self):
        report = self.through(lambda events: events, "--accept-encoding", "gzip")
        self.assertFalse(report["passed"], report)
        self.assertEqual(report["streams_plain"], 1)

    def test_nothing_came(self):
        report = self.through(lambda events: [], "--duration", "2s",
                              target="/stream?rate=0&size=200&count=1")
        self.assert_wrong(report, lost=1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
