"""What stands behind the address of --listen: PROXY headers from a load balancer, and listeners that
only send on to https."""

import json
import socket
import ssl
import struct
import subprocess

import pytest

from harness.gateway import binary
from harness.wire import wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n"


def binary_header(source="192.0.2.7", command=0x21, behind=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    address = socket.inet_pton(family, source)
    addresses = address * 2 + struct.pack(">HH", 56324, 443) + behind
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack(">BBH", command, kind, len(addresses)) + addresses


def told(server, request):
    server.respond(request.get("x-forwarded-for").encode())


def proxied(rig, *flags, tls=None):
    flags = [*(tls.flags() if tls else ()), *flags]
    return rig.gateway(rig.upstream(told), "--listen", f"{'https' if tls else 'http'}://127.0.0.1:0;proxy-protocol",
                       *flags)


def wait_result(gateway, result, count=1):
    gateway.wait_metric("sluice_proxy_headers_total", count, result=result)


# --- PROXY headers ---


def test_silence_before_the_header_keeps_no_handshakes_out_for_long(rig, pki):
    gateway = proxied(rig, "--tls-handshakes-max", "4", "--header-timeout", "1h", tls=pki)
    silent = [rig.client(gateway) for _ in range(4)]
    gateway.wait_metric("sluice_tls_handshakes_under_way", 4)
    one = rig.client(gateway)
    one.send(LINE)
    one.secure(pki.client_context(), server_hostname="localhost")
    one.get("/")
    assert one.response()[1] == b"192.0.2.7"
    assert any(not each.fill() for each in silent)


@pytest.mark.parametrize("header, client", [
    (LINE, b"192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", b"2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
    (binary_header(), b"192.0.2.7"),
    (binary_header("2001:db8::7", behind=b"\x04\x00\x02xy" * 200), b"2001:db8::7"),
    (binary_header(command=0x20), b"127.0.0.1"),
])
@pytest.mark.parametrize("secure", [False, True])
def test_the_header_names_the_client(rig, pki, header, client, secure):
    gateway = proxied(rig, tls=pki if secure else None)
    one = rig.client(gateway)
    one.send(header)
    if secure:
        one.secure(pki.client_context(), server_hostname="localhost")
    for _ in range(2):  # it is for the connection
        one.get("/")
        assert one.response()[1] == client


def test_the_header_may_come_in_pieces_and_with_what_follows(rig, pki):
    gateway = proxied(rig)
    for header in (LINE, binary_header()):
        whole = header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        together = rig.client(gateway)
        together.send(whole)
        assert together.response()[1] == b"192.0.2.7"
        pieces = rig.client(gateway)
        for i in range(len(whole)):
            pieces.send(whole[i:i + 1])
        assert pieces.response()[1] == b"192.0.2.7"


def test_the_header_comes_in_one_send_with_the_client_hello(rig, pki):
    """Bytes of TLS that have come with the header are TLS's."""
    gateway = proxied(rig, tls=pki)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = pki.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.settimeout(10)

        def run(step, first=b""):
            while True:
                try:
                    result = step()
                    sock.sendall(first + outgoing.read())
                    return result
                except ssl.SSLWantReadError:
                    sock.sendall(first + outgoing.read())
                    first = b""
                    incoming.write(sock.recv(65536))

        run(tls.do_handshake, binary_header())
        run(lambda: tls.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        answer = run(lambda: tls.read(65536))
        while b"192.0.2.7" not in answer:
            answer += run(lambda: tls.read(65536))
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("secure", [False, True])
def test_http2_behind_the_header(rig, pki, secure):
    gateway = proxied(rig, tls=pki if secure else None)
    scheme = "https" if secure else "http"
    if not subprocess.run(["curl", "--help", "proxy"], capture_output=True, text=True).stdout.count("haproxy-protocol"):
        pytest.skip("this curl writes no PROXY header")
    done = subprocess.run(
        ["curl", "-sS", "--haproxy-protocol", "--cacert", pki.ca, "-w", " %{http_version}", "--max-time", "10",
         "--http2" if secure else "--http2-prior-knowledge", f"{scheme}://localhost:{gateway.port}/"],
        capture_output=True)
    assert done.stdout == b"127.0.0.1 2", done.stderr


@pytest.mark.parametrize("secure", [False, True])
def test_a_connection_without_a_header_is_closed(rig, pki, secure):
    gateway = proxied(rig, tls=pki if secure else None)
    for first, result in ((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "missing"), (b"\x16\x03\x01\x02\x00", "missing"),
                          (b"PROXY TCP4 1.2.3.4 x 1 2\r\n", "invalid"), (b"PROXY " + b"x" * 1000, "invalid"),
                          (SIGNATURE + b"\x31\x11\x00\x0c", "invalid")):
        before = gateway.metrics().sum("sluice_proxy_headers_total", result=result)
        client = rig.client(gateway)
        client.send(first)
        assert client.wait_closed() in ("fin", "rst")
        wait_result(gateway, result, before + 1)
    leaver = rig.client(gateway)
    leaver.send(LINE[:-1])
    leaver.close()
    wait_result(gateway, "abandoned")
    assert gateway.metrics().sum("sluice_tls_handshakes_under_way") == 0
    assert gateway.metrics().sum("sluice_upstream_connects_total") == 0


def test_a_header_that_does_not_come_in_time(rig, pki):
    gateway = proxied(rig, "--header-timeout", "200ms")
    silent = rig.client(gateway)
    halfway = rig.client(gateway)
    halfway.send(binary_header(behind=b"x" * 1000)[:-1])
    assert silent.wait_closed() == "fin"
    assert halfway.wait_closed() in ("fin", "rst")
    wait_result(gateway, "timed_out", 2)


def test_a_listener_without_the_option_takes_no_header(rig, pki):
    gateway = rig.gateway(rig.upstream(told))
    client = rig.client(gateway)
    client.send(LINE + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_head().status == 400


def test_who_the_header_names_is_logged_and_trusted(rig, pki, tmp_path):
    log = tmp_path / "access.log"
    gateway = proxied(rig, "--access-log", str(log), "--access-log-format", "json", "--trusted-proxies", "192.0.2.0/24")
    for header, expected in ((LINE, b"198.51.100.1, 192.0.2.7"), (b"PROXY TCP4 203.0.113.9 1.1.1.1 1 2\r\n", b"203.0.113.9")):
        client = rig.client(gateway)
        client.send(header)
        client.get("/", "X-Forwarded-For: 198.51.100.1")
        assert client.response()[1] == expected
    wait_until(lambda: len(log.read_text().splitlines()) == 2, "two lines in the log")
    assert [json.loads(line)["client"] for line in log.read_text().splitlines()] == ["198.51.100.1", "203.0.113.9"]


def test_a_drain_ends_those_that_have_said_nothing(rig, pki):
    gateway = proxied(rig, "--header-timeout", "0")
    waiting = rig.client(gateway)
    waiting.send(LINE[:10])
    gateway.wait_metric("sluice_client_connections", 1)
    gateway.stop()
    assert waiting.wait_closed() in ("fin", "rst")


def test_a_reload_changes_an_option(rig, pki, tmp_path):
    file = tmp_path / "sluice.toml"
    upstream = rig.upstream(told)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        file.write_text(f'upstream = "{upstream.url}"\nlisten = ["{address}"]\n')
        gateway = rig.gateway(None, "--config", str(file), listens=True)
        client = rig.client(gateway)
        client.get("/")
        assert client.response()[1] == b"127.0.0.1"
        file.write_text(f'upstream = "{upstream.url}"\nlisten = ["{address};proxy-protocol"]\n')
        assert gateway.admin("/reload", method="POST")[0].status == 200
        client.get("/")
        assert client.response()[1] == b"127.0.0.1"  # it has its connection
        after = rig.client(gateway)
        after.send(LINE)
        after.get("/")
        assert after.response()[1] == b"192.0.2.7"


# --- redirects ---


def redirecting(rig, option="redirect=https"):
    return rig.gateway(rig.upstream(told), "--listen", f"127.0.0.1:0;{option}")


@pytest.mark.parametrize("option, port", [("redirect=https", ""), ("redirect=https:8443", ":8443")])
def test_requests_are_sent_to_https(rig, option, port):
    gateway = redirecting(rig, option)
    client = rig.client(gateway)
    for method in ("GET", "HEAD", "DELETE"):
        client.request(method, "/a/b?c=d")
        head, body = client.response(method == "HEAD")
        assert head.status == 308
        assert head.get("location") == f"https://gateway.test{port}/a/b?c=d"
    client.request("POST", "/", body=b"x" * 10)
    assert client.response()[0].status == 308
    assert gateway.metrics().sum("sluice_requests_total", code="308") == 4
    assert gateway.metrics().sum("sluice_upstream_connects_total") == 0


def test_http2_is_sent_to_https(rig):
    gateway = redirecting(rig)
    done = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code} %{redirect_url}", "-o", "/dev/null",
         "--max-time", "10", f"http://localhost:{gateway.port}/x?y"], capture_output=True, text=True)
    assert done.stdout == "2 308 https://localhost/x?y", done.stderr


def test_no_host_no_redirect(rig):
    gateway = redirecting(rig)
    for request in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                    b'GET / HTTP/1.1\r\nHost: a"><b\r\n\r\n', b"GET / HTTP/1.1\r\nHost: a%0d%0aX\r\n\r\n"):
        client = rig.client(gateway)
        client.send(request)
        head = client.read_head()
        assert head.status == 400 and "location" not in head
        client.close()


def test_options_that_are_wrong(rig):
    for listen, wrong in (("127.0.0.1:0;proxy", "is no option of a listener"),
                          ("https://127.0.0.1:0;redirect=https", "an https listener has no redirect")):
        done = subprocess.run([binary(), "--check", "--demo", "--listen", listen], capture_output=True, text=True)
        assert done.returncode == 2 and wrong in done.stderr
    done = subprocess.run([binary(), "--check", "--demo", "--listen", "127.0.0.1:0;redirect=https"],
                          capture_output=True, text=True)
    assert done.returncode == 0
