"""What is wrong with the flags or the file is said in one line, before anything starts."""

import re
import socket
import subprocess

import pytest

from harness import wait_until
from harness.gateway import binary

UPSTREAM = ("--upstream", "http://127.0.0.1:9")


def run(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)


def assert_mistake(result, *words, status=2):
    assert result.returncode == status, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_help_and_version(rig):
    for flag in ("--help", "--version"):
        result = run(flag)
        assert (result.returncode, result.stderr) == (0, "")
        assert "sluice" in result.stdout
    assert "--heartbeat-head-after" in run("--help").stdout


@pytest.mark.parametrize("arguments,words", [
    (("--hartbeat", "3s"), ("--hartbeat", "heartbeat")),
    (("--heartbeat", "3"), ("heartbeat", "3")),
    (("--heartbeat", "-1s"), ("heartbeat",)),
    (("--buffer-size", "4q"), ("buffer-size", "4q")),
    (("--listen", "nonsense:port"), ("listen",)),
    (("--upstream", "ftp://127.0.0.1"), ("upstream",)),
    (("--threads", "many"), ("threads",)),
    (("--log-level", "loud"), ("log-level", "loud")),
    (("--uring-disable", "multishot-rev"), ("multishot-rev", "multishot-recv")),
    (("--route", "path=/x"), ("upstream",)),
    (("--route", "path=/x,upstream=http://127.0.0.1:9,hartbeat=3s"), ("hartbeat", "heartbeat")),
    (("--config", "/nowhere/sluice.toml"), ("/nowhere/sluice.toml",)),
    (("extra",), ("extra",)),
])
def test_a_mistake_in_the_flags(arguments, words):
    assert_mistake(run(*UPSTREAM, *arguments), *words)


def test_no_upstream():
    assert_mistake(run("--listen", "127.0.0.1:0"), "upstream")


def test_check_says_that_it_is_right(tmp_path):
    result = run("--check", *UPSTREAM, "--heartbeat", "15s")
    assert (result.returncode, result.stderr) == (0, ""), result
    file = tmp_path / "sluice.toml"
    file.write_text('listen = "127.0.0.1:0"\nupstream = "http://127.0.0.1:9"\nheartbeat = "15s"\n\n'
                    '[[route]]\npath = "/v1"\nupstream = "http://127.0.0.1:9"\nbuffer-size = "4k"\n')
    result = run("--check", "--config", str(file))
    assert (result.returncode, result.stderr) == (0, ""), result


@pytest.mark.parametrize("text,line,words", [
    ('upstream = "http://127.0.0.1:9"\nhartbeat = "3s"\n', 2, ("hartbeat", "heartbeat")),
    ('upstream = "http://127.0.0.1:9"\n\nheartbeat = "3"\n', 3, ("heartbeat",)),
    ('upstream = "http://127.0.0.1:9\n', 1, ()),
    ('[[route]]\npath = "/x"\nupstream = "http://127.0.0.1:9"\nbuffer-sice = "4k"\n', 4, ("buffer-sice", "buffer-size")),
])
def test_a_mistake_in_the_file(tmp_path, text, line, words):
    file = tmp_path / "sluice.toml"
    file.write_text(text)
    assert_mistake(run("--check", "--config", str(file)), f"{file}:{line}", *words)


def test_check_finds_what_would_fail_at_the_start(tmp_path):
    log = tmp_path / "none" / "access.log"
    result = run("--check", *UPSTREAM, "--access-log", str(log))
    assert_mistake(result, "--access-log", str(log.parent), "make it")
    assert not log.parent.exists()
    good = tmp_path / "access.log"
    assert run("--check", *UPSTREAM, "--access-log", str(good)).returncode == 0
    assert not good.exists()


@pytest.mark.parametrize("check", [("--check",), ()])
@pytest.mark.parametrize("addresses", [
    ("--listen", "127.0.0.1:8080", "--listen", "127.0.0.1:8080"),
    ("--listen", "[::]:8080", "--listen", "127.0.0.1:8080"),
    ("--listen", "127.0.0.1:8080", "--admin", "127.0.0.1:8080"),
])
def test_ports_that_collide(check, addresses):
    assert_mistake(run(*check, *UPSTREAM, *addresses), "127.0.0.1:8080")


def test_a_loop_is_warned_of():
    result = run("--check", "--listen", "127.0.0.1:9", *UPSTREAM)
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 1 and "circles" in result.stderr


def test_a_loop_is_warned_of_at_the_start_too(rig):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:%d" % free.getsockname()[1]
    gateway = rig.gateway(None, "--listen", address, "--upstream", "http://" + address)
    assert "circles" in gateway.errors()


def test_flags_win_over_the_file(rig, tmp_path):
    file = tmp_path / "sluice.toml"
    file.write_text('heartbeat = "0"\n')
    client, server = rig.stream("--config", str(file), "--heartbeat", "50ms")
    assert client.body.event() == b": heartbeat\n\n"


def test_the_files_settings_count(rig, tmp_path):
    upstream = rig.upstream()
    file = tmp_path / "sluice.toml"
    file.write_text(f'upstream = "{upstream.url}"\n\n[[route]]\npath = "/beat"\nupstream = "{upstream.url}"\n'
                    'heartbeat = "50ms"\n')
    client = rig.client(rig.gateway(None, "--config", str(file)))
    client.get("/beat/it")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    client.read_head()
    assert client.body.event() == b": heartbeat\n\n"


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
def test_a_port_that_is_taken(flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        others = {"--listen", "--admin"} - {flag}
        result = run(*UPSTREAM, flag, address, others.pop(), "127.0.0.1:0", "--threads", "1")
    assert result.returncode == 1, result
    assert address in result.stderr.splitlines()[-1]
    assert "in use" in result.stderr


def test_the_start_line_says_what_is_in_use(rig):
    gateway = rig.gateway(rig.upstream(), "--uring-disable", "multishot-recv")
    line = wait_until(lambda: re.search("io_uring with .*", gateway.errors()), "the line of facts").group()
    in_use, _, missing = line.partition(", without ")
    assert "multishot-recv" in missing and "multishot-recv" not in in_use
