"""A headless Chromium, driven as the W3C WebDriver protocol has it (Debian packages chromium and
chromium-driver)."""

import contextlib
import json
import subprocess
import threading
import urllib.error
import urllib.request

from .rig import held_port
from .wire import wait_until

CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync")


class Browser:
    """A session. It takes any certificate."""

    def __init__(self, driver_url, profile):
        self.base = driver_url
        options = {"args": [*CHROMIUM_FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {"alwaysMatch": {"browserName": "chrome", "acceptInsecureCerts": True,
                                        "goog:chromeOptions": options}}
        session = self._call("POST", "/session", {"capabilities": capabilities})
        self.base += "/session/" + session["sessionId"]

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def window(self):
        return self._call("GET", "/window")

    def new_window(self):
        """Another one, which takes the commands from here on."""
        self.switch_to(self._call("POST", "/window/new", {"type": "tab"})["handle"])
        return self.window()

    def switch_to(self, window):
        self._call("POST", "/window", {"handle": window})

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


@contextlib.contextmanager
def chromium(profile):
    with chromedriver() as url:
        browser = Browser(url, profile)
        try:
            yield browser
        finally:
            browser.quit()
