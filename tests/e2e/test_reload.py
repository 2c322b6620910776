"""SIGHUP and POST /reload: another configuration, under streams that notice nothing."""

import contextlib
import os
import re
import signal
import socket
import threading
import time

import pytest

from harness.rig import held_port
from harness.wire import wait_until


def named(name):
    return lambda server, request: server.respond(name.encode())


class ConfigFile:
    """The file that a gateway reads; `routes`: what [[route]] tables say."""

    def __init__(self, folder):
        self.path = str(folder / "sluice.toml")

    def write(self, text="", **routes):
        for name, lines in routes.items():
            path = "/" if name == "root" else f"/{name}"
            text += f'\n[[route]]\npath = "{path}"\n' + "\n".join(lines) + "\n"
        with open(self.path, "w") as file:
            file.write(text)


@pytest.fixture
def file(tmp_path):
    return ConfigFile(tmp_path)


def to(upstream, *lines):
    return [f'upstream = "{upstream.url}"', *lines]


def get(rig, gateway, target, port=None):
    client = rig.client(gateway)
    client.get(target)
    head, body = client.response()
    client.close()
    return head.status, body


def open_stream(rig, gateway, upstream):
    """A client and the upstream's end of an event stream that both have seen the head of."""
    client = rig.client(gateway)
    client.get("/events")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert client.read_head().status == 200
    return client, server


def reload(gateway):
    """The status of POST /reload, and what it says."""
    response, body = gateway.admin("/reload", method="POST")
    return response.status, body


def reloaded(gateway, generation):
    assert reload(gateway) == (200, '{"generation":%d}\n' % generation)


def test_turns_begin_anew(rig, file):
    """What the upstreams of a route were due is of no group that comes after it."""
    one, two = (rig.upstream(named(name)) for name in ("one", "two"))

    def group(weight):
        return [f'upstream = ["{one.url};weight={weight}", "{two.url}"]', 'balance = "round-robin"']

    file.write(root=group(1000))
    gateway = rig.gateway(None, "--config", file.path)
    for _ in range(100):
        get(rig, gateway, "/")
    file.write(root=group(1))
    reloaded(gateway, 2)
    assert sorted(get(rig, gateway, "/")[1] for _ in range(4)) == [b"one", b"one", b"two", b"two"]


def test_routes_come_go_and_change(rig, file):
    one, two = (rig.upstream(named(name)) for name in ("one", "two"))
    file.write(root=to(one), gone=to(one))
    gateway = rig.gateway(None, "--config", file.path)
    assert get(rig, gateway, "/gone") == (200, b"one")
    file.write(root=to(two), new=to(one, 'max-body-size = "1k"'))
    reloaded(gateway, 2)
    assert get(rig, gateway, "/gone") == (200, b"two"), "the default route's now"
    assert get(rig, gateway, "/new") == (200, b"one")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_config_generation") == 2
    assert metrics.sum("sluice_config_reloads_total", result="ok") == 1
    assert metrics.sum("sluice_config_reloads_total", result="failed") == 0
    assert metrics.sum("sluice_requests_total", route="/gone") == 0, "removed routes do not add up"
    assert metrics.sum("sluice_upstream_attempts_total", upstream=one.url, ending="complete") == 2


def test_a_hang_up_signal_reloads(rig, file):
    one, two = (rig.upstream(named(name)) for name in ("one", "two"))
    file.write(root=to(one))
    gateway = rig.gateway(None, "--config", file.path)
    file.write(root=to(two))
    gateway.signal(signal.SIGHUP)
    gateway.wait_metric("sluice_config_generation", 2)
    assert get(rig, gateway, "/") == (200, b"two")
    wait_until(lambda: "sluice: reloaded, generation 2: 1 route, 1 upstream, listening on 127.0.0.1:0" in gateway.errors(),
               "the log tells")


