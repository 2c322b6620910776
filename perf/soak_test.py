#!/usr/bin/env python3
"""Proves that perf/soak's verdict can fail: recorded soaks with one thing wrong, and real ones with
a relay that harms events, a client that never leaves, a sluice that leaks and one that dies.

Usage: soak_test.py [TEST...]   (SLUICE_BUILD: where it was built, default build/release; 3 min)
"""

import copy
import http.client
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PERF = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(PERF))
sys.dont_write_bytecode = True

from harness import gauges, verdict  # noqa: E402
from harness.faults import Cycle, Fault, Mark  # noqa: E402
from harness.mix import MIX  # noqa: E402
from harness.recovery import recoveries  # noqa: E402
from harness.rig import Shift  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", PERF.parent / "build/release")).resolve()
DEADLINE_S = 120
REPORT = dict.fromkeys((*verdict.EVENTS, "split", "streams_aborted", "streams_ended_wrongly",
                        "streams_refused", "connect_failures"), 0)
LEAK = """
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void* leak(void*) {
  sigset_t all;  // are for sluice's own threads
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (;; usleep(100000)) {
    memset(malloc(100000), 1, 100000);
    if (open("/dev/null", O_RDONLY) < 0) return nullptr;
  }
}
__attribute__((constructor)) static void start() {
  pthread_t thread;
  pthread_create(&thread, nullptr, leak, nullptr);
}
"""
# A load whose connections go through a relay: the steady one's, and one event of each harm.
HARMFUL_LOAD = """#!/usr/bin/env python3
import os, re, signal, socket, subprocess, sys, threading
load, arguments = {load!r}, sys.argv[1:]
if "/stream?rate=20&size=220" not in arguments:
    os.execv(load, [load, *arguments])
EVENT = re.compile(rb"dc\\r\\ndata: [^\\n]*\\n\\n\\r\\n")
HARMS = [
    lambda one: b"",
    lambda one: one + one,
    lambda one: one[:100] + b"!" + one[101:],
    lambda one: b"64\\r\\n" + one[4:104] + b"\\r\\n78\\r\\n" + one[104:],
]
at = arguments.index("--connect") + 1
host, port = arguments[at].split(":")
listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
arguments[at] = "127.0.0.1:%d" % listener.getsockname()[1]
def relay(client, harm):
    server = socket.create_connection((host, int(port)))
    server.sendall(client.recv(65536))
    seen = 0
    while data := server.recv(65536):
        seen += 1
        if harm and seen > 20 and EVENT.fullmatch(data):
            data, harm = harm(data), None
        client.sendall(data)
def accept():
    harms = iter(HARMS)
    while True:
        client = listener.accept()[0]
        threading.Thread(target=relay, args=(client, next(harms, None)), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
child = subprocess.Popen([load, *arguments])
while child.poll() is None:
    try:
        child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
os._exit(child.returncode)
"""


def good_record():
    """What judge() is given after a soak in which all was well."""
    marks = [Mark("stop", 10, 14), Mark("kill", 30, 32), Mark("leave", 50, 51)]
    shifts = []
    for load in MIX:
        report = {**REPORT, "events": 1000, "streams_aborted_rightly": 0}
        if load.fragile:
            report |= {"streams_aborted": load.connections, "streams_refused": 40}
        if load.ending != "clean":
            report["streams_aborted_rightly"] = 50
        shifts.append(Shift(load, None, 0, 60, report))
    at_rest = dict.fromkeys(("fds", *gauges.AT_REST), 5)
    samples = [{**at_rest, "at_s": float(second), "rss": 30 << 20,
                "refused": 0 if second < 31 else 100} for second in range(60)]
    listing = [{"target": "/stream?rate=20&size=220&id=1", "age_ms": 60_000, "events": 1190},
               {"target": "/stream?rate=0&size=220&id=2", "age_ms": 60_000, "events": 3},
               {"target": "/llm?deltas=64&every=20&id=3", "age_ms": 900, "events": 45}]
    return {"shifts": shifts, "marks": marks, "samples": samples, "baseline": at_rest,
            "rest": {**at_rest, "stale_completions": 0}, "listing": listing, "exit_status": 0}


