"""The retry of a stale connection is on a fresh one, also where connections are limited and others wait for them."""

import socket
import threading


def test_no_get_fails(rig):
    def serve(server, request):
        server.respond(b"ok")
        server.sock.recv(1, socket.MSG_PEEK)  # the next request is too late
        raise OSError

    gateway = rig.gateway(rig.upstream(serve), "--upstream-max-connections", "2")
    statuses = []

    def ask():
        for _ in range(15):
            client = rig.client(gateway)
            client.get("/", "Connection: close")
            statuses.append(client.response()[0].status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 120
    assert gateway.metrics().sum("sluice_upstream_retries_total") >= 1
