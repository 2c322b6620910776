"""--log-level says what standard error is told."""

import contextlib
import signal
import subprocess

import pytest

from harness import DEADLINE_S, Client, held_port, wait_until
from harness.gateway import SANITIZER_REPORT, binary

REQUESTS = 200
INFO = ("listening on", "io_uring with", "draining")


@contextlib.contextmanager
def client_of(port):
    def connect():
        try:
            return Client(port)
        except ConnectionRefusedError:
            return None

    client = wait_until(connect, f"the gateway listens on port {port}")
    try:
        yield client
    finally:
        client.close()


def run_against_nobody(level):
    """Standard error of a gateway whose upstream refuses, and that upstream's address. It does not
    tell its own port at every level, so it is told one."""
    with contextlib.ExitStack() as held:
        port, nobody = held.enter_context(held_port()), held.enter_context(held_port())
        upstream = f"127.0.0.1:{nobody}"
        process = held.enter_context(subprocess.Popen(
            [binary(), "--upstream", f"http://{upstream}", "--listen", f"127.0.0.1:{port}", "--admin",
             "off", "--threads", "1", "--log-level", level],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        try:
            with client_of(port) as client:
                for _ in range(REQUESTS):
                    client.get()
                    assert client.response()[0].status == 502
            process.send_signal(signal.SIGTERM)
            errors = process.communicate(timeout=DEADLINE_S)[1]
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert not SANITIZER_REPORT.search(errors), errors
    return errors, upstream


def test_info():
    errors, upstream = run_against_nobody("info")
    for words in INFO:
        assert words in errors
    assert upstream in errors


def test_warn_names_a_failed_upstream_and_only_that():
    errors, upstream = run_against_nobody("warn")
    assert "upstream_refused" in errors
    assert upstream in errors
    for words in INFO:
        assert words not in errors


def test_error_says_neither():
    errors, _ = run_against_nobody("error")
    assert errors == ""


@pytest.mark.parametrize("level", ["info", "warn"])
def test_failures_without_end_are_not_all_told(level):
    errors, _ = run_against_nobody(level)
    assert 0 < errors.count("upstream_refused") < REQUESTS
