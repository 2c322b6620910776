"""TLS on both sides: who is trusted, which certificate is shown, and how connections end. Plain
streams over TLS are tested by the same files as without (e2e.<file>.tls)."""

import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from harness import Aborted, held_port
from harness.wire import wait_until

SSE = "Content-Type: text/event-stream"


def served(pki, rig, upstream, *flags, names=()):
    return rig.gateway(upstream, "--listen", "https://127.0.0.1:0", *pki.flags(*names), *flags)


def get(rig, gateway, target="/", **options):
    client = rig.client(gateway, **options)
    client.get(target)
    head, body = client.response()
    client.close()
    return head.status, body


def hello(server, request):
    server.respond(b"hello")


def https(rig, pki, options="", handler=hello, name="server"):
    return rig.upstream(handler, tls=pki.server_context(name), tls_options=options)


def peer_names(client):
    return [value for _, value in client.sock.getpeercert()["subjectAltName"]]


# --- towards clients ---


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_reads_a_stream(rig, pki, version):
    def events(server, request):
        server.start_events()
        for i in range(5):
            server.chunk(b"data: %d\n\n" % i)
        server.end_chunks()

    gateway = served(pki, rig, rig.upstream(events))
    done = subprocess.run(
        ["curl", "-sS", "--cacert", pki.ca, f"--tlsv{version}", "--tls-max", version, "--max-time", "10",
         f"https://localhost:{gateway.port}/events"], capture_output=True, check=True)
    assert done.stdout == b"".join(b"data: %d\n\n" % i for i in range(5))
    metrics = gateway.metrics()
    assert metrics.sum("sluice_tls_handshakes_total", result="full", version=version) == 1
    assert 1 < metrics.sum("sluice_tls_certificate_days_left") <= 2


def test_the_upstream_is_told_of_https(rig, pki):
    def say(server, request):
        server.respond(request.get("x-forwarded-proto").encode())

    gateway = served(pki, rig, rig.upstream(say))
    assert get(rig, gateway, tls=pki.client_context()) == (200, b"https")


def test_the_name_chooses_the_certificate(rig, pki):
    pki.make("one", "DNS:one.test,DNS:*.wild.test")
    pki.make("two", "DNS:two.test")
    gateway = served(pki, rig, rig.upstream(hello), names=("server", "one", "two"))
    for name, expected in (("one.test", "one.test"), ("a.wild.test", "one.test"), ("two.test", "two.test"),
                           ("localhost", "localhost")):
        client = rig.client(gateway, tls=pki.client_context(), name=name)
        assert expected in peer_names(client)
    with pytest.raises(ssl.SSLCertVerificationError):
        rig.client(gateway, tls=pki.client_context(), name="a.b.wild.test")
    gateway.wait_metric("sluice_tls_handshakes_total", 1, result="alert")


def test_sessions_are_resumed_on_every_worker(rig, pki):
    gateway = served(pki, rig, rig.upstream(hello), "--threads", "2")
    context = pki.client_context()
    session = None
    for _ in range(6):
        raw = socket.create_connection(("127.0.0.1", gateway.port))
        sock = context.wrap_socket(raw, server_hostname="localhost", session=session)
        assert sock.session_reused == (session is not None)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        session = sock.session
        sock.close()
    assert gateway.metrics().sum("sluice_tls_handshakes_total", result="resumed") == 5


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"DELETE /v1/x HTTP/1.1", b"OPTIONS * HTTP/1.1",
                                  b"PRI * HTTP/2.0"])
def test_plain_http_is_told_so(rig, pki, line):
    gateway = served(pki, rig, rig.upstream(hello))
    client = rig.client(gateway)
    client.send(line + b"\r\nHost: a\r\n\r\n")
    head, body = client.response()
    assert head.status == 400 and b"https://" in body
    client.wait_closed()
    assert gateway.metrics().sum("sluice_tls_handshakes_total", result="plain_http") == 1


def test_tls_on_a_plain_port_is_refused(rig, pki):
    gateway = rig.gateway(rig.upstream(hello))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        rig.client(gateway, tls=pki.client_context())
    assert gateway.metrics().sum("sluice_bad_requests_total", reason="not_http") == 1


