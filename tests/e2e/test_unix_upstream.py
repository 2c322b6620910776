"""An upstream on a unix socket, by its path or by an abstract name, is an upstream like any other."""

import contextlib
import json
import random
import socket
import subprocess
import time
import uuid

import pytest

from harness import DEADLINE_S, ScriptedUpstream, wait_until
from harness.gateway import binary
from harness.upstream import listen_unix, unix_name
from harness.wire import chunked

EVENTS = [b"id: %d\ndata: event %d \xc3\xa9\n\n" % (i, i) for i in range(200)]
BODY = random.Random(1).randbytes(5 * 1024 * 1024)
SUN_PATH_MAX = 107


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "app.sock")


@pytest.fixture(params=["path", "abstract"])
def name(request, path):
    return path if request.param == "path" else f"@sluice-{uuid.uuid4()}"


def named(word):
    return lambda server, request: server.respond(word)


def get(rig, gateway, target="/"):
    client = rig.client(gateway)
    client.get(target)
    return client.response()


@contextlib.contextmanager
def full_queue(name):
    """The socket of a listener whose queue is full: the next to connect waits until it accepts."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(listen_unix(name, backlog=0))
        listener.settimeout(DEADLINE_S)
        while True:
            filler = sockets.enter_context(socket.socket(socket.AF_UNIX))
            filler.setblocking(False)
            try:
                filler.connect(unix_name(name))
            except BlockingIOError:
                break
        yield listener


@pytest.mark.parametrize("given", ["upstream", "route"])
def test_events_arrive_byte_for_byte(rig, name, given):
    def serve(server, request):
        server.start_events()
        for event in EVENTS:
            server.chunk(event)
        server.end_chunks()

    upstream = rig.upstream(serve, unix=name)
    flags = ("--upstream", upstream.url) if given == "upstream" else \
        ("--upstream", "http://127.0.0.1:9", "--route", f"path=/events,upstream={upstream.url},heartbeat=15s")
    head, content = get(rig, rig.gateway(None, *flags), "/events")
    assert (head.status, content) == (200, b"".join(EVENTS))


def test_an_event_leaves_when_it_is_whole(rig, path):
    client, server = rig.stream(upstream=rig.upstream(unix=path))
    for event in EVENTS[:20]:
        server.chunk(event)
        assert client.body.chunk() == event
    server.chunk(b"data: not")
    client.assert_silent(0.15)
    server.chunk(b" yet\n\n")
    assert client.body.chunk() == b"data: not yet\n\n"


def test_a_connection_is_used_again(rig, name):
    upstream = rig.upstream(unix=name)
    client, server = rig.exchange(upstream=upstream)
    for i in range(5):
        server.respond(b"%d" % i)
        assert client.response()[1] == b"%d" % i
        client.get(f"/again/{i}")
        assert server.read_request().target == f"/again/{i}"
    server.respond(b"last")
    assert client.response()[1] == b"last"
    metrics = rig.gateways[0].metrics()
    assert metrics.sum("sluice_upstream_connects_total") == 1
    assert metrics.sum("sluice_upstream_reuses_total") == 5


def test_a_stale_connection_is_replaced(rig, path):
    upstream = rig.upstream(unix=path)
    client, server = rig.exchange(upstream=upstream)
    server.respond()
    client.response()
    client.get("/again")
    assert server.read_request().target == "/again"
    server.close()
    fresh = upstream.accept()
    assert fresh.read_request().target == "/again"
    fresh.respond(b"fresh")
    assert client.response()[1] == b"fresh"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_big_bodies_pass_in_both_directions(rig, path, framing):
    if framing == "length":
        field, data = f"Content-Length: {len(BODY)}", BODY
    else:
        field, data = "Transfer-Encoding: chunked", chunked(*(BODY[i:i + 50_000] for i in range(0, len(BODY), 50_000)))

    def send_back(server, request):
        server.send_head("Content-Type: application/octet-stream", field)
        server.send(data)

    upstream = rig.upstream(send_back, unix=path)
    client = rig.client(rig.gateway(upstream))
    for _ in range(2):
        client.request("POST", "/big", field)
        client.send(data)
        assert client.response()[1] == BODY
    assert [request.content == BODY for request in upstream.requests] == [True, True]


def test_a_truncated_stream_is_aborted(rig, path):
    client, server = rig.stream(upstream=rig.upstream(unix=path))
    server.chunk(b"data: 1\n\ndata: 2\n")
    server.close()
    assert client.body.until_abort() == b"data: 1\n\n"
    rig.gateways[0].wait_metric("sluice_closes_total", 1, side="upstream", reason="upstream_truncated")


@pytest.mark.parametrize("framing", ["Connection: close", "Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_an_upstream_that_leaves_its_request_unread_has_not_finished(rig, path, framing):
    """A unix socket that closes over unread bytes resets, whatever it had sent: that is no clean end."""
    upstream = rig.upstream(unix=path)
    client = rig.client(rig.gateway(upstream))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    server = upstream.accept()
    server.read_head()
    server.send_head("Content-Type: text/plain", framing)
    server.send(b"4\r\nsome\r\n" if "chunked" in framing else b"some")
    assert client.read_head().status == 200
    assert client.body.read(4) == b"some"
    client.send(b"x" * 1000)
    rig.gateways[0].wait_metric("sluice_upstream_sent_bytes_total", 1000)
    server.close()
    assert client.body.until_abort() == b""


def test_an_end_in_the_middle_of_a_request_may_be_a_reset(rig, path):
    """A unix socket does not tell a send that it was reset half-way: such an answer is not taken for complete."""
    upstream = rig.upstream(unix=path)
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
    server = upstream.accept()
    server.read_head()
    client.sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):  # more than the upstream reads
        while True:
            client.sock.send(bytes(100_000))
            time.sleep(0.001)
    client.sock.settimeout(DEADLINE_S)
    server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nsome")
    server.sock.shutdown(socket.SHUT_WR)
    assert client.read_head().status == 200
    assert client.body.until_abort() == b"some"
    gateway.wait_metric("sluice_closes_total", 1, side="upstream", reason="upstream_reset")


def test_a_close_delimited_answer_ends_cleanly(rig, path):
    client, server = rig.exchange(upstream=rig.upstream(unix=path))
    server.send_head("Content-Type: text/plain", "Connection: close")
    server.send(b"all of it")
    server.close()
    assert client.response()[1] == b"all of it"


@pytest.mark.parametrize("there", ["nothing", "a file", "a socket that nobody listens on", "a directory"])
def test_nobody_to_connect_to_is_502(rig, tmp_path, path, there):
    if there == "a file":
        (tmp_path / "app.sock").write_text("")
    elif there == "a directory":
        (tmp_path / "app.sock").mkdir()
    elif there == "a socket that nobody listens on":
        listen_unix(path).close()
    client = rig.client(rig.gateway(None, "--upstream", f"unix:{path}"))
    for _ in range(2):  # a refusal is no reason to drop the client
        client.get()
        head, _ = client.response()
        assert (head.status, head.get("content-type")) == (502, "application/problem+json")
    rig.gateways[0].wait_metric("sluice_upstream_connect_errors_total", 2)


def test_an_abstract_name_that_nobody_has_is_502(rig):
    assert get(rig, rig.gateway(None, "--upstream", f"unix:@sluice-{uuid.uuid4()}"))[0].status == 502


def test_an_upstream_that_comes_later_is_used(rig, path):
    gateway = rig.gateway(None, "--upstream", f"unix:{path}")
    assert get(rig, gateway)[0].status == 502
    rig.upstream(named(b"here"), unix=path)
    assert get(rig, gateway)[1] == b"here"


def test_an_upstream_that_is_replaced_is_found_again(rig, path, tmp_path):
    """A new server makes a new file of the same name."""
    first = ScriptedUpstream(named(b"first"), unix=path)
    gateway = rig.gateway(first)
    assert get(rig, gateway)[1] == b"first"
    first.close()
    (tmp_path / "app.sock").unlink()
    rig.upstream(named(b"second"), unix=path)
    assert get(rig, gateway)[1] == b"second"


def test_a_full_queue_is_waited_for(rig, name):
    with full_queue(name) as listener:
        client = rig.client(rig.gateway(None, "--upstream", f"unix:{name}"))
        client.get("/patient")
        client.assert_silent(0.2)
        request = b""
        while not request:  # those that filled the queue say nothing
            server, _ = listener.accept()
            with server:
                server.settimeout(0.3)
                with contextlib.suppress(TimeoutError):
                    request = server.recv(10_000)
                if request:
                    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
                    assert client.response()[1] == b"last"
        assert request.startswith(b"GET /patient HTTP/1.1\r\n")


def test_a_full_queue_is_waited_for_no_longer_than_the_time_out(rig, path):
    with full_queue(path):
        client = rig.client(rig.gateway(None, "--upstream", f"unix:{path}", "--connect-timeout", "200ms"))
        client.get()
        assert client.response()[0].status == 504
        rig.gateways[0].wait_idle()


def test_a_client_that_leaves_while_connecting(rig, path):
    with full_queue(path):
        gateway = rig.gateway(None, "--upstream", f"unix:{path}", "--connect-timeout", "0")
        client = rig.client(gateway)
        client.get()
        gateway.wait_metric("sluice_active_streams", 1)
        client.close()
        gateway.wait_metric("sluice_upstream_cancels_total", 1, phase="connecting")
        gateway.wait_idle()
        wait_until(lambda: gateway.metrics().sum("sluice_upstream_connections") == 0, "the attempt is given up")


def test_clients_that_leave_right_after_they_came(rig, path):
    """A connect on its way to a thread of the kernel's that waits is not found by its cancel."""
    with full_queue(path):
        gateway = rig.gateway(None, "--upstream", f"unix:{path}", "--connect-timeout", "0")
        for i in range(100):
            client = rig.client(gateway)
            client.get()
            time.sleep(i * 6e-6)
            client.close()
        gateway.wait_metric("sluice_client_connections_accepted_total", 100)
        gateway.wait_idle()