class Judged(unittest.TestCase):
    """One thing is wrong, and the verdict says that and nothing else."""

    def setUp(self):
        self.record = copy.deepcopy(good_record())

    def wrong(self):
        return {finding.what: finding.value for finding in verdict.judge(**self.record)
                if not finding.right}

    def report(self, name):
        return next(shift.report for shift in self.record["shifts"] if shift.load.name == name)

    def test_all_is_well(self):
        self.assertEqual(self.wrong(), {})

    def test_events(self):
        for what in (*verdict.EVENTS, "split"):
            with self.subTest(what=what):
                self.report("llm")[what] = 1
                self.assertEqual(self.wrong(), {what: "1"})
                self.report("llm")[what] = 0

    def test_a_large_event_may_be_split(self):
        self.report("large")["split"] = 1
        self.assertEqual(self.wrong(), {})

    def test_a_cut_stream_ended_well(self):
        self.report("reset")["streams_ended_wrongly"] = 1
        self.assertEqual(self.wrong(), {"ended wrongly": "1"})

    def test_the_tail_of_a_truncated_stream(self):
        self.report("truncate")["events"] -= 1
        self.assertEqual(self.wrong(), {"cut tails": "1"})

    def test_a_sturdy_stream_was_cut(self):
        self.report("steady")["streams_aborted"] = 1
        self.assertEqual(self.wrong(), {"cut without cause": "1"})

    def test_more_streams_were_cut_than_were_there(self):
        self.report("llm")["streams_aborted"] += 1
        self.assertEqual(self.wrong(), {"cut without cause": "1"})

    def test_a_sturdy_request_was_refused(self):
        self.report("chat")["streams_refused"] = 1
        self.assertEqual(self.wrong(), {"refused without cause": "1"})

    def test_a_request_was_refused_while_the_origin_was_stopped(self):
        for each in self.record["samples"][12:]:
            each["refused"] += 3
        self.assertEqual(self.wrong(), {"refused without cause": "3"})

    def test_no_connection(self):
        self.report("new")["connect_failures"] = 1
        self.assertEqual(self.wrong(), {"failed connects": "1"})

    def test_a_load_that_saw_nothing(self):
        self.report("idle")["events"] = 0
        self.assertEqual(self.wrong(), {"loads without events": "1"})

    def test_a_stream_is_stuck(self):
        for stream in (0, 2):
            with self.subTest(stream=stream):
                listing = copy.deepcopy(self.record["listing"])
                self.record["listing"][stream] |= {"age_ms": 70_000, "events": 64}
                self.assertEqual(self.wrong(), {"stuck streams": "1"})
                self.record["listing"] = listing

    def test_something_is_left(self):
        for key in ("fds", *gauges.AT_REST):
            with self.subTest(key=key):
                self.record["rest"][key] += 1
                self.assertEqual(list(self.wrong().values()), ["1"])
                self.record["rest"][key] -= 1

    def test_a_stale_completion(self):
        self.record["rest"]["stale_completions"] = 1
        self.assertEqual(self.wrong(), {"stale completions": "1"})

    def test_memory_grows_all_the_time(self):
        for each in self.record["samples"]:
            each["rss"] += int(each["at_s"]) * 100_000
        self.assertEqual(set(self.wrong()), {"RSS slope", "RSS growth"})

    def test_a_region_of_slots_came_and_went(self):
        for each in self.record["samples"][57:59]:
            each["rss"] += 4 << 20
        self.assertEqual(self.wrong(), {})

    def test_memory_grew_before_the_second_half(self):
        for each in self.record["samples"][28:]:
            each["rss"] += 3 << 20
        self.assertEqual(set(self.wrong()), {"RSS growth"})

    def test_the_exit_status(self):
        for status in (1, None):
            self.record["exit_status"] = status
            self.assertEqual(self.wrong(), {"exit status": str(status)})


class Faults(unittest.TestCase):
    def test_each_in_turn_and_none_at_the_end(self):
        done = []
        faults = [Fault(name, "", 4, lambda name=name: done.append(f"{name} begins"),
                        lambda name=name: done.append(f"{name} ends")) for name in "ab"]
        cycle = Cycle(faults, quiet_s=5, until_s=40)
        for second in range(40):
            cycle.step(second)
        self.assertEqual([(mark.name, mark.begun_s, mark.ended_s) for mark in cycle.marks],
                         [("a", 5, 9), ("b", 14, 18), ("a", 23, 27)])
        self.assertEqual(done, ["a begins", "a ends", "b begins", "b ends", "a begins", "a ends"])
        self.assertIsNone(cycle.under_way)


