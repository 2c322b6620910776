"""Certificates of clients: who is let in, and what the upstream is told of them."""

import socket
import ssl
import subprocess

import pytest

from harness import Aborted
from harness.gateway import binary
from harness.tls import Pki

FIELD = "X-Client-Cert-Subject"


@pytest.fixture
def pki(tmp_path):
    pki = Pki(tmp_path)
    make_ca(pki, "clients", "/CN=clients")
    make_client(pki, "alice", "/O=Example/CN=alice")
    return pki


def make_ca(pki, name, subject):
    run("req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
        "-keyout", path(pki, f"{name}.key"), "-out", path(pki, f"{name}.pem"), "-addext",
        "basicConstraints=critical,CA:TRUE")


def make_client(pki, name, subject, issuer="clients", days=2):
    run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", "-subj", subject,
        "-keyout", path(pki, f"{name}.key"), "-out", path(pki, f"{name}.csr"))
    run("x509", "-req", "-in", path(pki, f"{name}.csr"), "-CA", path(pki, f"{issuer}.pem"), "-CAkey",
        path(pki, f"{issuer}.key"), "-days", days, "-out", path(pki, f"{name}.pem"))


def path(pki, name):
    return str(pki.folder / name)


def run(*command):
    subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)


def told(server, request):
    server.respond("|".join(request.all(FIELD)).encode() or b"nobody")


def gateway_for(pki, rig, *flags, ca="clients"):
    return rig.gateway(rig.upstream(told), "--listen", "https://127.0.0.1:0", *pki.flags(), "--tls-client-ca",
                       path(pki, f"{ca}.pem"), *flags)


def context_of(pki, name=None, version=None):
    context = pki.client_context()
    if name:
        context.load_cert_chain(path(pki, f"{name}.pem"), path(pki, f"{name}.key"))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def ask(rig, gateway, context, *fields):
    client = rig.client(gateway, tls=context)
    client.get("/", *fields)
    _, body = client.response()
    client.close()
    return body


def assert_refused(rig, gateway, context):
    # With TLS 1.3 the alert comes after the handshake, and a reset may overtake it, as the client has written.
    with pytest.raises((ssl.SSLError, ConnectionError, Aborted)):
        client = rig.client(gateway, tls=context)
        client.get("/")
        client.read_head()
        raise AssertionError("the gateway has let it in")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_upstream_is_told_the_subject(rig, pki, version):
    gateway = gateway_for(pki, rig)
    assert ask(rig, gateway, context_of(pki, "alice", version)) == b"CN=alice,O=Example"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_shows_none_or_another_is_refused(rig, pki, version):
    make_ca(pki, "others", "/CN=others")
    make_client(pki, "mallory", "/CN=alice", "others")
    make_client(pki, "old", "/CN=old", days=-1)
    gateway = gateway_for(pki, rig)
    assert_refused(rig, gateway, context_of(pki, None, version))
    gateway.wait_metric("sluice_tls_handshakes_total", 1, result="no_certificate")
    for name in ("mallory", "old"):
        assert_refused(rig, gateway, context_of(pki, name, version))
    gateway.wait_metric("sluice_tls_handshakes_total", 2, result="certificate")
    assert gateway.metrics().sum("sluice_upstream_connects_total") == 0
    assert ask(rig, gateway, context_of(pki, "alice", version)) == b"CN=alice,O=Example"


def test_optional_certificates(rig, pki):
    make_ca(pki, "others", "/CN=others")
    make_client(pki, "mallory", "/CN=alice", "others")
    gateway = gateway_for(pki, rig, "--tls-client-auth", "optional")
    assert ask(rig, gateway, context_of(pki)) == b"nobody"
    assert ask(rig, gateway, context_of(pki, "alice")) == b"CN=alice,O=Example"
    assert_refused(rig, gateway, context_of(pki, "mallory"))


@pytest.mark.parametrize("field", [FIELD, FIELD.lower(), "X_Client_Cert_Subject", "x-client_CERT-subject"])
def test_what_a_client_says_of_itself_is_removed(rig, pki, field):
    def all_of_them(server, request):
        server.respond("|".join(f"{name}={value}" for name, value in request.fields
                                if name.lower().replace("_", "-") == FIELD.lower()).encode() or b"nothing")

    upstream = rig.upstream(all_of_them)
    plain = rig.gateway(upstream, "--trusted-proxies", "127.0.0.1")
    client = rig.client(plain)
    client.get("/", f"{field}: CN=admin")
    assert client.response()[1] == b"nothing"
    secured = rig.gateway(upstream, "--listen", "https://127.0.0.1:0", *pki.flags(), "--tls-client-ca",
                          path(pki, "clients.pem"))
    assert ask(rig, secured, context_of(pki, "alice"), f"{field}: CN=admin") == f"{FIELD}=CN=alice,O=Example".encode()