def test_a_stream_keeps_what_it_began_with(rig, file):
    upstream, other = rig.upstream(), rig.upstream(named("other"))
    file.write('heartbeat = "100ms"', root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path)
    client, server = open_stream(rig, gateway, upstream)
    server.chunk(b"data: cut by the rel")
    file.write('heartbeat = "1h"\nstream-idle-timeout = "1ms"', elsewhere=to(other))
    reloaded(gateway, 2)
    assert get(rig, gateway, "/events")[0] == 404, "its route is gone"
    server.chunk(b"oad\n\n")
    assert client.body.event() == b"data: cut by the reload\n\n"
    assert client.body.event() == b": heartbeat\n\n", "as often as before"
    server.end_chunks()
    while event := client.body.rest():
        assert not event.replace(b": heartbeat\n\n", b"")
    assert gateway.streams() == []
    # The connection goes on under the new configuration.
    client.get("/elsewhere")
    assert client.response()[1] == b"other"


@pytest.mark.parametrize("text, complaint", [
    ("heartbeat = \"soon\"\n", "sluice.toml:1:13: heartbeat: "),
    ("heartbeat = \n", "sluice.toml:1:"),
    ("[[route]]\npath = \"/\"\n", "sluice.toml:1:1: a route needs an upstream"),
    ("", "nowhere to send requests"),
    ("a" + ".a" * 40_000 + " = 1\n", "sluice.toml:1: a key of more than 256 parts"),
    ('access-log = "/nowhere/\\nsluice: fake\\u001b[31m"\nupstream = "http://127.0.0.1:1"\n',
     "access-log: cannot open /nowhere/?sluice: fake?[31m: "),
    (None, "cannot be read: No such file"),
    ("listen = \"192.0.2.1:1\"\nupstream = \"http://127.0.0.1:1\"\n", "--listen 192.0.2.1:1: "),
    ("access-log = \"/dev/null\"\nlisten = \"192.0.2.1:1\"\nupstream = \"http://127.0.0.1:1\"\n",
     "--listen 192.0.2.1:1: "),
    ("access-log = \"/nowhere/log\"\nupstream = \"http://127.0.0.1:1\"\n",
     "access-log: cannot open /nowhere/log: No such file"),
])
def test_what_is_wrong_changes_nothing(rig, file, text, complaint):
    file.write('listen = "127.0.0.1:0"\n', root=to(rig.upstream(named("still here"))))
    gateway = rig.gateway(None, "--config", file.path, listens=True)
    fds = gateway.open_fds()
    if text is None:
        os.remove(file.path)
    else:
        with open(file.path, "w") as out:
            out.write(text)
    status, body = reload(gateway)
    assert status == 422 and complaint in body, body
    gateway.signal(signal.SIGHUP)
    gateway.wait_metric("sluice_config_reloads_total", 2, result="failed")

    def lines():
        return [line for line in gateway.errors().splitlines() if line.startswith("sluice: reload: ")]

    wait_until(lambda: len(lines()) == 2, "two lines")
    assert all(complaint in line and line.endswith("; nothing has changed") for line in lines())
    assert gateway.metrics().sum("sluice_config_generation") == 1
    assert get(rig, gateway, "/") == (200, b"still here")
    wait_until(lambda: gateway.open_fds() <= fds + 2, "nothing is left open")


def test_settings_that_need_a_restart_are_named(rig, file):
    file.write("pool-max = \"64m\"\n", root=to(rig.upstream(named("ok"))))
    gateway = rig.gateway(None, "--config", file.path)
    file.write("pool-max = \"128m\"\nlatency-budget = \"off\"\nheartbeat = \"1s\"\n", root=to(rig.upstreams[0]))
    reloaded(gateway, 2)
    wait_until(lambda: re.search("a restart is needed for what has changed in (pool-max, latency-budget|latency-budget, pool-max)\n",
                                 gateway.errors()), "they are named")


@pytest.fixture
def free_port():
    """Gives ports that nobody else is given meanwhile."""
    with contextlib.ExitStack() as held:
        yield lambda: held.enter_context(held_port())


