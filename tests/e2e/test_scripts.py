"""Scripts among a route's filters: what becomes of a stream whose script fails, of its neighbours, of
reloads, and what they leave behind."""

import gzip
import re
import subprocess

import pytest

from harness import Aborted
from harness.gateway import binary
from harness.wire import wait_until

SCRIPT = """
function on_open(request)
  if request.fields["x-unseen"] then return false end
  if request.fields["x-refused"] then error("not this one") end
  return { user = request.fields["x-user"] or "nobody", n = 0 }
end

function on_event(event, mine)
  mine.n = mine.n + 1
  count("events", mine.user)
  local what = json.get(event.data, "/what")
  if what == "loop" then while true do end end
  if what == "memory" then local t = {} while true do t[#t + 1] = ("x"):rep(10000) .. #t end end
  if what == "error" then local x = nil + 1 end
  if what == "drop" then event:drop() end
  if what == "stop" then event:stop{ type = "bye", data = "{}" } end
  if what == "log" then for i = 1, 100 do log("line " .. i) end end
  event.data = json.set(event.data, "/by", "one")
end

function on_end(ending, mine)
  log("ended " .. ending .. " " .. mine.user .. " " .. mine.n)
end
"""


class Scripts:
    def __init__(self, folder):
        self.folder = folder
        self.write(SCRIPT)
        (folder / "sluice.toml").write_text('[[filter]]\nname = "s"\nscript = "s.lua"\n'
                                            '[[filter]]\nname = "rule"\nmatch = { event = "ping" }\n'
                                            'actions = [ { drop = true } ]\n')

    def write(self, text):
        (self.folder / "s.lua").write_text(text)

    def flags(self, *more, filters="rule,s"):
        return ("--config", str(self.folder / "sluice.toml"), "--filters", filters, *more)


@pytest.fixture
def scripts(tmp_path):
    return Scripts(tmp_path)


def event(what="x", number=0):
    return b'id: %d\ndata: {"what":"%s"}\n\n' % (number, what.encode())


def changed(what="x", number=0):
    return event(what, number).replace(b"}", b',"by":"one"}')


def said(gateway, text):
    wait_until(lambda: text in gateway.errors(), f"{text!r} in the log")


def open_stream(rig, gateway, upstream, *fields):
    client = rig.client(gateway)
    client.get("/events", *fields)
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert client.read_head().status == 200
    return client, server


def test_events_are_seen_and_the_end_is_told(rig, scripts):
    client, server = rig.stream(*scripts.flags())
    server.chunk(event(number=1) + b"event: ping\ndata: {}\n\n" + event("drop", 2) + b": c\n\n" + event(number=3))
    server.end_chunks()
    assert client.body.rest() == changed(number=1) + b": c\n\n" + changed(number=3)
    said(rig.gateways[0], "filter s: ended complete nobody 3")
    metrics = rig.gateways[0].metrics()
    assert metrics.sum("sluice_script_count_total", filter="s", counter="events", label="nobody") == 3
    assert metrics.sum("sluice_filter_events_total", filter="s", action="changed") == 2
    assert metrics.sum("sluice_filter_events_total", filter="s", action="dropped") == 1
    assert metrics.sum("sluice_script_states") == 1
    assert metrics.sum("sluice_script_memory_bytes") > 10_000


def test_cut_at_every_byte(rig, scripts):
    whole = event(number=1) + event("drop", 2) + event(number=3)
    expected = changed(number=1) + changed(number=3)
    client, server = rig.stream(*scripts.flags())
    for cut in range(1, len(whole)):
        server.chunk(whole[:cut])
        server.chunk(whole[cut:])
        assert client.body.read(len(expected)) == expected
    for byte in whole:
        server.chunk(bytes([byte]))
    assert client.body.read(len(expected)) == expected


@pytest.mark.parametrize("what, reason", [("loop", "script_limit"), ("memory", "script_limit"),
                                          ("error", "script_error")])