@pytest.mark.parametrize("subject, expected", [
    ("/CN=a, b=c", b"CN=a\\, b\\=c"),
    ("/CN=tab\there", b"CN=tab\\09here"),
    ("/CN=line\r\nX-Admin: yes", b"CN=line\\0D\\0AX-Admin: yes"),
    ("/CN=J\u00fcrgen", b"CN=J\\C3\\BCrgen"),
])
def test_a_subject_cannot_say_more(rig, pki, subject, expected):
    make_client(pki, "odd", subject)
    gateway = gateway_for(pki, rig)
    answer = ask(rig, gateway, context_of(pki, "odd"))
    assert answer.replace(b"\\=", b"=") == expected.replace(b"\\=", b"=")


def test_over_http2(rig, pki):
    gateway = gateway_for(pki, rig)
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", pki.ca, "--cert", path(pki, "alice.pem"), "--key", path(pki, "alice.key"),
         "-H", f"{FIELD}: CN=admin", "-w", " %{http_version}", "--max-time", "10", f"https://localhost:{gateway.port}/"],
        capture_output=True)
    assert done.stdout == b"CN=alice,O=Example 2", done.stderr


def test_a_subject_that_is_too_long_is_refused(rig, pki):
    make_client(pki, "long", "".join(f"/OU={i:02}{'x' * 60}" for i in range(40)) + "/CN=long")
    gateway = gateway_for(pki, rig)
    assert_refused(rig, gateway, context_of(pki, "long"))
    gateway.wait_metric("sluice_tls_handshakes_total", 1, result="certificate")


def connect(port, context, session=None):
    raw = socket.create_connection(("127.0.0.1", port))
    sock = context.wrap_socket(raw, server_hostname="localhost", session=session)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.split(b"\r\n\r\n", 1)[1]:
        more = sock.recv(4096)
        if not more:
            break
        answer += more
    return sock, answer


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_keeps_its_subject(rig, pki, version):
    gateway = gateway_for(pki, rig)
    context = context_of(pki, "alice", version)
    sock, answer = connect(gateway.port, context)
    session = sock.session
    sock.close()
    sock, answer = connect(gateway.port, context, session)
    assert sock.session_reused and answer.endswith(b"CN=alice,O=Example")
    sock.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("before, after", [((), "clients"), (("--tls-client-auth", "optional"), "clients"), ((), "others")])
def test_a_session_is_not_good_where_other_certificates_count(rig, pki, tmp_path, version, before, after):
    """Tickets are sealed by the same keys, beyond a reload: what they carry must still be refused."""
    make_ca(pki, "others", "/CN=others")
    file = tmp_path / "sluice.toml"
    upstream = rig.upstream(told)

    def write(ca, *flags):
        lines = [f'upstream = "{upstream.url}"', f'tls-cert = ["{pki.folder}/server.pem"]',
                 f'tls-key = ["{pki.folder}/server.key"]']
        if ca:
            lines.append(f'tls-client-ca = "{path(pki, ca + ".pem")}"')
        if flags:
            lines.append('tls-client-auth = "optional"')
        file.write_text("\n".join(lines))

    first_ca = "clients" if before or after == "others" else None
    write(first_ca, *before)
    gateway = rig.gateway(None, "--config", str(file), "--listen", "https://127.0.0.1:0")
    shows = "alice" if after == "others" else None
    context = context_of(pki, shows, version)
    sock, answer = connect(gateway.port, context)
    assert answer.startswith(b"HTTP/1.1 200")
    session = sock.session
    sock.close()
    sock, answer = connect(gateway.port, context, session)
    assert sock.session_reused
    session = sock.session
    sock.close()
    write(after)
    assert gateway.admin("/reload", method="POST")[0].status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        sock, answer = connect(gateway.port, context, session)
        assert not answer, "a session has passed by the verification"
        raise ConnectionError


def test_what_check_says(pki, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for flags, wrong in (((*pki.flags(), "--tls-client-auth", "required"), "give tls-client-ca"),
                         (("--tls-client-ca", path(pki, "clients.pem")), "give tls-cert and tls-key"),
                         ((*pki.flags(), "--tls-client-ca", str(empty)), "holds no certificates"),
                         ((*pki.flags(), "--tls-client-ca", str(tmp_path / "none")), "cannot be read")):
        done = subprocess.run([binary(), "--check", "--demo", *flags], capture_output=True, text=True)
        assert done.returncode == 2 and wrong in done.stderr, done.stderr
    done = subprocess.run([binary(), "--check", "--demo", *pki.flags(), "--tls-client-ca", path(pki, "clients.pem")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
