"""A reset is told once. When the send to the upstream hears of it, the receive reads what looks like a FIN; a body
that ends with the connection must not pass for complete then."""

import threading
import time

import pytest
from harness import wait_until
from harness.wire import Aborted


@pytest.mark.parametrize("content_type", ["text/plain", "text/event-stream"])
def test_a_close_delimited_body_is_not_complete(rig, content_type):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.client(gateway, rcvbuf=4096)  # reads late, so that bytes wait in front of the reset

    def upload():
        try:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n" + b"b" * 30_000_000)
        except OSError:
            pass

    pushing = threading.Thread(target=upload, daemon=True)
    pushing.start()
    server = upstream.accept()
    server.read_head()
    server.send(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\n" % content_type.encode())
    server.sock.settimeout(0.5)
    try:
        while True:
            server.sock.send(b"data: 000000\n\n" * 100)
    except TimeoutError:
        pass
    server.reset()
    assert client.read_head().status == 200
    with pytest.raises(Aborted):
        client.body.rest()
    client.close()
    pushing.join(10)
    wait_until(lambda: gateway.metrics().sum("sluice_closes_total", reason="upstream_reset") == 1, "counted as a reset")
    assert gateway.metrics().sum("sluice_closes_total", reason="complete") == 0


def test_a_reset_behind_the_end_cuts_nothing(rig):
    """An upstream that has answered and closed resets whatever is sent to it then. The reset is heard first here, since
    what is paced is read late."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--pace", "500ms")
    client = rig.client(gateway)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbody")
    server = upstream.accept()
    server.read_head()
    assert server.body.read(4) == b"body"
    server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: 1\n\n")
    assert client.read_head().status == 200
    assert client.body.event() == b"data: 1\n\n"
    server.send(b"data: 2\n\n")
    server.close()
    for _ in range(3):
        client.send(b"more")
        time.sleep(0.05)
    assert client.body.rest() == b"data: 2\n\n"
    gateway.wait_metric("sluice_closes_total", 1, reason="complete")
