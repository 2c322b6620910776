"""HTTP/2 as real clients speak it: Chromium with 50 EventSources, Node, nghttp, Python's httpx."""

import json
import pathlib
import subprocess

import httpx
import pytest

from harness import wait_until
from harness.streams import event

NODE = pathlib.Path(__file__).parent / "node"
EVENTS = 20


def events(server, request):
    """As many as the path says that there are before it breaks off, if any."""
    server.start_events()
    for i in range(EVENTS):
        server.chunk(event(request.target, i))
    if request.target.startswith("/broken"):
        server.chunk(b"data: never whole")
        return server.close()
    return server.end_chunks()


def body_of(target):
    return b"".join(event(target, i) for i in range(EVENTS))


@pytest.fixture(params=["h2c", "h2"])
def origin(request, rig, pki):
    """Of a gateway that speaks HTTP/2 in the clear, or over TLS."""
    flags = ("--listen", "https://127.0.0.1:0", *pki.flags()) if request.param == "h2" else ()
    gateway = rig.gateway(rig.upstream(events), "--heal", "off", *flags)
    return f"{'https' if request.param == 'h2' else 'http'}://localhost:{gateway.port}"


def test_nodes_http2(origin):
    def streams(path):
        done = subprocess.run(["node", NODE / "http2.js", f"{origin}{path}", "30"], capture_output=True, text=True,
                              timeout=60, check=True)
        return json.loads(done.stdout)

    # NO_ERROR, and INTERNAL_ERROR for those that were cut (RFC 9113, section 7).
    assert streams("/whole") == [{"body": body_of(f"/whole/{i}").decode(), "code": 0} for i in range(30)]
    assert streams("/broken") == [{"body": body_of(f"/broken/{i}").decode(), "code": 2} for i in range(30)]


def test_httpx(origin):
    with httpx.Client(http1=False, http2=True, verify=False, trust_env=False, timeout=20) as client:
        with client.stream("GET", f"{origin}/whole") as response:
            assert response.http_version == "HTTP/2"
            assert b"".join(response.iter_bytes()) == body_of("/whole")
        with client.stream("GET", f"{origin}/broken") as response, pytest.raises(httpx.RemoteProtocolError):
            response.read()


def test_nghttp(origin):
    targets = [f"/whole/{i}" for i in range(10)]
    done = subprocess.run(["nghttp", "--no-verify-peer", *[origin + target for target in targets]],
                          capture_output=True, timeout=60, check=True)
    assert sorted(done.stdout.split(b"\n\n")) == sorted(b"".join(map(body_of, targets)).split(b"\n\n"))


def test_the_demo_page_runs_fifty_streams_at_once(rig, pki, browser):
    """Over HTTP/1.1 a browser opens six."""
    gateway = rig.gateway(None, "--demo", "--listen", "https://127.0.0.1:0", *pki.flags())
    browser.open(f"https://localhost:{gateway.port}/")
    wait_until(lambda: browser.run("return window.sluiceDemo && window.sluiceDemo.events > 5"), "the page streams", 30)
    assert browser.run("return performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    browser.run("""
        window.counts = Array(50).fill(0);
        window.sources = window.counts.map((_, i) => {
          const source = new EventSource('/events?rate=20');
          source.onmessage = () => window.counts[i]++;
          return source;
        });""")
    wait_until(lambda: browser.run("return Math.min(...window.counts)") > 10, "all fifty receive", 30)
    # Chromium opens a second one for requests with other credentials, such as for an icon.
    assert gateway.metrics().sum("sluice_client_protocols_total", protocol="http2") <= 2
    browser.run("window.sources.forEach(source => source.close())")
    browser.run("document.getElementById('many').value = 50; document.getElementById('many-start').click()")
    wait_until(lambda: browser.run("return window.sluiceDemo.manyRunning") == 50, "the page's own fifty run", 30)
    wait_until(lambda: browser.run("return window.sluiceDemo.manyComplete") == 50, "and are complete", 60)
    assert browser.run("return window.sluiceDemo.manyWrong") == 0
    browser.open("about:blank")  # leaves its streams: the gateway must be idle again