def test_what_fails_ends_its_stream_and_no_other(rig, scripts, tmp_path, what, reason):
    log = tmp_path / "access.log"
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags("--threads", "1", "--access-log", str(log)))
    neighbour, its_server = open_stream(rig, gateway, upstream, "X-User: neighbour")
    client, server = open_stream(rig, gateway, upstream, "X-User: joe")
    server.chunk(event(number=1))
    assert client.body.read(len(changed(number=1))) == changed(number=1)
    server.chunk(event(what, 2) + event(number=3))
    with pytest.raises(Aborted):
        client.body.rest()
    server.wait_closed()
    for number in range(20):
        its_server.chunk(event(number=number))
        assert neighbour.body.read(len(changed(number=number))) == changed(number=number)
    its_server.end_chunks()
    assert neighbour.body.rest() == b""
    said(gateway, f"script_failed ({reason}): GET /events")
    said(gateway, "filter s has failed: ")
    said(gateway, "filter s: ended script_failed joe 2")
    wait_until(lambda: f"reason={reason}" in log.read_text(), "the access log tells")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_filter_events_total", filter="s", action=reason) == 1
    assert metrics.sum("sluice_closes_total", reason="script_failed") == 1


def test_on_open_that_fails_refuses_the_request(rig, scripts):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags(filters="s"))
    client = rig.client(gateway)
    client.get("/events", "X-Refused: 1")
    head, _ = client.response()
    assert head.status == 503
    said(gateway, "filter s has failed: ")
    said(gateway, "not this one")
    client.get("/events", "X-Unseen: 1", "Accept-Encoding: gzip")
    server = upstream.accept()
    assert server.read_request().all("accept-encoding") == ["gzip"]
    server.start_events()
    server.chunk(event("loop"))
    server.end_chunks()
    assert client.response()[1] == event("loop")


def test_the_request_is_what_the_client_asked_for(rig, scripts):
    scripts.write("""
        function on_open(request)
          log(request.method .. "|" .. request.path .. "|" .. request.query .. "|" .. request.fields["X-user"])
          return false
        end""")
    upstream = rig.upstream(lambda server, request: server.respond())
    gateway = rig.gateway(upstream, *scripts.flags())
    client = rig.client(gateway)
    for target in ("/a%20b?c=d", "http://gateway.test/a%20b?c=d"):
        client.get(target, "x-USER: joe")
        assert client.response()[0].status == 200
    wait_until(lambda: gateway.errors().count("filter s: GET|/a%20b|c=d|joe") == 2, "both are told")
    http2 = rig.http2(gateway)
    assert http2.request("GET", "/h2?x", ("x-user", "ann")).response()[0].status == 200
    said(gateway, "filter s: GET|/h2|x|ann")


@pytest.mark.parametrize("ending", ["client_left", "upstream_truncated", "upstream_refused", "upstream_idle_timeout",
                                    "complete"])
def test_every_end_is_told_once(rig, scripts, ending):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags("--heal", "off", "--retries", "0",
                                                   "--stream-idle-timeout", "300ms" if ending.endswith("timeout") else "1h"))
    if ending == "upstream_refused":
        upstream.close()
        client = rig.client(gateway)
        client.get("/events")
        assert client.response()[0].status == 502
    else:
        client, server = open_stream(rig, gateway, upstream)
        server.chunk(event())
        assert client.body.read(len(changed())) == changed()
        if ending == "client_left":
            client.close()
            server.wait_closed()
        elif ending.startswith("upstream_"):
            if ending == "upstream_truncated":
                server.close()
            with pytest.raises(Aborted):
                client.body.rest()
        else:
            server.end_chunks()
            assert client.body.rest() == b""
    said(gateway, f"ended {ending} ")
    assert gateway.errors().count(": ended ") == 1