def refused(port):
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_listeners_come_and_go(rig, file, free_port):
    """Those that stay are not touched; those that go keep their clients."""
    upstream = rig.upstream(named("ok"))
    leaves, comes = free_port(), free_port()
    text = 'listen = ["127.0.0.1:{stays}", "127.0.0.1:{}"]\n'.replace("{stays}", "0")
    file.write(text.format(leaves), root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path, "--threads", "2", listens=True)
    stays = gateway.port
    kept = rig.client(gateway)
    gateway.port = leaves
    client = rig.client(gateway)
    gateway.port = stays
    for each in (kept, client):
        each.get("/")
        assert each.response()[1] == b"ok"
    file.write(text.format(comes), root=to(upstream))
    reloaded(gateway, 2)
    wait_until(lambda: refused(leaves), "nobody listens there")
    for each in (kept, client):
        each.get("/again")
        assert each.response()[1] == b"ok"
    for port in (stays, comes):
        gateway.port = port
        assert get(rig, gateway, "/") == (200, b"ok")
    gateway.port = stays


@pytest.mark.parametrize("before, after", [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "[::]")])
def test_a_listener_widens_and_narrows(rig, file, before, after, free_port):
    port = free_port()
    file.write(f'listen = "{before}:{port}"\n', root=to(rig.upstream(named("ok"))))
    gateway = rig.gateway(None, "--config", file.path, listens=True)
    file.write(f'listen = "{after}:{port}"\n', root=to(rig.upstreams[0]))
    reloaded(gateway, 2)
    assert get(rig, gateway, "/") == (200, b"ok")


def test_a_file_that_does_not_come_to_an_end_stops_nothing(rig, file):
    file.write(root=to(rig.upstream(named("ok"))))
    gateway = rig.gateway(None, "--config", file.path)
    os.remove(file.path)
    os.mkfifo(file.path)
    gateway.signal(signal.SIGHUP)
    assert get(rig, gateway, "/") == (200, b"ok")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_a_higher_limit_lets_those_in_who_wait(rig, file):
    upstream = rig.upstream()
    file.write(root=to(upstream, "upstream-max-connections = 1"))
    gateway = rig.gateway(None, "--config", file.path)
    first, second = rig.client(gateway), rig.client(gateway)
    first.get("/first")
    server = upstream.accept()
    assert server.read_request().target == "/first"
    second.get("/second")
    wait_until(lambda: [s for s in gateway.streams() if s["state"] == "queued"], "one waits")
    file.write(root=to(upstream, "upstream-max-connections = 2", 'upstream-keepalive-timeout = "7s"'))
    reloaded(gateway, 2)
    other = upstream.accept()
    assert other.read_request().target == "/second"
    for client, end in ((first, server), (second, other)):
        end.respond(b"ok")
        assert client.response()[1] == b"ok"


def test_larger_heads_are_read_on_connections_that_are_kept(rig, file):
    sizes = [10, 4000]

    def answer(server, request):
        server.respond(b"ok", "X-Long: " + "x" * sizes.pop(0))

    file.write('max-header-size = "2k"\n', root=to(rig.upstream(answer)))
    gateway = rig.gateway(None, "--config", file.path)
    assert get(rig, gateway, "/") == (200, b"ok")
    file.write('max-header-size = "64k"\n', root=to(rig.upstreams[0]))
    reloaded(gateway, 2)
    assert get(rig, gateway, "/") == (200, b"ok")
    assert len(rig.upstreams[0].connections) == 1


