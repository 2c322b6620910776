"""Upstreams that have names, which a real DNS server gives addresses to: changes, failures, silence."""

import collections
import shutil

import pytest

from harness import Rig
from harness.dns import FailingServer, NameServer, free_port, system_files
from harness.netns import Namespace, why_unavailable
from harness.wire import wait_until

QUICK = ("--dns-ttl-min", "200ms", "--dns-ttl-max", "1s", "--upstream-keepalive", "0")


class NamesRig(Rig):
    """All in one namespace, with a name server of its own. Upstreams share a port, on addresses of
    their own."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.names = NameServer(folder)
        self.port = free_port()

    def at(self, address, port=None, handler=None):
        """An upstream that says where it is."""
        def say(server, request):
            server.respond(server.sock.getsockname()[0].encode())

        return super().upstream(handler or say, host=address, port=port or self.port)

    def start(self, name, *flags, **files):
        return self.gateway(None, "--upstream", f"http://{name}:{self.port}", *QUICK, *flags,
                            before_exec=system_files(self.folder, **files))

    def get(self, gateway, target="/"):
        client = self.client(gateway)
        client.get(target)
        head, body = client.response()
        client.close()
        return head.status, body.decode()

    def wait_answer(self, gateway, status, body=None):
        def answered():
            got = self.get(gateway)  # once: a group's upstreams take turns, and two requests would stay in step
            return got[0] == status and body in (None, got[1])

        wait_until(answered, f"{status} {body}")

    def finish(self):
        super().finish()
        self.names.close()


@pytest.fixture
def rig(tmp_path):
    if reason := why_unavailable():
        pytest.skip(reason)
    if not shutil.which("dnsmasq", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs dnsmasq")
    namespace = Namespace()
    namespace.run("ip link set lo up")
    with namespace:
        rig = NamesRig(tmp_path)
        yield rig
        rig.finish()


def lookups(gateway, result):
    return gateway.metrics().sum("sluice_dns_answers_total", result=result)


def test_a_name_of_the_systems_servers(rig):
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test.")
    assert rig.get(gateway) == (200, "127.0.0.5")
    wait_until(lambda: "is at 127.0.0.5" in gateway.errors(), "it tells")


def test_search_domains(rig):
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app", resolv_conf="nameserver 127.0.0.1\nsearch nowhere.test test\n")
    assert rig.get(gateway) == (200, "127.0.0.5")


def test_the_hosts_file(rig):
    rig.at("127.0.0.6")
    gateway = rig.start("app.example", hosts="127.0.0.6 app.example\n")
    assert rig.get(gateway) == (200, "127.0.0.6")


def test_a_name_in_the_hosts_file_is_asked_of_nobody_else(rig):
    """The servers have another address for it, of the other family."""
    rig.names.serve(app="127.0.0.5 ::1")
    rig.at("127.0.0.6")
    gateway = rig.start("app.test", hosts="127.0.0.6 app.test\n")
    assert [rig.get(gateway) for _ in range(6)] == [(200, "127.0.0.6")] * 6
    assert rig.names.queries("app.test") == 0


def test_a_resolv_conf_that_comes_later(rig):
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test", resolv_conf="nameserver 127.0.0.9\n")
    rig.wait_answer(gateway, 502)
    (rig.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="ascii")
    rig.wait_answer(gateway, 200)


def test_a_health_check_follows_a_name(rig):
    """An upstream that is left out gets no requests; its probes have to find out that it has moved."""
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.6")
    other = rig.upstream(lambda server, request: server.respond(b"other"))
    gateway = rig.start("app.test", "--upstream", other.url, "--dns-ttl-min", "10m", "--dns-ttl-max", "10m",
                        "--health", "/", "--health-interval", "200ms", "--health-fail", "1", "--slow-start", "0")
    wait_until(lambda: "unhealthy" in gateway.admin("/upstreams")[1], "it is left out")
    rig.names.serve(app="127.0.0.6")
    rig.wait_answer(gateway, 200, "127.0.0.6")


def test_servers_of_our_own(rig):
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test", "--dns-servers", "127.0.0.1", resolv_conf="nameserver 192.0.2.1\n")
    assert rig.get(gateway) == (200, "127.0.0.5")


def test_localhost_on_ipv6_alone(rig):
    rig.at("::1")
    gateway = rig.start("localhost")
    assert [rig.get(gateway) for _ in range(4)] == [(200, "::1")] * 4
    assert gateway.metrics().sum("sluice_upstream_connect_errors_total") == 0


def test_localhost_on_ipv4_alone(rig):
    rig.at("127.0.0.1")
    gateway = rig.start("localhost")
    assert [rig.get(gateway) for _ in range(4)] == [(200, "127.0.0.1")] * 4


def test_all_addresses_are_used_and_a_dead_one_is_not_seen(rig):
    rig.names.serve(app="127.0.0.5 127.0.0.6 127.0.0.7")
    rig.at("127.0.0.5")
    rig.at("127.0.0.7")
    gateway = rig.start("app.test")
    answers = collections.Counter(rig.get(gateway) for _ in range(20))
    assert set(answers) == {(200, "127.0.0.5"), (200, "127.0.0.7")}


def test_an_address_that_answers_nothing_is_not_waited_for(rig):
    """Packets to it are lost: the next address is tried 250 ms later, and the dead one then comes last."""
    rig.names.serve(app="127.0.0.5 127.0.0.6")
    rig.at("127.0.0.5")
    Namespace.run_here("nft add table inet t ; add chain inet t i { type filter hook input priority 0 ; } ;"
                       " add rule inet t i ip daddr 127.0.0.6 drop")
    gateway = rig.start("app.test", "--connect-timeout", "2s")
    assert [rig.get(gateway) for _ in range(10)] == [(200, "127.0.0.5")] * 10


def test_a_hundred_addresses(rig):
    """More than a packet holds: the answer comes over TCP."""
    rig.names.serve(app=" ".join(f"127.0.1.{i}" for i in range(1, 101)))
    rig.at("0.0.0.0")
    gateway = rig.start("app.test", "--dns-ttl-max", "10m", "--dns-ttl-min", "5m")
    assert len({rig.get(gateway)[1] for _ in range(100)}) == 100


def test_a_change_moves_new_requests_and_no_running_stream(rig):
    def stream(server, request):
        if request.target != "/stream":
            server.respond(b"old")
            return
        server.start_events()
        server.chunk(b"data: 1\n\n")
        server.read_head()  # until it is closed
    rig.names.serve(app="127.0.0.5")
    old = rig.at("127.0.0.5", handler=stream)
    rig.at("127.0.0.6")
    gateway = rig.start("app.test", "--upstream-keepalive", "8")
    client = rig.client(gateway)
    client.get("/stream")
    client.read_head()
    assert client.body.event() == b"data: 1\n\n"
    assert rig.get(gateway) == (200, "old")
    rig.names.serve(app="127.0.0.6")
    rig.wait_answer(gateway, 200, "127.0.0.6")
    old.connections[0].chunk(b"data: 2\n\n")
    assert client.body.event() == b"data: 2\n\n"
    wait_until(lambda: gateway.metrics().sum("sluice_upstream_connections") == 2,
               "the idle connection to the old address is closed")
    client.close()


def test_a_name_that_comes_later(rig):
    gateway = rig.start("app.test")
    status, body = rig.get(gateway)
    assert status == 502 and "has no address" in body
    wait_until(lambda: "has no address: no_such_name" in gateway.errors(), "it tells")
    rig.at("127.0.0.5")
    rig.names.serve(app="127.0.0.5")
    rig.wait_answer(gateway, 200)


def test_a_name_that_goes(rig):
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test")
    rig.wait_answer(gateway, 200)
    rig.names.serve(other="127.0.0.5")
    rig.wait_answer(gateway, 502)
    assert gateway.metrics().sum("sluice_closes_total", reason="upstream_unresolved") >= 1


def test_a_search_domain_whose_server_fails_does_not_hide_the_next(rig):
    failing = FailingServer()
    rig.names.close()
    rig.names = NameServer(rig.folder, source=f"--server=/broken/{failing.address}")
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app", resolv_conf="nameserver 127.0.0.1\nsearch broken test\n")
    assert rig.get(gateway) == (200, "127.0.0.5")
    failing.close()


@pytest.mark.parametrize("how", ["refused", "servfail"])
def test_the_old_answer_stays_while_the_server_fails(rig, how):
    """It has lost its names, and knows nobody else to ask for them, or somebody who cannot tell."""
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test")
    rig.wait_answer(gateway, 200)
    rig.names.close()
    failing = FailingServer()
    knows = {"refused": "/example/127.0.0.1", "servfail": f"/test/{failing.address}"}
    rig.names = NameServer(rig.folder, source=f"--server={knows[how]}")
    failed = lookups(gateway, "failed")
    gateway.wait_metric("sluice_dns_answers_total", failed + 2, result="failed")
    assert rig.get(gateway) == (200, "127.0.0.5")
    failing.close()


def test_the_old_answer_stays_while_the_server_is_silent(rig):
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test")
    rig.wait_answer(gateway, 200)
    rig.names.stop()
    gateway.wait_metric("sluice_dns_answers_total", lookups(gateway, "failed") + 2, result="failed")
    assert rig.get(gateway) == (200, "127.0.0.5")
    rig.names.go_on()
    rig.names.serve(app="127.0.0.6")
    rig.at("127.0.0.6")
    rig.wait_answer(gateway, 200, "127.0.0.6")


def test_a_silent_server_at_the_start_holds_nobody_up_for_long(rig):
    rig.names.stop()
    rig.at("127.0.0.5")
    other = rig.upstream(lambda server, request: server.respond(b"other"))
    gateway = rig.start("app.test", "--route", f"path=/other,upstream={other.url}")
    waits = rig.client(gateway)
    waits.get("/")
    wait_until(lambda: [stream["state"] for stream in gateway.streams()] == ["resolving"], "it waits")
    assert rig.get(gateway, "/other") == (200, "other")
    assert waits.response()[0].status == 502
    rig.names.go_on()
    rig.names.serve(app="127.0.0.5")
    rig.wait_answer(gateway, 200)


def test_a_time_to_live_of_nothing_is_kept_for_the_least_time(rig):
    rig.names.close()
    rig.names = NameServer(rig.folder, 0)
    rig.names.serve(app="127.0.0.5")
    rig.at("127.0.0.5")
    gateway = rig.start("app.test", "--dns-ttl-min", "10m", "--dns-ttl-max", "10m")
    for _ in range(20):
        assert rig.get(gateway) == (200, "127.0.0.5")
    assert rig.names.queries("app.test") == 2


def test_a_reload_reads_the_systems_files_again(rig):
    rig.at("127.0.0.6")
    gateway = rig.start("app.example", hosts="127.0.0.5 app.example\n")
    rig.wait_answer(gateway, 502)
    (rig.folder / "hosts").write_text("127.0.0.6 app.example\n", encoding="ascii")
    assert gateway.admin("/reload", method="POST")[0].status == 200
    rig.wait_answer(gateway, 200)
