#!/usr/bin/env python3
"""Proves that perf/heal measures what it says and that its verdict can fail: recorded runs with one
thing wrong, and short real ones, with healing and without.

Usage: heal_test.py [TEST...]   (SLUICE_BUILD: where it was built, default build/release)
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PERF = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(PERF))
sys.dont_write_bytecode = True

from harness import healing  # noqa: E402
from harness.healing import Comebacks, Outage  # noqa: E402
from harness.verdict import EVENTS  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", PERF.parent / "build/release")).resolve()
DEADLINE_S = 110
S = 1_000_000_000
REPORT = {**dict.fromkeys((*EVENTS, "streams_aborted", "streams_ended_wrongly", "streams_unfinished",
                           "streams_refused", "connect_failures"), 0),
          "events": 1000, "connections_opened": 10}
COUNTERS = {"gaps": 0, "given_up": 0, "resumed": 20}


class CameBack(unittest.TestCase):
    def seconds(self, stalls, *outages):
        came = healing.comebacks(stalls, outages)
        return came.seconds, came.late

    def test_from_the_return_of_the_upstream(self):
        stalls = [(1, 9 * S, 14 * S), (2, 9 * S, 13 * S)]
        self.assertEqual(self.seconds(stalls, Outage(10 * S, 12 * S)), ([1.0, 2.0], 0))

    def test_from_the_kill_of_one_that_does_not_return(self):
        # An event was on its way when the upstream died.
        stalls = [(1, 9 * S, 10 * S + 1000), (1, 10 * S + 1000, 11 * S)]
        self.assertEqual(self.seconds(stalls, Outage(10 * S)), ([1.0], 0))

    def test_what_another_outage_did(self):
        stalls = [(1, 5 * S, 6 * S), (1, 13 * S, 15 * S)]
        self.assertEqual(self.seconds(stalls, Outage(10 * S, 12 * S)), ([], 0))

    def test_too_late_for_one_and_in_time_for_the_next(self):
        stalls = [(1, 9 * S, 25 * S)]
        outages = Outage(10 * S, 12 * S), Outage(20 * S, 22 * S)
        self.assertEqual(self.seconds(stalls, *outages), ([3.0, 13.0], 1))

    def test_we_saw_the_return_after_the_proxy(self):
        self.assertEqual(self.seconds([(1, 9 * S, 12 * S - 1000)], Outage(10 * S, 12 * S)), ([0.0], 0))

    def test_the_floor(self):
        self.assertEqual(healing.floor(1000, 500, 0.5), 1)


class Judged(unittest.TestCase):
    """One thing is wrong, and the verdict says that and nothing else."""

    def wrong(self, came=Comebacks([1.0] * 20, 0), harmed=20, counters=(), **report):
        findings = healing.judge(REPORT | report, 10, 1000, harmed, came, COUNTERS | dict(counters))
        return {finding.what: finding.value for finding in findings if not finding.right}

    def test_all_is_well(self):
        self.assertEqual(self.wrong(), {})

    def test_the_report(self):
        wrong = {"streams_aborted": "connections cut", "streams_ended_wrongly": "ended wrongly",
                 "streams_unfinished": "unfinished", "streams_refused": "refused",
                 "connect_failures": "refused", **dict(zip(EVENTS, EVENTS))}
        del wrong["duplicated"]
        for key, what in wrong.items():
            with self.subTest(key=key):
                self.assertEqual(self.wrong(**{key: 1}), {what: "1"})

    def test_an_event_came_twice(self):
        self.assertEqual(self.wrong(duplicated=1, events=1001), {"duplicated": "1"})

    def test_an_event_never_came(self):
        self.assertEqual(self.wrong(events=999), {"missing": "1"})

    def test_a_client_came_back(self):
        self.assertEqual(self.wrong(connections_opened=11), {"connections opened again": "1"})

    def test_the_counters(self):
        self.assertEqual(self.wrong(counters={"gaps": 1}), {"gaps": "1"})
        self.assertEqual(self.wrong(counters={"given_up": 1}), {"given up": "1"})
        self.assertEqual(self.wrong(counters={"resumed": 19}), {"healed": "19"})

    def test_a_late_stream_is_healed_once_for_two_outages(self):
        self.assertEqual(self.wrong(Comebacks([1.0] * 20, 1), counters={"resumed": 19}), {})

    def test_no_harm_was_done(self):
        self.assertEqual(self.wrong(Comebacks([1.0] * 19, 0)), {"not harmed": "1"})
        self.assertEqual(self.wrong(Comebacks([], 0), 0), {"healed": "20"})


class Healed(unittest.TestCase):
    """A few streams of the real thing."""

    def heal(self, *flags):
        """(exit status, {scenario: record}, all that was printed, the plot)"""
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        cpus = sorted(os.sched_getaffinity(0))
        done = subprocess.run(
            [PERF / "heal", "--build", BUILD, "--cpus", f"{cpus[0]},{cpus[-1]}", "--streams", "20",
             "--kills", "2", "--down", "0.5", "--up", "1.5", "--proxies", "sluice", "--json",
             directory / "heal.json", "--plot", directory / "heal.svg", *flags],
            capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        text = done.stdout + done.stderr
        self.assertIn("verdict: ", done.stdout, text)
        whole = json.loads((directory / "heal.json").read_text())
        self.assertEqual(whole["passed"], done.returncode == 0, text)
        self.assertIn("</svg>", (directory / "heal.svg").read_text())
        return done.returncode, {each["scenario"]: each for each in whole["records"]}, text

    def test_streams_are_healed(self):
        status, records, text = self.heal()
        self.assertEqual(status, 0, text)
        self.assertEqual(len(records["return"]["seconds"]), 40, text)
        self.assertEqual(records["other"]["counters"]["resumed"], 10, text)
        self.assertEqual(len(records["other"]["seconds"]), 10, text)

    def test_streams_are_not_healed(self):
        status, records, text = self.heal("--", "--heal", "off")
        self.assertEqual(status, 1, text)
        self.assertEqual(records["return"]["report"]["streams_aborted"], 20, text)
        self.assertEqual(records["other"]["report"]["streams_aborted"], 10, text)
        self.assertGreater(records["return"]["missing"], 0, text)


if __name__ == "__main__":
    unittest.main()
