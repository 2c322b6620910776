"""The processes of a soak: a sturdy origin, a fragile one, sluice before both, and the loads."""

import dataclasses
import itertools
import signal
import time

from . import gauges
from .faults import Fault
from .measure import finish_load, launch_origin, start_load
from .mix import FRAGILE_PATH, MIX
from .processes import Process, free_port

# Short, so that all is at rest soon after the last load has left; heartbeats also between the
# events of idle streams and of a stopped origin.
FLAGS = ("--keepalive-timeout", "5s", "--upstream-keepalive-timeout", "5s", "--heartbeat", "2s")
STOP_S, KILL_S, LEAVE_S = 4, 2, 1
SILENT_S = 30
NOTHING = {"streams": 0, "client_connections": 0, "upstream_connections": 0, "slots": 0}


@dataclasses.dataclass
class Shift:
    """One process of a load: a crowd has several, one after the other."""
    load: object
    process: Process
    begun_s: float
    ended_s: float = None
    report: dict = None


class Rig:
    def __init__(self, environment, running, seconds, seed, flags):
        self.environment = environment
        self.running = running
        self.seconds = seconds  # that it is to last
        self.seed = seed
        self.serial = itertools.count(1)
        self.shifts = []
        self.unanswered = 0  # questions to the admin port
        self.began_s = None
        sturdy = launch_origin("sturdy", "127.0.0.1:0", environment, running)[1]
        self.fragile_address = f"127.0.0.1:{free_port()}"
        self.start_fragile()
        self.start_sluice(sturdy, flags)

    def start_fragile(self):
        self.fragile = launch_origin("fragile", self.fragile_address, self.environment,
                                     self.running)[0]

    def start_sluice(self, sturdy, flags):
        environment = self.environment
        self.address = f"127.0.0.1:{free_port()}"
        self.sluice = Process("sluice", [
            environment.programs["sluice"], "--listen", self.address, "--admin", "127.0.0.1:0",
            "--log-query", "on",  # a target in /streams says how fast its stream should be
            "--threads", str(environment.workers), "--upstream", f"http://{sturdy}", "--route",
            f"path={FRAGILE_PATH},upstream=http://{self.fragile_address}", *FLAGS, *flags],
            environment.proxy_cpus, environment.directory)
        self.running.append(self.sluice)
        for line in ("sluice: listening on", "sluice: admin on"):
            found = self.sluice.wait_for_line(line, 10)
            if found is None:
                self.sluice.fail("does not listen")
        self.admin_port = int(found.rpartition(":")[2])
        self.pid = self.sluice.child.pid
        self.baseline = self.sample()
        if any(self.baseline[key] != value for key, value in NOTHING.items()):
            self.sluice.fail(f"is not at rest before any load: {self.baseline}")

    def ask(self, question, *arguments):
        """What gauges' function says. On a busy machine sluice may get no CPU for a while: only
        that long without any answer is an error."""
        deadline = time.monotonic() + SILENT_S
        while True:
            if not self.sluice.running:
                self.sluice.fail(f"has ended with status {self.sluice.child.returncode}")
            try:
                return question(*arguments)
            except gauges.Unanswered:
                self.unanswered += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)  # where it refuses at once

    def sample(self):
        return self.ask(gauges.sample, self.pid, self.admin_port)

    def streams(self):
        return self.ask(gauges.streams, self.admin_port)

    def wait_for_rest(self, within_s):
        """The first sample in which nothing is above the baseline; the last one where time is up."""
        deadline = time.monotonic() + within_s
        while True:
            now = self.sample()
            if not gauges.above(now, self.baseline) or time.monotonic() > deadline:
                return now
            time.sleep(0.25)

    # --- loads ---

    def begin(self):
        self.began_s = time.monotonic()
        self.start_loads()

    def clock(self):
        """Seconds since the soak began."""
        return time.monotonic() - self.began_s

    def start_loads(self, loads=MIX):
        for load in loads:
            serial = next(self.serial)
            seed = ["--seed", str(self.seed + serial)]
            process = start_load(f"{load.name}-{serial}", load.mode, load.target, load.connections,
                                 [*load.flags, *seed], self.address, 0, self.seconds,
                                 self.environment, self.running)
            self.shifts.append(Shift(load, process, self.clock()))

    def end_loads(self, loads=MIX):
        ending = [shift for shift in self.shifts if shift.load in loads and shift.report is None]
        for shift in ending:
            shift.process.interrupt()
        for shift in ending:
            shift.report = finish_load(shift.process, self.environment)
            shift.ended_s = self.clock()

    # --- faults ---

    def faults(self):
        crowd = [load for load in MIX if load.crowd]
        return (
            Fault("stop", f"fragile origin stopped for {STOP_S} s", STOP_S,
                  lambda: self.fragile.child.send_signal(signal.SIGSTOP),
                  lambda: self.fragile.child.send_signal(signal.SIGCONT)),
            Fault("kill", f"fragile origin killed, started again after {KILL_S} s", KILL_S,
                  self.kill_fragile, self.start_fragile),
            Fault("leave", f"slow readers leave at once, others come after {LEAVE_S} s", LEAVE_S,
                  lambda: self.end_loads(crowd), lambda: self.start_loads(crowd)),
        )

    def kill_fragile(self):
        self.fragile.child.kill()
        if self.fragile.wait(5) is None:
            self.fragile.fail("was killed and is still there")