def test_a_client_that_hangs_in_its_handshake_is_closed(rig, pki):
    gateway = served(pki, rig, rig.upstream(hello), "--tls-handshake-timeout", "200ms")
    silent = rig.client(gateway)
    halfway = rig.client(gateway)
    halfway.send(b"\x16\x03\x01\x02\x00\x01")
    assert silent.wait_closed() == "fin"
    assert halfway.wait_closed() in ("fin", "rst")
    # A client hears of the end before its connection is gone, with which its handshake is counted.
    gateway.wait_metric("sluice_tls_handshakes_total", 2, result="abandoned")
    assert gateway.metrics().sum("sluice_tls_handshakes_total", result="abandoned") == 2
    assert get(rig, gateway, tls=pki.client_context()) == (200, b"hello")


def test_so_many_handshakes_and_the_others_wait(rig, pki):
    gateway = served(pki, rig, rig.upstream(hello), "--tls-handshakes-max", "3", "--tls-handshake-timeout", "0")
    hanging = [rig.client(gateway) for _ in range(3)]
    gateway.wait_metric("sluice_tls_handshakes_under_way", 3)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(get(rig, gateway, tls=pki.client_context())))
    waiting.start()
    waiting.join(0.3)
    assert not answers and gateway.metrics().sum("sluice_tls_handshakes_under_way") == 3
    hanging.pop().close()
    waiting.join(10)
    assert answers == [(200, b"hello")]


# --- reload ---


def reload(gateway):
    response, body = gateway.admin("/reload", method="POST")
    return response.status, body


def test_a_reload_reads_certificates_again_under_running_streams(rig, pki):
    upstream = rig.upstream()
    gateway = served(pki, rig, upstream)
    client = rig.client(gateway, tls=pki.client_context())
    client.get("/events")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    client.read_head()
    before = client.sock.getpeercert()["serialNumber"]

    pki.make("server", "DNS:localhost,DNS:new.test")
    assert reload(gateway)[0] == 200
    fresh = rig.client(gateway, tls=pki.client_context(), name="new.test")
    assert fresh.sock.getpeercert()["serialNumber"] != before
    server.chunk(b"data: still\n\n")
    assert client.body.event() == b"data: still\n\n"


@pytest.mark.parametrize("idle_max, resumed", [("64", 0), ("0", 1)])
def test_a_reload_keeps_what_has_not_changed_towards_upstreams(rig, pki, idle_max, resumed):
    """Connections, and where none is kept, sessions."""
    upstream = https(rig, pki, f";ca={pki.ca}")
    gateway = rig.gateway(upstream, "--upstream-keepalive", idle_max)
    assert get(rig, gateway) == (200, b"hello")
    assert reload(gateway)[0] == 200
    assert get(rig, gateway) == (200, b"hello")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_upstream_tls_handshakes_total", result="full") == 1
    assert metrics.sum("sluice_upstream_tls_handshakes_total", result="resumed") == resumed


def test_a_ca_that_is_withdrawn_is_trusted_no_more(rig, pki):
    """Not by connections either that were made before."""
    trusted = os.path.join(pki.folder, "trusted.pem")
    shutil.copy(os.path.join(pki.folder, "ca.pem"), trusted)
    upstream = https(rig, pki, f";ca={trusted}")
    gateway = rig.gateway(upstream)
    assert get(rig, gateway) == (200, b"hello")
    gateway.wait_metric("sluice_upstream_idle_connections", 1)
    pki.make("stranger", "DNS:stranger.test", issuer=None)
    os.replace(os.path.join(pki.folder, "stranger.pem"), trusted)
    assert reload(gateway)[0] == 200
    assert get(rig, gateway)[0] == 502


def test_clients_that_say_nothing_do_not_keep_others_out_for_long(rig, pki):
    gateway = served(pki, rig, rig.upstream(hello), "--tls-handshakes-max", "4", "--tls-handshake-timeout", "1h")
    silent = [rig.client(gateway) for _ in range(4)]
    gateway.wait_metric("sluice_tls_handshakes_under_way", 4)
    assert get(rig, gateway, tls=pki.client_context()) == (200, b"hello")
    assert any(not one.fill() for one in silent)


def test_a_broken_certificate_refuses_the_reload(rig, pki):
    gateway = served(pki, rig, rig.upstream(hello))
    path = os.path.join(pki.folder, "server.pem")
    with open(path) as file:
        whole = file.read()
    with open(path, "w") as file:
        file.write(whole[:200])
    status, body = reload(gateway)
    assert status != 200 and "server.pem holds no certificate" in body
    wait_until(lambda: "server.pem holds no certificate" in gateway.errors(), "the log says so, too")
    assert get(rig, gateway, tls=pki.client_context()) == (200, b"hello"), "with the one from before"
    pki.make("other", "DNS:localhost")
    os.replace(os.path.join(pki.folder, "other.pem"), path)
    assert "is not that of the certificate" in reload(gateway)[1]


