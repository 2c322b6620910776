"""Headless Chromium opens the demo page through the gateway: its EventSource and fetch receive."""

import contextlib
import json
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from harness import held_port, wait_until

CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync")


class Browser:
    """A W3C WebDriver session (Debian packages chromium and chromium-driver)."""

    def __init__(self, driver_url, profile):
        self.base = driver_url
        options = {"args": [*CHROMIUM_FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        session = self._call("POST", "/session", {"capabilities": capabilities})
        self.base += "/session/" + session["sessionId"]

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script):
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def quit(self):
        self._call("DELETE", "")

    def _call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, headers={"Content-Type": "application/json"},
                                         data=json.dumps(body).encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request, timeout=90) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None


@contextlib.contextmanager
def chromedriver():
    # Not --port=0: that takes a free port of [::1], and exits where 127.0.0.1 has it in use.
    with held_port() as port:
        process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        try:
            wait_until(lambda: "started successfully" in "".join(lines) or process.poll() is not None,
                       "chromedriver listens", 30)
            assert process.poll() is None, "".join(lines)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()
            reader.join()
            process.stdout.close()


@pytest.fixture
def browser(rig, tmp_path):
    with chromedriver() as url:
        browser = Browser(url, tmp_path / "profile")
        try:
            yield browser
        finally:
            browser.quit()


def test_the_demo_page_streams(rig, browser):
    gateway = rig.gateway(None, "--demo")
    browser.open(gateway.url + "/")
    wait_until(lambda: browser.run("return window.sluiceDemo && window.sluiceDemo.events > 20"),
               "more than 20 events in the page", 30)
    demo = browser.run("return window.sluiceDemo")
    assert int(demo["lastId"]) >= 20
    browser.run("document.getElementById('chat-send').click()")
    wait_until(lambda: browser.run("return window.sluiceDemo.chatDone"), "the chat's end", 30)
    assert browser.run("return window.sluiceDemo.chatText")
    browser.open("about:blank")  # leaves its streams: the gateway must be idle again


def test_eventsource_resumes_after_a_cut(rig, browser):
    def numbered(server, request):
        if request.target != "/events":
            return server.respond(b"<!doctype html><title>x</title>", "Content-Type: text/html")
        first = int(request.get("last-event-id", "0")) + 1
        server.start_events()
        server.chunk(b"retry: 10\n\n")
        for i in range(first, first + 5):
            server.chunk(b"id: %d\ndata: %d\n\n" % (i, i))
        server.chunk(b"id: 999\ndata: never whole")
        server.close()

    gateway = rig.gateway(rig.upstream(numbered))
    browser.open(gateway.url + "/")
    browser.run("window.ids = []; const source = new EventSource('/events');"
                "source.onmessage = event => window.ids.push(Number(event.data));")
    wait_until(lambda: browser.run("return window.ids.length >= 20"), "20 events", 30)
    assert browser.run("return window.ids")[:20] == list(range(1, 21))
    browser.open("about:blank")
