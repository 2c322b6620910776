"""Peers that have gone without a word are noticed by TCP's keep-alive, where nothing is sent either
way; see also what --client-tcp-keepalive and --upstream-tcp-keepalive say of it."""

import re
import shutil
import subprocess

import pytest

from harness import wait_until

QUIET = ("--heartbeat", "0")

needs_ss = pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")


def keepalive_s(filters):
    """What is left of the keep-alive timer of one connection, in seconds; None where it has none."""
    def shown():
        text = subprocess.run(["ss", "-tnoH", "state", "established", filters], capture_output=True,
                              text=True, check=True, timeout=10).stdout
        assert len(text.splitlines()) == 1, text
        return None if "timer:(on," in text else text  # what was sent is yet to be acknowledged

    text = wait_until(shown, "nothing is on its way")
    found = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:(\d+)sec)?(\d+ms)?", text)
    return int(found.group(1) or 0) * 60 + int(found.group(2) or 0) if found else None


def of_client(gateway, client):
    return keepalive_s(f"sport = :{gateway.port} and dport = :{client.sock.getsockname()[1]}")


def of_upstream(upstream):
    return keepalive_s(f"dport = :{upstream.port}")


@needs_ss
def test_both_sides_have_it_unless_it_is_off(rig):
    client, server = rig.stream()
    assert 30 <= of_client(rig.gateways[0], client) <= 60
    assert 30 <= of_upstream(rig.upstreams[0]) <= 60
    client, server = rig.stream("--client-tcp-keepalive", "0", "--upstream-tcp-keepalive", "0")
    assert of_client(rig.gateways[1], client) is None
    assert of_upstream(rig.upstreams[1]) is None


@needs_ss
def test_it_follows_the_route(rig):
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    settings = "client-tcp-keepalive=1h,upstream-tcp-keepalive=2h"
    gateway = rig.gateway(upstream, "--route", f"path=/long,upstream={upstream.url},{settings}")
    client = rig.client(gateway)
    for target, least_s, most_s in (("/", 30, 60), ("/long", 3000, 3600), ("/", 30, 60)):
        client.get(target)
        assert client.response()[1] == b"ok"
        assert least_s <= of_client(gateway, client) <= most_s, target


def test_a_client_that_is_gone(network):
    client, server = network.stream(*QUIET, "--client-tcp-keepalive", "1s")
    network.client_link.lose()
    server.wait_closed()
    network.gateways[0].wait_idle()
    assert network.gateways[0].metrics().sum("sluice_closes_total", side="client") == 1


def test_an_upstream_that_is_gone(network):
    client, server = network.stream(*QUIET, "--upstream-tcp-keepalive", "1s")
    server.chunk(b"data: 1\n\n")
    assert client.body.event() == b"data: 1\n\n"
    network.upstream_link.lose()
    assert client.body.until_abort() == b""
    assert network.gateways[0].metrics().sum("sluice_closes_total", side="upstream") == 1
