"""Where the access log's folder has vanished, SIGUSR1 says so and the old file stays in use; once the
folder is back, so is the log."""

import shutil
import signal
import subprocess

from harness import wait_until
from harness.gateway import binary


def test_at_start(tmp_path):
    path = tmp_path / "gone" / "access.log"
    result = subprocess.run(
        [binary(), "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin", "off",
         "--access-log", str(path)],
        capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert result.returncode == 1, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert str(path) in result.stderr and "No such file" in result.stderr


def test_while_it_runs(rig, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / "access.log"
    gateway = rig.gateway(rig.upstream(lambda server, request: server.respond(b"ok")), "--access-log", str(path))
    client = rig.client(gateway)

    def request(target):
        client.get(target)
        assert client.response()[1] == b"ok"

    with open(path, encoding="utf-8") as kept:
        request("/before")
        shutil.rmtree(folder)
        gateway.signal(signal.SIGUSR1)
        wait_until(lambda: f"cannot reopen {path}: No such file" in gateway.errors(), "it says so")
        assert gateway.metrics().sum("sluice_log_write_errors_total") == 1
        request("/meanwhile")
        seen = []

        def all_seen():
            seen.append(kept.read())
            return "/meanwhile" in "".join(seen)

        wait_until(all_seen, "the old file stays in use")
        assert "/before" in "".join(seen)

    folder.mkdir()
    gateway.signal(signal.SIGUSR1)
    wait_until(path.exists, "the file is opened anew")
    request("/after")
    wait_until(lambda: "/after" in path.read_text(encoding="utf-8"), "it is written to")
    assert gateway.metrics().sum("sluice_log_lines_dropped_total") == 0