@pytest.mark.parametrize("leave", ["close", "shut_wr", "reset"])
@pytest.mark.parametrize("phase", ["awaiting_head", "first_event", "streaming"])
def test_a_client_that_leaves_cancels_the_upstream(rig, path, phase, leave):
    client, server = rig.exchange(upstream=rig.upstream(unix=path))
    if phase != "awaiting_head":
        server.start_events()
        client.read_head()
    if phase == "streaming":
        server.chunk(b"data: 1\n\n")
        assert client.body.event() == b"data: 1\n\n"
    getattr(client, leave)()
    server.wait_closed()
    assert not server.buffer
    rig.gateways[0].wait_metric("sluice_upstream_cancels_total", 1, phase=phase)


def test_a_client_that_does_not_read_stops_the_upstream(rig, path):
    stopped = []

    def flood(server, request):
        server.start_events()
        server.sock.settimeout(0.5)
        try:
            for _ in range(100_000):
                server.chunk(b"data: " + b"x" * 1000 + b"\n\n")
        except TimeoutError:
            stopped.append(server)
            server.sock.settimeout(DEADLINE_S)
        server.wait_closed()

    client = rig.client(rig.gateway(rig.upstream(flood, unix=path)), rcvbuf=4096)
    client.get()
    wait_until(lambda: stopped, "the upstream is stopped")
    assert rig.gateways[0].metrics().sum("sluice_backpressure_stalls_total") >= 1