def test_listeners_change_between_plain_and_tls(rig, pki, tmp_path):
    config = tmp_path / "sluice.toml"
    upstream = rig.upstream(hello)
    keys = f'upstream = "{upstream.url}"\ntls-cert = "{pki.folder}/server.pem"\ntls-key = "{pki.folder}/server.key"\n'
    with held_port() as port:
        config.write_text(keys + f'listen = "127.0.0.1:{port}"\n')
        gateway = rig.gateway(None, "--config", str(config), listens=True)
        assert get(rig, gateway) == (200, b"hello")
        config.write_text(keys + f'listen = "https://127.0.0.1:{port}"\n')
        assert reload(gateway)[0] == 200

        def secured():
            try:
                return get(rig, gateway, tls=pki.client_context()) == (200, b"hello")
            except (ssl.SSLError, ConnectionError):
                return False  # the former listener still took it in

        wait_until(secured, "TLS is spoken there")


# --- towards upstreams ---


def test_an_upstream_is_verified(rig, pki):
    upstream = https(rig, pki, f";ca={pki.ca}")
    gateway = rig.gateway(upstream)
    assert get(rig, gateway) == (200, b"hello")
    assert gateway.metrics().sum("sluice_upstream_tls_handshakes_total", result="full") == 1


@pytest.mark.parametrize("names, days, issuer, reason", [
    ("DNS:other.test", 2, "ca", "certificate_of_another_name"),
    ("IP:127.0.0.1", -1, "ca", "certificate_expired"),
    ("IP:127.0.0.1", 2, None, "certificate_self_signed"),
    ("IP:127.0.0.1", 2, "ca2", "certificate_of_unknown_ca"),
])
def test_an_upstream_that_is_not_trusted_gets_no_request(rig, pki, names, days, issuer, reason):
    pki._make("ca2", "-x509", "-addext", "basicConstraints=critical,CA:TRUE")
    pki.make("bad", names, days, issuer)
    upstream = rig.upstream()
    upstream.url = upstream.url.replace("http://", "https://") + f";ca={pki.ca}"
    gateway = rig.gateway(upstream, "--retries", "0")
    errors = []

    def shake_hands():
        try:
            upstream.tls = pki.server_context("bad")
            upstream.accept().read_head()
        except (ssl.SSLError, OSError, Aborted) as error:
            errors.append(error)

    thread = threading.Thread(target=shake_hands)
    thread.start()
    assert get(rig, gateway)[0] == 502
    thread.join()
    assert errors, "it never saw a request"
    metrics = gateway.metrics()
    assert metrics.sum("sluice_upstream_tls_handshakes_total", result="certificate") == 1
    assert metrics.sum("sluice_closes_total", reason="upstream_tls") == 1
    wait_until(lambda: reason in gateway.errors(), f"the log says {reason}")


def test_insecure_is_an_explicit_word_and_a_warning(rig, pki):
    pki.make("bad", "DNS:other.test", -1, None)
    upstream = https(rig, pki, ";insecure=on", name="bad")
    gateway = rig.gateway(upstream)
    assert get(rig, gateway) == (200, b"hello")
    assert "is not verified (insecure=on)" in gateway.errors()


def test_another_upstream_takes_over_and_the_first_is_ejected(rig, pki):
    pki.make("bad", "DNS:other.test")
    bad = https(rig, pki, f";ca={pki.ca}", name="bad")
    good = https(rig, pki, f";ca={pki.ca}")
    gateway = rig.gateway(bad, "--upstream", good.url, "--balance", "round-robin", "--eject-after", "2")
    for _ in range(6):
        assert get(rig, gateway) == (200, b"hello")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_retries_total", **{"class": "tls"}) >= 1
    assert metrics.sum("sluice_upstream_ejections_total", upstream=bad.url, reason="tls") == 1


def test_sessions_with_upstreams_are_resumed(rig, pki):
    upstream = https(rig, pki, f";ca={pki.ca}")
    gateway = rig.gateway(upstream, "--upstream-keepalive", "0")
    for _ in range(4):
        assert get(rig, gateway) == (200, b"hello")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_upstream_tls_handshakes_total", result="full") == 1
    assert metrics.sum("sluice_upstream_tls_handshakes_total", result="resumed") == 3


