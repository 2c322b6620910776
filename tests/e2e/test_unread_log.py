"""A log that nobody reads stops neither the requests nor the end of the process."""

import fcntl
import signal
import time

from harness import Gateway

REQUESTS = 500


class UnreadGateway(Gateway):
    """Nobody reads its standard output, a pipe of one page."""

    def _collect(self, pipe, lines):
        if pipe is self.process.stderr:
            super()._collect(pipe, lines)
        else:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)


def test_a_full_pipe(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = UnreadGateway("--upstream", upstream.url, "--access-log", "-")
    rig.gateways.append(gateway)
    client = rig.client(gateway)
    for i in range(REQUESTS):  # far more lines than the pipe holds
        client.get(f"/{i}/" + "x" * 100)
        assert client.response()[1] == b"ok"
    assert gateway.metrics().sum("sluice_requests_total", code="200") == REQUESTS
    client.close()
    started = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit(5.0) == 0
    assert time.monotonic() - started < 5