def test_a_request_that_names_no_host_is_given_one(rig, path):
    upstream = rig.upstream(named(b"ok"), unix=path)
    client = rig.client(rig.gateway(upstream))
    client.send(b"GET /old HTTP/1.0\r\n\r\n")
    assert client.response()[1] == b"ok"
    request = upstream.requests[0]
    assert request.start_line == "GET /old HTTP/1.1"
    assert request.all("host") == ["localhost"]
    assert request.get("x-forwarded-for") == "127.0.0.1"


def test_a_request_keeps_its_host_and_gains_its_origin(rig, path):
    upstream = rig.upstream(named(b"ok"), unix=path)
    get(rig, rig.gateway(upstream), "/x")
    request = upstream.requests[0]
    assert request.all("host") == ["gateway.test"]
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-forwarded-host") == "gateway.test"
    assert request.get("x-forwarded-proto") == "http"


def test_the_access_log_names_it(rig, name, tmp_path):
    upstream = rig.upstream(named(b"ok"), unix=name)
    for form in ("json", "text"):
        log = tmp_path / form
        get(rig, rig.gateway(upstream, "--access-log", str(log), "--access-log-format", form))
        line = wait_until(lambda: log.exists() and log.read_text(), "a line in the access log")
        if form == "json":
            assert json.loads(line)["upstream"] == f"unix:{name}"
        else:
            assert f" upstream=unix:{name} " in line


def test_the_live_streams_name_it(rig, name):
    rig.stream(upstream=rig.upstream(unix=name))
    assert [stream["upstream"] for stream in rig.gateways[0].streams()] == [f"unix:{name}"]


def test_a_group_of_both_kinds_takes_turns(rig, path):
    tcp = rig.upstream(named(b"tcp"))
    unix = rig.upstream(named(b"unix"), unix=path)
    gateway = rig.gateway(None, "--upstream", tcp.url, "--upstream", unix.url,
                          "--route", f"path=/group,upstream={unix.url},upstream={tcp.url}")
    for target in ("/", "/group"):
        answers = [get(rig, gateway, target)[1] for _ in range(6)]
        assert sorted(answers[:2]) == [b"tcp", b"unix"]
        assert answers == answers[:2] * 3


@pytest.mark.parametrize("url,words", [
    ("unix:relative.sock", ("absolute", "unix:/")),
    ("unix:./here.sock", ("absolute",)),
    ("unix:", ("absolute",)),
    ("unix:/", ("absolute",)),
    ("unix:@", ("absolute",)),
    ("unix:/" + "p" * SUN_PATH_MAX, (str(SUN_PATH_MAX),)),
    ("unix:@" + "p" * 200, (str(SUN_PATH_MAX),)),
])
@pytest.mark.parametrize("given", ["upstream", "route"])
def test_a_path_that_cannot_be_is_said_in_one_line(given, url, words):
    flags = ("--upstream", url) if given == "upstream" else ("--route", f"path=/x,upstream={url}")
    result = subprocess.run([binary(), "--check", *flags], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in (f"--{given}", *words):
        assert word in result.stderr


def test_the_longest_path_is_taken(rig, tmp_path):
    directory = tmp_path / "d"
    directory.mkdir()
    path = f"{directory}/".ljust(SUN_PATH_MAX, "s")
    assert get(rig, rig.gateway(rig.upstream(named(b"far"), unix=path)))[1] == b"far"