def test_a_client_certificate_is_shown(rig, pki):
    pki.make("me", "DNS:me.test")
    context = pki.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.ca)
    upstream = rig.upstream(
        hello, tls=context,
        tls_options=f";ca={pki.ca};cert={pki.folder}/me.pem;key={pki.folder}/me.key")
    assert get(rig, rig.gateway(upstream)) == (200, b"hello")


def test_an_alert_is_heard_while_a_request_is_sent(rig, pki):
    """In TLS 1.3 a client learns only behind its first bytes that it needs a certificate."""
    context = pki.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.ca)
    upstream = rig.upstream(tls=None, tls_options="")
    upstream.url = upstream.url.replace("http://", "https://") + f";ca={pki.ca}"
    gateway = rig.gateway(upstream, "--retries", "0")
    client = rig.client(gateway)

    def upload():
        try:
            client.request("POST", "/", body=b"b" * 20_000_000)
        except OSError:
            pass

    pushing = threading.Thread(target=upload, daemon=True)
    pushing.start()
    server = upstream.accept()
    # By then more is on its way than the sockets hold, behind the gateway's part of the handshake.
    tls = context.wrap_socket(server.sock, server_side=True, do_handshake_on_connect=False)
    with pytest.raises(ssl.SSLError):
        tls.do_handshake()
    assert client.read_head().status == 502
    wait_until(lambda: "alert" in gateway.errors(), "the log says alert")
    assert gateway.metrics().sum("sluice_closes_total", reason="upstream_tls") == 1
    client.close()
    pushing.join(10)
    tls.close()


def test_an_upstream_without_tls_is_found_out(rig, pki):
    upstream = rig.upstream()
    upstream.url = upstream.url.replace("http://", "https://") + f";ca={pki.ca}"
    gateway = rig.gateway(upstream, "--retries", "0")
    client = rig.client(gateway)
    client.get("/")
    server = upstream.accept()
    server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert client.read_head().status == 502
    assert gateway.metrics().sum("sluice_closes_total", reason="upstream_tls") == 1


def test_a_cut_never_ends_cleanly(rig, pki):
    """A body that ends with its connection, whose FIN comes without TLS's own end."""
    upstream = rig.upstream(tls=pki.server_context(), tls_options=f";ca={pki.ca}")
    client, server = rig.exchange("--heal", "off", upstream=upstream)
    server.send_head(SSE)
    server.send(b"data: 1\n\n")
    assert client.read_head().status == 200
    assert client.body.event() == b"data: 1\n\n"
    server.cut()
    assert client.body.until_abort() == b""
    assert rig.gateways[0].metrics().sum("sluice_closes_total", reason="upstream_truncated") == 1


def test_an_end_in_order_is_one(rig, pki):
    upstream = rig.upstream(tls=pki.server_context(), tls_options=f";ca={pki.ca}")
    client, server = rig.exchange(upstream=upstream)
    server.send_head(SSE)
    server.send(b"data: 1\n\n")
    client.read_head()
    server.close()
    assert client.body.rest() == b"data: 1\n\n"


def test_probes_go_over_tls(rig, pki):
    upstream = https(rig, pki, f";ca={pki.ca}")
    gateway = rig.gateway(upstream, "--health", "/healthz", "--health-interval", "100ms")
    gateway.wait_metric("sluice_health_probes_total", 2, result="passed")
    assert upstream.requests[0].target == "/healthz"


def test_a_probe_of_a_stranger_fails(rig, pki):
    pki.make("bad", "DNS:other.test")
    upstream = https(rig, pki, f";ca={pki.ca}", name="bad")
    gateway = rig.gateway(upstream, "--health", "/healthz", "--health-interval", "100ms")
    gateway.wait_metric("sluice_health_probes_total", 2, result="tls")


# --- mistakes ---


@pytest.mark.parametrize("flags, complaint", [
    (["--listen", "https://127.0.0.1:0"], "https needs a certificate"),
    (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "/nowhere cannot be read"),
    (["--upstream", "https://localhost;ca=/nowhere"], "ca=/nowhere holds no certificates"),
])
def test_mistakes_are_found_by_a_check(flags, complaint):
    done = subprocess.run([os.environ["SLUICE_BIN"], "--check", "--demo", *flags], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1