class Recovered(unittest.TestCase):
    @staticmethod
    def samples(rates):
        events = 0
        taken = [{"at_s": 0.0, "events": 0}]
        for second, rate in enumerate(rates, 1):
            events += rate
            taken.append({"at_s": float(second), "events": events})
        return taken

    def test_when_events_flow_as_before(self):
        samples = self.samples([100] * 10 + [0] * 4 + [50, 89, 90] + [100] * 3)
        self.assertEqual(recoveries([Mark("stop", 10, 14)], samples), {"stop": [3.0]})

    def test_not_before_the_next_fault(self):
        samples = self.samples([100] * 10 + [0] * 10 + [100] * 10)
        marks = [Mark("kill", 10, 12), Mark("stop", 18, 20)]
        self.assertEqual(recoveries(marks, samples), {"kill": [None], "stop": [None]})


class Soaked(unittest.TestCase):
    """Short soaks of the real thing, each with something in the way."""

    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def program(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def start(self, *flags, minutes=0.2):
        soak = subprocess.Popen([PERF / "soak", "--build", BUILD, "--minutes", str(minutes), *flags],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, soak)
        return soak

    @staticmethod
    def end(soak):
        if soak.poll() is None:
            soak.terminate()
        soak.communicate(timeout=DEADLINE_S)

    def outcome(self, soak):
        """(exit status, {what was wrong: the number}, all that was printed)."""
        out, errors = soak.communicate(timeout=DEADLINE_S)
        wrong = {line[:32].strip(): line[32:].split()[0] for line in out.splitlines()
                 if line.endswith("<-- WRONG")}
        return soak.returncode, wrong, out + errors

    @staticmethod
    def sluice_of(soak):
        """Its pid and address, once it is under load."""
        assert "soak: " in soak.stderr.readline()
        children = pathlib.Path(f"/proc/{soak.pid}/task/{soak.pid}/children").read_text().split()
        for pid in children:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if "--admin" in command:
                return int(pid), command[command.index("--listen") + 1]
        raise AssertionError("no sluice")

    def test_nothing_in_the_way(self):
        status, wrong, text = self.outcome(self.start(minutes=0.6))
        self.assertEqual((status, wrong), (0, {}), text)
        self.assertIn("1 x stop, 1 x kill, 1 x leave", text)

    def test_harmed_events(self):
        harmful = self.program("load", HARMFUL_LOAD.format(load=str(BUILD / "perf/load")))
        status, wrong, text = self.outcome(self.start("--load", harmful))
        # An altered event is bad, and the one that it was is lost.
        self.assertEqual(wrong, {"lost": "2", "duplicated": "1", "bad": "1", "split": "1"}, text)
        self.assertEqual(status, 1)

    def test_a_client_that_never_leaves(self):
        soak = self.start()
        client = http.client.HTTPConnection(self.sluice_of(soak)[1], timeout=DEADLINE_S)
        self.addCleanup(client.close)
        client.request("GET", "/stream?rate=5&size=220")
        self.assertEqual(client.getresponse().status, 200)
        status, wrong, text = self.outcome(soak)
        self.assertEqual(status, 1, text)
        self.assertLessEqual({"leaked streams", "leaked client connections", "leaked operations",
                              "leaked upstream connections", "leaked descriptors"}, set(wrong))

    def test_a_sluice_that_leaks(self):
        library = self.directory / "leak.so"
        subprocess.run([os.environ.get("CXX", "c++"), "-x", "c++", "-shared", "-fPIC", "-o", library,
                        "-"], input=LEAK, text=True, check=True, timeout=DEADLINE_S)
        leaking = self.program("sluice", f"#!/bin/sh\nLD_PRELOAD={library} "
                               f"exec {BUILD / 'net/sluice'} \"$@\"\n")
        status, wrong, text = self.outcome(self.start("--sluice", leaking))
        self.assertEqual(status, 1, text)
        self.assertEqual(set(wrong), {"leaked descriptors", "RSS slope", "RSS growth"}, text)

    def test_a_sluice_that_dies(self):
        soak = self.start()
        os.kill(self.sluice_of(soak)[0], signal.SIGKILL)
        begun = time.monotonic()
        status, _wrong, text = self.outcome(soak)
        self.assertEqual(status, 1)
        self.assertIn("sluice has ended", text)
        self.assertLess(time.monotonic() - begun, 30)


if __name__ == "__main__":
    unittest.main()