def test_who_has_connected_to_a_listener_that_goes_is_served(rig, file, free_port):
    """Clients that hammer it: each is served, or refused before it has connected. Only one whose first bytes
    leave while the listener closes may be reset: it has not been accepted by then, for want of bytes."""
    upstream = rig.upstream(named("ok"))
    port, other = free_port(), free_port()
    file.write(f'listen = "127.0.0.1:{port}"\n', root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path, listens=True)
    done = threading.Event()
    served, cut, closings = [], [], []

    def hammer():
        while not done.is_set():
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) != 0:
                    continue
                sent = time.monotonic()
                try:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    sent = time.monotonic()
                    answer = sock.recv(1000)
                except ConnectionError as error:
                    answer = repr(error).encode()
                (served if answer.startswith(b"HTTP/1.1 200") else cut).append((sent, answer))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for generation in range(2, 12):
            listen = other if generation % 2 == 0 else port
            file.write(f'listen = "127.0.0.1:{listen}"\n', root=to(upstream))
            began = time.monotonic()
            reloaded(gateway, generation)
            closings.append((began, time.monotonic() + 0.05))  # it closes in one of the next turns
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert served
    too_early = [(sent, how) for sent, how in cut if not any(began <= sent <= ended for began, ended in closings)]
    assert not too_early, (too_early, closings)


def test_the_log_level_and_the_process_s_name(rig, file):
    """The former changes, the latter does not."""
    ids = []

    def answer(server, request):
        ids.append(request.get("x-request-id").split("-")[0])
        server.close()

    file.write(root=to(rig.upstream(answer)))
    gateway = rig.gateway(None, "--config", file.path)
    for generation, level in enumerate(("info", "error", "warn"), 2):
        file.write(f'log-level = "{level}"\n', root=to(rig.upstreams[0]))
        reloaded(gateway, generation)
        assert get(rig, gateway, f"/{level}")[0] == 502
    wait_until(lambda: "GET /warn" in gateway.errors(), "the warning")
    assert "GET /info" in gateway.errors() and "GET /error" not in gateway.errors()
    assert len(set(ids)) == 1 and len(ids) == 3


def test_connections_to_an_upstream_that_stays_are_kept(rig, file):
    upstream, other = rig.upstream(named("ok")), rig.upstream(named("other"))
    file.write(root=to(upstream), other=to(other))
    gateway = rig.gateway(None, "--config", file.path)
    assert get(rig, gateway, "/")[0] == get(rig, gateway, "/other")[0] == 200
    file.write(new=to(upstream))
    reloaded(gateway, 2)
    assert get(rig, gateway, "/new") == (200, b"ok")
    assert len(upstream.connections) == 1, "the connection is the endpoint's, whatever its route"
    wait_until(lambda: gateway.metrics().sum("sluice_upstream_idle_connections") == 1,
               "the connection to the upstream that has gone is closed")


def test_the_access_log_moves(rig, file, tmp_path):
    first, second = str(tmp_path / "first.log"), str(tmp_path / "second.log")

    def lines(path):
        with open(path) as log:
            return log.read().splitlines()

    upstream = rig.upstream(named("ok"))
    file.write(root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path)
    get(rig, gateway, "/unlogged")
    for number, path in enumerate((first, second)):
        form = 'access-log-format = "json"\n' if path == second else ""
        file.write(f'access-log = "{path}"\n{form}', root=to(upstream))
        reloaded(gateway, 2 + number)
        get(rig, gateway, f"/logged{number}")
        wait_until(lambda: lines(path), "the line is written")
    assert len(lines(first)) == 1 and "/logged0" in lines(first)[0]
    assert len(lines(second)) == 1 and lines(second)[0].startswith("{") and "/logged1" in lines(second)[0]
    file.write(root=to(upstream))
    reloaded(gateway, 4)
    get(rig, gateway, "/unlogged")
    gateway.wait_metric("sluice_requests_total", 4)
    gateway.wait_idle()  # no file is open
    assert len(lines(first)) == len(lines(second)) == 1


def test_trusted_proxies_change_for_connections_that_are_there(rig, file):
    seen = []

    def answer(server, request):
        seen.append(request.get("x-forwarded-for"))
        server.respond(b"ok")

    upstream = rig.upstream(answer)
    file.write(root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path)
    client = rig.client(gateway)
    for trusted in ("", 'trusted-proxies = "127.0.0.1"\n'):
        file.write(trusted, root=to(upstream))
        reload(gateway)
        client.get("/", "X-Forwarded-For: 192.0.2.7")
        assert client.response()[1] == b"ok"
    assert seen == ["127.0.0.1", "192.0.2.7, 127.0.0.1"]


