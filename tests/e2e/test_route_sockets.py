"""A route's socket settings count while the connection serves that route, and no longer."""

import re
import shutil
import subprocess

import pytest

KIB = 1024


def send_buffer(gateway, client):
    """The send buffer of the gateway's end of a client's connection: the kernel doubles what is asked."""
    filters = f"sport = :{gateway.port} and dport = :{client.sock.getsockname()[1]}"
    text = subprocess.run(["ss", "-tmnH", "state", "established", filters], capture_output=True,
                          text=True, check=True, timeout=10).stdout
    return int(re.search(r"skmem:\(.*\btb(\d+)", text).group(1)) // 2


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")
def test_the_send_buffer_follows_the_route(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    gateway = rig.gateway(upstream, "--client-sndbuf", "64k",
                          "--route", f"path=/small,upstream={upstream.url},client-sndbuf=4k")
    client = rig.client(gateway)
    for target, size in (("/", 64), ("/small", 4), ("/", 64), ("/small/er", 4), ("/small", 4), ("/", 64)):
        client.get(target)
        assert client.response()[1] == b"ok"
        assert send_buffer(gateway, client) == size * KIB, target