def test_the_end_of_the_process_is_told(rig, scripts):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags("--shutdown-grace", "1ms"))
    open_stream(rig, gateway, upstream)
    gateway.stop()
    assert gateway.errors().count("filter s: ended shutdown nobody 0") == 1


def test_a_script_ends_the_stream(rig, scripts):
    client, server = rig.stream(*scripts.flags())
    server.chunk(event(number=1) + event("stop", 2) + event(number=3))
    assert client.body.rest() == changed(number=1) + changed("stop", 2) + b"event: bye\ndata: {}\n\n"
    server.wait_closed()
    said(rig.gateways[0], "filter s: ended complete nobody 2")


def test_lines_are_few(rig, scripts):
    client, server = rig.stream(*scripts.flags("--threads", "1"))
    server.chunk(event("log"))
    assert client.body.read(len(changed("log"))) == changed("log")
    gateway = rig.gateways[0]
    said(gateway, "filter s: line 10")
    assert "line 99" not in gateway.errors()
    assert gateway.metrics().sum("sluice_script_lines_dropped_total") >= 80


def test_a_reload_under_live_streams(rig, scripts):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags("--threads", "1"))
    old, old_server = open_stream(rig, gateway, upstream, "X-User: old")
    old_server.chunk(event(number=1))
    assert old.body.read(len(changed(number=1))) == changed(number=1)
    scripts.write(SCRIPT.replace('"one"', '"two"'))
    assert gateway.admin("/reload", method="POST")[0].status == 200
    new, new_server = open_stream(rig, gateway, upstream, "X-User: new")
    for number in range(10):
        old_server.chunk(event(number=number))
        new_server.chunk(event(number=number))
        assert old.body.read(len(changed(number=number))) == changed(number=number)
        assert new.body.read(len(changed(number=number))) == changed(number=number).replace(b"one", b"two")
    assert gateway.metrics().sum("sluice_script_states") == 2
    old_server.end_chunks()
    assert old.body.rest() == b""
    said(gateway, "filter s: ended complete old 11")
    wait_until(lambda: gateway.metrics().sum("sluice_script_states") == 1, "the old state has gone")
    # A script with a mistake changes nothing.
    scripts.write("function on_event(event)\n  = 1\nend")
    response, text = gateway.admin("/reload", method="POST")
    assert response.status == 422
    assert "s.lua:2: unexpected symbol near '='" in text
    new_server.chunk(event())
    assert new.body.read(len(changed())) == changed().replace(b"one", b"two")


def test_over_http2(rig, scripts):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags())
    client = rig.http2(gateway)
    stream = client.request()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(event(number=1) + event("drop", 2) + event(number=3))
    server.end_chunks()
    assert stream.response()[1] == changed(number=1) + changed(number=3)


def test_over_http2_a_failure_resets_its_stream_alone(rig, scripts):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags())
    client = rig.http2(gateway)
    failing, neighbour = client.request(), client.request()
    servers = [upstream.accept(), upstream.accept()]
    for server in servers:
        server.read_request()
        server.start_events()
    assert [stream.head().status for stream in (failing, neighbour)] == [200, 200]
    servers[0].chunk(event("loop"))
    # Whichever of the two streams the connection was for.
    gateway.wait_metric("sluice_closes_total", 1, reason="script_failed")
    servers[1].chunk(event(number=7))
    servers[1].end_chunks()
    ended = {True: 0, False: 0}
    for stream in (failing, neighbour):
        try:
            assert stream.rest() == changed(number=7)
            ended[True] += 1
        except Aborted:
            ended[False] += 1
    assert ended == {True: 1, False: 1}


def test_a_script_and_compression(rig, scripts):
    client, server = rig.exchange(*scripts.flags("--compress", "gzip"), request=("GET", "/events", "Accept-Encoding: gzip"))
    server.start_events()
    server.chunk(event(number=1) + event("drop", 2))
    server.chunk(event(number=3))
    server.end_chunks()
    head, body = client.response()
    assert head.get("content-encoding") == "gzip"
    assert gzip.decompress(body) == changed(number=1) + changed(number=3)


