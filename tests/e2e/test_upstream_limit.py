"""--upstream-max-connections and --upstream-max-pending hold over all workers together."""

import threading

from harness.rig import held_port


class Held:
    """Answers once it is let, and knows how many requests were with it at most."""

    def __init__(self):
        self.gate = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, server, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.acquire()
        with self.lock:
            self.now -= 1
        server.respond(b"done")


def test_it_holds_over_all_workers(rig):
    upstream = Held()
    gateway = rig.gateway(rig.upstream(upstream), "--threads", "2", "--upstream-max-connections", "2")
    clients = [rig.client(gateway) for _ in range(16)]
    for client in clients:
        client.get()
    gateway.wait_metric("sluice_upstream_pending", 14)
    for _ in clients:
        upstream.gate.release()
    for client in clients:
        assert client.response()[1] == b"done"
    assert upstream.most <= 2
    assert gateway.metrics().sum("sluice_upstream_pending") == 0


def test_beyond_those_that_may_wait_a_request_is_refused_at_once(rig):
    upstream = Held()
    flags = ("--threads", "2", "--upstream-max-connections", "1", "--upstream-max-pending", "1", "--connect-timeout", "0")
    gateway = rig.gateway(rig.upstream(upstream), *flags)
    waiting = [rig.client(gateway) for _ in range(2)]
    for client in waiting:
        client.get()
    gateway.wait_metric("sluice_upstream_pending", 1)
    late = rig.client(gateway)
    late.get()
    head, _ = late.response()
    assert (head.status, 1 <= int(head.get("retry-after")) <= 3) == (503, True)
    for client in waiting:
        upstream.gate.release()
    for client in waiting:
        assert client.response()[1] == b"done"


def test_a_retry_does_not_wait_behind_a_connection_that_is_idle(rig):
    """It wants a fresh one, and the idle one has the only place."""
    with held_port() as dead:
        well = rig.upstream(lambda server, request: server.respond(b"well"))
        gateway = rig.gateway(None, "--upstream", f"http://127.0.0.1:{dead}", "--upstream", well.url, "--balance",
                              "round-robin", "--eject-after", "0", "--upstream-max-connections", "1",
                              "--connect-timeout", "1h")
        for _ in range(6):
            client = rig.client(gateway)
            client.get()
            assert client.response()[1] == b"well"
            client.close()
