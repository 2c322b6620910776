"""--tls-records=lean: what clients of other makes see of it, and how connections end. Plain streams
over it are tested by other files again (e2e.<file>.tls-lean)."""

import os
import socket
import ssl
import subprocess

import pytest

from harness.gateway import sanitized
from harness.wire import wait_until

SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
REQUEST = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"


def lean(pki, rig, upstream, *flags):
    return rig.gateway(upstream, "--listen", "https://127.0.0.1:0", *pki.flags(), "--tls-records", "lean", *flags)


def hello(server, request):
    server.respond(b"hello")


class SClient:
    """openssl s_client, which takes commands: K updates its keys and asks for ours."""

    def __init__(self, gateway, pki, *flags):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-CAfile", pki.ca, "-tls1_3", "-crlf",
             *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.said = b""

    def type(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def wait(self, text):
        def there():
            self.said += self.process.stdout.read() or b""
            return text in self.said

        wait_until(there, text)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0, self.said
        self.process.stdout.close()


@pytest.mark.parametrize("suite", SUITES)
def test_curl_reads_and_writes(rig, pki, suite):
    body = os.urandom(3_000_000)

    def echo(server, request):
        server.respond(request.content)

    gateway = lean(pki, rig, rig.upstream(echo))
    done = subprocess.run(
        ["curl", "-sS", "--cacert", pki.ca, "--tlsv1.3", "--tls13-ciphers", suite, "--max-time", "20", "--data-binary",
         "@-", f"https://localhost:{gateway.port}/"], input=body, capture_output=True, check=True)
    assert done.stdout == body
    metrics = gateway.metrics()
    assert metrics.sum("sluice_tls_lean_connections_total") == 1
    assert metrics.sum("sluice_tls_records_total", direction="opened", kind="data") > 180
    assert metrics.sum("sluice_tls_records_total", direction="sealed", kind="data") > 180
    assert metrics.sum("sluice_tls_record_errors_total") == 0


def test_s_client_updates_keys_between_requests(rig, pki):
    """While a response runs over HTTP/1.1 its client is not read."""
    numbers = iter(range(100))
    gateway = lean(pki, rig, rig.upstream(lambda server, request: server.respond(b"answer-%d;" % next(numbers))))
    client = SClient(gateway, pki)
    for i, command in enumerate((b"", b"K\n", b"k\n", b"K\n", b"K\n")):
        if command:
            client.type(command)
            client.wait(b"KEYUPDATE\n")
            client.said = b""
        client.type(b"GET / HTTP/1.1\nHost: a\n\n")
        client.wait(b"answer-%d;" % i)
    metrics = gateway.metrics()
    assert metrics.sum("sluice_tls_key_updates_total", direction="received") == 4
    assert metrics.sum("sluice_tls_key_updates_total", direction="sent") == 3
    assert metrics.sum("sluice_client_protocols_total", protocol="http1") == 1
    client.close()


def test_s_client_resumes_its_session(rig, pki, tmp_path):
    gateway = lean(pki, rig, rig.upstream(hello))
    session = str(tmp_path / "session.pem")
    for flags, expected in ((["-sess_out", session], b"New, TLSv1.3"), (["-sess_in", session], b"Reused, TLSv1.3")):
        client = SClient(gateway, pki, *flags)
        client.type(b"GET /events HTTP/1.1\nHost: a\n\n")
        client.wait(b"hello")
        assert expected in client.said
        client.close()
    metrics = gateway.metrics()
    assert metrics.sum("sluice_tls_handshakes_total", result="resumed") == 1
    assert metrics.sum("sluice_tls_lean_connections_total") == 2


def test_tls_12_keeps_openssl_object(rig, pki):
    gateway = lean(pki, rig, rig.upstream(hello))
    context = pki.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = rig.client(gateway, tls=context)
    client.get("/")
    assert client.response()[1] == b"hello"
    assert gateway.metrics().sum("sluice_tls_lean_connections_total") == 0


def test_a_reload_changes_it_for_new_connections(rig, pki, tmp_path):
    config = tmp_path / "sluice.toml"
    upstream = rig.upstream(hello)
    base = (f'upstream = "{upstream.url}"\nlisten = "https://127.0.0.1:0"\ntls-cert = "{pki.folder}/server.pem"\n'
            f'tls-key = "{pki.folder}/server.key"\n')
    config.write_text(base)
    gateway = rig.gateway(None, "--config", str(config), listens=True)
    clients = []
    for records, count in (("lean", 1), ("openssl", 1)):
        config.write_text(base + f'tls-records = "{records}"\n')
        assert gateway.admin("/reload", method="POST")[0].status == 200
        clients.append(rig.client(gateway, tls=pki.client_context()))
        for client in clients:
            client.get("/")
            assert client.response()[1] == b"hello"
        assert gateway.metrics().sum("sluice_tls_lean_connections_total") == count


# --- endings ---


def test_our_end_is_in_order(rig, pki):
    upstream = rig.upstream()
    gateway = lean(pki, rig, upstream)
    client = rig.client(gateway, tls=pki.client_context())
    client.get("/events", version="1.0")
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"data: 1\n\n")
    server.end_chunks()
    client.read_head()
    assert client.body.rest() == b"data: 1\n\n"  # a FIN without close_notify would be an error here
    assert client.wait_closed() == "fin"