def test_a_page_cannot_reload(rig, file):
    file.write(root=to(rig.upstream(named("ok"))))
    gateway = rig.gateway(None, "--config", file.path)
    with socket.create_connection(("127.0.0.1", gateway.admin_port)) as sock:
        sock.sendall(b"POST /reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.test\r\nContent-Length: 0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 403 ")
    assert gateway.admin("/reload")[0].status == 405
    assert gateway.metrics().sum("sluice_config_generation") == 1


def test_no_reload_while_draining(rig, file):
    upstream = rig.upstream()
    file.write(root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path)
    client, server = open_stream(rig, gateway, upstream)
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in gateway.errors(), "it drains")
    status, body = reload(gateway)
    assert (status, "the process is draining" in body) == (422, True)
    server.chunk(b"data: 1\n\n")
    server.end_chunks()
    assert client.body.rest() == b"data: 1\n\n"
    client.close()
    assert gateway.wait_exit() == 0


def test_many_streams_through_many_reloads(rig, file):
    """Routes and upstreams come, go and change under streams that are busy: no event is lost or out
    of order, and no connection ends."""
    streams, reloads = 40, 50
    done = threading.Event()

    def answer(server, request):
        server.start_events()
        number = 0
        while not done.is_set():
            event = b"data: %d\n\n" % number
            server.chunk(event[:5])  # a reload may come in the middle of one
            server.chunk(event[5:])
            number += 1
            time.sleep(0.005)
        server.end_chunks()
        counts.append(number)

    counts = []
    upstream, other = rig.upstream(answer), rig.upstream(named("other"))
    file.write(root=to(upstream))
    gateway = rig.gateway(None, "--config", file.path, "--threads", "2")
    clients = [rig.client(gateway) for _ in range(streams)]
    for client in clients:
        client.get("/events")
        assert client.read_head().status == 200
    others = 0
    for generation in range(2, 2 + reloads):
        routes = {f"other{i}": to(other, f'buffer-size = "{1 + i}k"') for i in range(generation % 5)}
        if generation % 2:
            routes["root"] = to(other if generation % 3 else upstream, f'heartbeat = "{generation}s"')
        file.write(**routes or {"none": to(other)})
        reloaded(gateway, generation)
        if "other0" in routes:
            assert get(rig, gateway, "/other0") == (200, b"other")
            others += 1
    done.set()
    received = []
    for client in clients:
        events = client.body.rest().split(b"\n\n")
        assert events.pop() == b""
        assert events == [b"data: %d" % number for number in range(len(events))]
        received.append(len(events))
    wait_until(lambda: len(counts) == streams, "every upstream has ended its stream")
    assert sorted(received) == sorted(counts)
    assert gateway.metrics().sum("sluice_client_connections_closed_total") == others


def test_more_listeners_leave_room_for_fewer_clients(rig, file, free_port):
    upstream = rig.upstream(named("ok"))

    def listen(*ports):
        addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        file.write(f"listen = [{addresses}]\n", root=to(upstream))

    def clients_until_full():
        """So many have connections when the next one is not accepted."""
        pauses = gateway.metrics().sum("sluice_accept_pauses_total")
        clients = []
        while gateway.metrics().sum("sluice_accept_pauses_total") == pauses:
            clients.append(rig.client(gateway))
            clients[-1].get()
            if gateway.metrics().sum("sluice_accept_pauses_total") == pauses:
                assert clients[-1].response()[1] == b"ok"
        for client in clients:
            client.close()
        wait_until(lambda: gateway.metrics().sum("sluice_client_connections") == 0, "all have left")
        return len(clients)

    ports = [free_port() for _ in range(4)]
    listen(*ports[:1])
    gateway = rig.gateway(None, "--config", file.path, listens=True, open_files=(80, 80))
    before = clients_until_full()
    listen(*ports)
    reloaded(gateway, 2)
    assert clients_until_full() < before
    listen(*ports[:1])
    reloaded(gateway, 3)
    assert clients_until_full() == before
