"""One line per request at its end, as text or JSON; SIGUSR1 reopens the file."""

import json
import os
import signal

import pytest

from harness import wait_until


def serve(server, request):
    if request.target.startswith("/events"):
        server.start_events()
        for i in range(3):
            server.chunk(b"data: %d\n\n" % i)
        server.end_chunks()
    else:
        server.respond(b"hello")


def lines_of(path, count):
    def read():
        if not os.path.exists(path):
            return None
        with open(path) as file:
            lines = file.read().splitlines()
        return lines if len(lines) >= count else None

    lines = wait_until(read, f"{count} lines in the access log")
    assert len(lines) == count, lines
    return lines


def run_requests(rig, gateway):
    client = rig.client(gateway)
    for method, target in (("GET", "/events?x=1"), ("POST", "/hello")):
        client.request(method, target, body=b"12345" if method == "POST" else None)
        client.response()


def test_json(rig, tmp_path):
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path), "--access-log-format", "json")
    run_requests(rig, gateway)
    stream, hello = (json.loads(line) for line in lines_of(path, 2))
    assert (stream["method"], stream["status"], stream["events"], stream["route"]) == ("GET", 200, 3, "/")
    assert stream["target"] == "/events?***"
    assert stream["bytes_out"] == 27
    assert (stream["ending"], stream["side"]) == ("complete", "none")
    assert 0 <= stream["first_event_ms"] <= stream["time_ms"]
    assert (hello["method"], hello["target"], hello["status"]) == ("POST", "/hello", 200)
    assert (hello["bytes_in"], hello["bytes_out"], hello["events"]) == (5, 5, 0)
    assert hello["first_event_ms"] is None


SECRET = "/events?api_key=hunter2"


def fail_with_a_secret(rig, *flags):
    """A stream of a request with a secret, which /streams lists and whose end is worth a message; what
    /streams, the access log and the messages show of it."""
    client, server = rig.stream("--access-log", "-", *flags, request=("GET", SECRET))
    server.chunk(b"data: 1\n\n")
    client.body.event()
    gateway = rig.gateways[0]
    listed = gateway.admin("/streams")[1]
    server.close()
    client.body.until_abort()
    wait_until(lambda: gateway.stdout and "upstream_truncated" in gateway.errors(), "both logs")
    return listed, gateway.stdout[0], gateway.errors()


def test_queries_are_secret(rig):
    for text in fail_with_a_secret(rig):
        assert "/events?***" in text and "hunter2" not in text


def test_queries_may_be_shown(rig):
    for text in fail_with_a_secret(rig, "--log-query", "on"):
        assert SECRET in text


def test_text(rig, tmp_path):
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path))
    run_requests(rig, gateway)
    stream, hello = lines_of(path, 2)
    assert "GET /events" in stream and " 200 " in stream
    assert "POST /hello" in hello and " 200 " in hello


def test_an_ending_that_was_not_clean_is_named(rig, tmp_path):
    path = tmp_path / "access.log"
    client, server = rig.stream("--access-log", str(path), "--access-log-format", "json")
    server.chunk(b"data: 1\n\n")
    client.body.event()
    server.close()
    client.body.until_abort()
    line = json.loads(lines_of(path, 1)[0])
    assert line["events"] == 1
    assert (line["ending"], line["side"]) == ("upstream_truncated", "upstream")


def test_a_hostile_target_stays_one_line(rig, tmp_path):
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path), "--access-log-format", "json")
    client = rig.client(gateway)
    client.send(b'GET /"\\\xff\x80 HTTP/1.1\r\nHost: a\r\n\r\n')
    client.read_head()
    assert json.loads(lines_of(path, 1)[0])["method"] in ("GET", "")


@pytest.mark.parametrize("request_bytes,method,target", [
    (b"GET /a?b HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET", "/a?***"),
    (b'QUERY /"a\\ HTTP/1.1\r\nX : y\r\n', "QUERY", '/"a\\'),
    (b"GET /a HTTP/2.0\r\nHost: a\r\n\r\n", "GET", "/a"),
    (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", "POST", "/a"),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a"),
    (b"\x16\x03\x01\x02\x00\x01", "", ""),
])
def test_a_refused_request_is_told_as_far_as_it_was_read(rig, tmp_path, request_bytes, method, target):
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path), "--access-log-format", "json")
    client = rig.client(gateway)
    client.send(request_bytes)
    client.response()
    line = json.loads(lines_of(path, 1)[0])
    assert (line["method"], line["target"], line["ending"]) == (method, target, "refused")


def test_a_head_that_comes_too_late_is_told_as_far_as_it_was_read(rig, tmp_path):
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path), "--access-log-format", "json",
                          "--header-timeout", "100ms")
    client = rig.client(gateway)
    client.send(b"GET /late HTTP/1.1\r\nHost: ")
    assert client.response()[0].status == 408
    line = json.loads(lines_of(path, 1)[0])
    assert (line["method"], line["target"], line["status"]) == ("GET", "/late", 408)


def test_sigusr1_reopens_it(rig, tmp_path):
    path = tmp_path / "access.log"
    gateway = rig.gateway(rig.upstream(serve), "--access-log", str(path))
    client = rig.client(gateway)
    client.get("/first")
    client.response()
    lines_of(path, 1)
    path.rename(tmp_path / "access.log.1")
    gateway.signal(signal.SIGUSR1)
    wait_until(path.exists, "the file is opened anew")
    client.get("/second")
    client.response()
    assert "/second" in lines_of(path, 1)[0]
    assert "/first" in lines_of(tmp_path / "access.log.1", 1)[0]


def test_it_may_go_to_standard_output(rig):
    gateway = rig.gateway(rig.upstream(serve), "--access-log", "-")
    run_requests(rig, gateway)
    wait_until(lambda: len(gateway.stdout) == 2, "two lines on standard output")


@pytest.mark.parametrize("flags", [(), ("--access-log", "off")])
def test_off(rig, flags):
    gateway = rig.gateway(rig.upstream(serve), *flags)
    run_requests(rig, gateway)
    gateway.wait_idle()
    gateway.stop()
    assert gateway.stdout == []


def test_a_file_that_cannot_be_written_does_not_stop_the_gateway(rig):
    gateway = rig.gateway(rig.upstream(serve), "--access-log", "/dev/full")
    for _ in range(3):
        run_requests(rig, gateway)