class HalfClosing:
    """A client that says close_notify and goes on reading, or only sends a FIN."""

    def __init__(self, gateway, pki):
        self.sock = socket.create_connection(("127.0.0.1", gateway.port))
        self.sock.settimeout(10)
        self.into = ssl.MemoryBIO()
        self.out = ssl.MemoryBIO()
        self.tls = pki.client_context().wrap_bio(self.into, self.out, server_hostname="localhost")
        self.call(self.tls.do_handshake)
        self.tls.write(REQUEST)
        self.flush()

    def flush(self):
        if self.out.pending:
            self.sock.sendall(self.out.read())

    def call(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                self.into.write(self.sock.recv(100_000))
            finally:
                self.flush()

    def read_until(self, end):
        said = b""
        while end not in said:
            said += self.call(lambda: self.tls.read(10_000))
        return said

    def say_end(self):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()

    def close(self):
        self.sock.close()


def test_close_notify_is_an_end_and_not_a_cut(rig, pki):
    upstream = rig.upstream()
    gateway = lean(pki, rig, upstream, "--half-close", "allow")
    client = HalfClosing(gateway, pki)
    rig.clients.append(client)
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"data: 1\n\n")
    client.read_until(b"data: 1\n\n")
    client.say_end()
    gateway.wait_metric("sluice_tls_records_total", 1, direction="opened", kind="alert")
    server.chunk(b"data: 2\n\n")
    client.read_until(b"data: 2\n\n")
    server.end_chunks()
    client.read_until(b"0\r\n\r\n")


def test_a_fin_alone_is_a_cut(rig, pki):
    """Even where clients may shut down their sending side: the stream ends, and the upstream is told."""
    upstream = rig.upstream()
    gateway = lean(pki, rig, upstream, "--half-close", "allow")
    client = HalfClosing(gateway, pki)
    rig.clients.append(client)
    server = upstream.accept()
    server.read_request()
    server.start_events()
    server.chunk(b"data: 1\n\n")
    client.read_until(b"data: 1\n\n")
    client.sock.shutdown(socket.SHUT_WR)
    server.wait_closed()


@pytest.mark.parametrize("wire, alert, told", [
    (b"\x14\x03\x03\x00\x01\x01", "unexpected_message", "UNEXPECTED_MESSAGE"),
    (b"\x17\x03\x03\x00\x20" + bytes(32), "bad_record_mac", "BAD_RECORD_MAC"),
    (b"\x17\x03\x03\x41\x01", "record_overflow", "RECORD_OVERFLOW"),
    (b"GET / HTTP/1.1\r\n\r\n", "unexpected_message", "UNEXPECTED_MESSAGE"),
], ids=["change_cipher_spec", "bad_tag", "too_long", "http"])
def test_what_is_no_record_is_told_by_an_alert(rig, pki, wire, alert, told):
    gateway = lean(pki, rig, rig.upstream(hello))
    client = rig.client(gateway, tls=pki.client_context())
    client.get("/")
    assert client.response()[1] == b"hello"
    os.write(client.sock.fileno(), wire)  # beneath its TLS
    with pytest.raises(ssl.SSLError, match=told):
        client.sock.recv(100)
    metrics = gateway.metrics()
    assert metrics.sum("sluice_tls_record_errors_total", alert=alert) == 1
    assert metrics.sum("sluice_tls_broken_total", side="client") == 1


def test_memory_of_an_idle_stream_is_a_fraction(rig, pki):
    """The SSL object's 14 KB are gone (docs/tls-records.md has the figures)."""
    if sanitized():
        pytest.skip("a sanitizer keeps what is freed")
    grown = {}
    for records in ("openssl", "lean"):
        upstream = rig.upstream(hello)
        gateway = rig.gateway(upstream, "--listen", "https://127.0.0.1:0", *pki.flags(), "--tls-records", records)
        context = pki.client_context()
        sizes = []
        for count in (100, 600):
            while len(rig.clients) < count:
                client = rig.client(gateway, tls=context)
                client.get("/")
                client.response()
            sizes.append(gateway.resident_bytes())
        grown[records] = (sizes[1] - sizes[0]) / 500
        for client in rig.clients:
            client.close()
        rig.clients.clear()
    assert grown["lean"] < grown["openssl"] / 3, grown
