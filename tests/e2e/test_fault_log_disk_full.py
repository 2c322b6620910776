"""A full disk costs lines of the access log, which are counted, and nothing else; once there is room
again, lines are written again, whole."""

import ctypes
import json
import os
import pathlib
import resource
import subprocess

import pytest

from harness import wait_until

# linux/sched.h, sys/mount.h
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
DISK_BYTES = 32 * 1024
PAGE_BYTES = 4096


@pytest.fixture
def mounts_of_our_own():
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root, for a mount namespace")


def small_disk(folder):
    """What to call in the child: mounts a small file system there, which nobody else sees."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount():
        if (libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
                or libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % DISK_BYTES)):
            raise OSError(ctypes.get_errno(), "mount")

    return mount


def serve(server, request):
    server.start_events()
    server.chunk(b"data: 1\n\n")
    server.end_chunks()


def lines_of(path):
    return path.read_text(encoding="utf-8").split("\n")


@pytest.mark.usefixtures("mounts_of_our_own")
def test_enospc(rig, tmp_path):
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(tmp_path / "access.log"),
                          "--access-log-format", "json", before_exec=small_disk(tmp_path))
    disk = pathlib.Path(f"/proc/{gateway.pid}/root{tmp_path}")
    (disk / "other").write_bytes(bytes(2 * PAGE_BYTES))
    client = rig.client(gateway)

    def request(target):
        client.get(target)
        assert client.response()[1] == b"data: 1\n\n"

    def request_until_lines_are_lost():
        request("/full")
        return gateway.metrics().sum("sluice_log_write_errors_total") > 0

    wait_until(request_until_lines_are_lost, "the disk is full")
    assert (disk / "access.log").stat().st_size == DISK_BYTES - 2 * PAGE_BYTES

    (disk / "other").unlink()

    def request_until_it_is_logged():
        request("/room")
        return "/room" in lines_of(disk / "access.log")[-2]

    wait_until(request_until_it_is_logged, "lines are written again")
    gateway.wait_idle()
    for line in lines_of(disk / "access.log")[:-1]:
        assert json.loads(line)["ending"] == "complete"


def test_a_limit_on_the_size_of_files(rig, tmp_path):
    """RLIMIT_FSIZE, which comes with a signal that ends a process by default."""
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path), "--access-log-format", "json")
    client = rig.client(gateway)
    _, most = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (50, most))
    client.get("/cut")
    client.response()
    gateway.wait_metric("sluice_log_write_errors_total", 1)
    assert len(path.read_bytes()) == 50
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (most, most))
    client.get("/next")
    client.response()
    wait_until(lambda: len(lines_of(path)) == 3, "the line that was begun, and the next")
    assert [json.loads(line)["target"] for line in lines_of(path)[:2]] == ["/cut", "/next"]