def test_a_slow_client_gets_all(rig, scripts):
    count = 50000

    def play(server, request):
        server.start_events()
        server.chunk(b"".join(event(number=number) for number in range(count)))
        server.end_chunks()
    gateway = rig.gateway(rig.upstream(play), *scripts.flags("--client-sndbuf", "16k"))
    client = rig.client(gateway, rcvbuf=4096)
    client.get()
    assert client.read_head().status == 200
    gateway.wait_metric("sluice_backpressure_stalls_total", 1)
    assert client.body.rest() == b"".join(changed(number=number) for number in range(count))
    said(gateway, f"filter s: ended complete nobody {count}")


def test_memory_that_is_full_ends_streams_and_not_the_route(rig, scripts):
    """A script that keeps all that it sees in a global table."""
    scripts.write("""
        kept = {}
        function on_event(event)
          for i = 1, 200 do kept[#kept + 1] = event.data .. #kept .. ("x"):rep(1000) end
        end""")
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *scripts.flags("--script-memory", "1m"))
    for _ in range(6):
        client, server = open_stream(rig, gateway, upstream)
        passed = 0
        with pytest.raises(Aborted):
            while True:
                server.chunk(event())
                assert client.body.read(len(event())) == event()
                passed += 1
        assert passed > 0
        server.wait_closed()
    assert gateway.metrics().sum("sluice_script_memory_bytes") < 4 * 1024 * 1024


def test_a_resumed_stream_is_one_stream_to_a_script(rig, scripts):
    asked = []

    def play(server, request):
        asked.append(request.get("last-event-id"))
        server.start_events()
        if len(asked) == 1:
            server.chunk(event(number=1) + event("drop", 2))
            server.close()
        else:
            server.chunk(event("drop", 2) + event(number=3))
            server.end_chunks()
    gateway = rig.gateway(rig.upstream(play), *scripts.flags())
    client = rig.client(gateway)
    client.get()
    assert client.read_head().status == 200
    assert client.body.rest() == changed(number=1) + changed(number=3)
    assert asked == [None, "2"]
    said(gateway, "filter s: ended complete nobody 3")
    assert gateway.errors().count(": ended ") == 1


def test_memory_is_flat_over_many_events_and_streams(rig, scripts):
    def play(server, request):
        server.start_events()
        for _ in range(20):
            server.chunk(event() * 100)
        server.end_chunks()
    gateway = rig.gateway(rig.upstream(play), *scripts.flags("--threads", "1"))

    def run(streams):
        for number in range(streams):
            client = rig.client(gateway)
            client.get("/events", f"X-User: {number % 7}")
            assert client.response()[1] == changed() * 2000
            client.close()
        return gateway.metrics().sum("sluice_script_memory_bytes")
    warm = run(10)
    assert run(40) < warm + 200_000
    assert gateway.metrics().sum("sluice_script_count_total", counter="events") == 100_000


def test_a_failure_in_a_filter_test(scripts):
    done = subprocess.run([binary(), "--filter-test", *scripts.flags()[1:]], capture_output=True, check=False,
                          input=event(number=1) + event("loop", 2) + event(number=3))
    assert (done.returncode, done.stdout) == (1, changed(number=1))
    assert b"filter s has failed: " in done.stderr and b"it takes more than --script-instructions" in done.stderr
    assert b"s: ended script_failed nobody 2\n" in done.stderr
    assert b"s counts events{nobody} 2\n" in done.stderr


def test_check_says_what_is_wrong(scripts):
    scripts.write("\nfunction on_event(event) local end")
    done = subprocess.run([binary(), "--check", "--demo", *scripts.flags()], text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert re.search(r"sluice\.toml:3:10: filter s: script: \S*s\.lua:2: '<name>' expected near 'end'", done.stderr)
