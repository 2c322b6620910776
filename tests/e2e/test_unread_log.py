"""A log that nobody reads stops neither the requests nor the end of the process."""

import fcntl
import os
import signal
import termios
import time

import pytest

from harness import Gateway

REQUESTS = 500


class UnreadGateway(Gateway):
    """Nobody reads its standard output, a pipe of one page."""

    def _collect(self, pipe, lines):
        if pipe is self.process.stderr:
            super()._collect(pipe, lines)
        else:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)


def fill_and_end(rig, make):
    """Far more lines than the log takes, and then the end."""
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = make("--upstream", upstream.url, "--access-log", "-")
    rig.gateways.append(gateway)
    client = rig.client(gateway)
    for i in range(REQUESTS):
        client.get(f"/{i}/" + "x" * 100)
        assert client.response()[1] == b"ok"
    assert gateway.metrics().sum("sluice_requests_total", code="200") == REQUESTS
    client.close()
    started = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit(5.0) == 0
    assert time.monotonic() - started < 5


def test_a_full_pipe(rig):
    fill_and_end(rig, UnreadGateway)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_terminal(rig, stopped):
    """Full in the middle of a line, or stopped by Ctrl-S."""
    ours, terminal = os.openpty()
    try:
        if stopped:
            termios.tcflow(terminal, termios.TCOOFF)
        fill_and_end(rig, lambda *flags: Gateway(*flags, before_exec=lambda: os.dup2(terminal, 1)))
        assert os.get_blocking(terminal), "others write to it, too"
    finally:
        os.close(terminal)
        os.close(ours)
