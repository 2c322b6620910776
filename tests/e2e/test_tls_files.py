"""Files of TLS towards clients beside certificates: OCSP responses, keys of tickets that several hosts
share; and that all of them are followed when they change."""

import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from harness.gateway import binary
from harness.tls import Pki
from harness.wire import wait_until


@pytest.fixture
def pki(tmp_path):
    pki = Pki(tmp_path)
    run("x509", "-in", pki.ca, "-out", pki.ca)
    return pki


def run(*command, check=True, **options):
    return subprocess.run(["openssl", *map(str, command)], check=check, capture_output=True, **options)


def hello(server, request):
    server.respond(b"hello")


def served(pki, rig, *flags, names=()):
    return rig.gateway(rig.upstream(hello), "--listen", "https://127.0.0.1:0", *pki.flags(*names), *flags)


def replace(path, data):
    """As a whole, so that nobody reads half of it."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.replace(path)


# --- OCSP ---


def respond_for(pki, name, expired=False):
    """NAME.ocsp, by the CA, as its responder would write it; or with another time, which breaks its
    signature, and that is for clients to see."""
    serial = run("x509", "-in", pki.folder / f"{name}.pem", "-noout", "-serial").stdout.decode().strip().split("=")[1]
    index = pki.folder / f"{name}.index"
    index.write_text(f"V\t491231235959Z\t\t{serial}\tunknown\t/CN={name}\n")
    request, answer = pki.folder / f"{name}.request", pki.folder / f"{name}.ocsp"
    run("ocsp", "-issuer", pki.ca, "-cert", pki.folder / f"{name}.pem", "-reqout", request, "-no_nonce")
    run("ocsp", "-index", index, "-CA", pki.ca, "-rsigner", pki.ca, "-rkey", pki.folder / "ca.key", "-reqin", request,
        "-respout", answer, "-nmin", "60")
    if expired:
        changed, count = re.subn(rb"\xa0\x11\x18\x0f\d{14}Z", b"\xa0\x11\x18\x0f20200101000000Z", answer.read_bytes())
        assert count == 1
        replace(answer, changed)
    return answer


def status_of(pki, gateway, name="localhost", version="-tls1_3"):
    """What `openssl s_client -status` says of the response."""
    done = run("s_client", "-connect", f"127.0.0.1:{gateway.port}", "-servername", name, "-status", "-CAfile", pki.ca,
               version, check=False, input=b"")
    return done.stdout.decode(errors="replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("chain", [False, True])
def test_each_certificate_is_sent_with_its_response(rig, pki, version, chain):
    pki.make("one", "DNS:one.test")
    pki.make("two", "DNS:two.test")
    answers = [respond_for(pki, "two"), respond_for(pki, "one")]
    if chain:
        for name in ("server", "one", "two"):
            file = pki.folder / f"{name}.pem"
            file.write_bytes(file.read_bytes() + open(pki.ca, "rb").read())
    gateway = served(pki, rig, "--tls-ocsp", str(answers[0]), "--tls-ocsp", str(answers[1]), names=("server", "one", "two"))
    serials = set()
    for name in ("one.test", "two.test"):
        text = status_of(pki, gateway, name, version)
        assert "OCSP Response Status: successful" in text and "Cert Status: good" in text
        serials.add(re.search(r"Serial Number: (\w+)", text).group(1))
    assert len(serials) == 2
    assert "OCSP response: no response sent" in status_of(pki, gateway, version=version)
    assert gateway.metrics().sum("sluice_tls_ocsp_expires_seconds") > 0


def test_a_response_that_has_expired_is_not_sent(rig, pki):
    answer = respond_for(pki, "server", expired=True)
    gateway = served(pki, rig, "--tls-ocsp", str(answer))
    wait_until(lambda: "has expired and is not sent" in gateway.errors(), "a warning")
    assert "no response sent" in status_of(pki, gateway)


def test_responses_that_are_wrong(pki, tmp_path):
    pki.make("other", "DNS:other.test")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x30\x03\x0a\x01")
    failed = tmp_path / "failed"
    failed.write_bytes(b"\x30\x03\x0a\x01\x03")  # tryLater
    longer = tmp_path / "longer"
    longer.write_bytes(respond_for(pki, "server").read_bytes() + b"x")
    for file, wrong in ((respond_for(pki, "other"), "is for none of the certificates"),
                        (garbage, "is no OCSP response"), (failed, "its responder failed (trylater)"),
                        (longer, "is no OCSP response"), (tmp_path / "none", "cannot be read")):
        done = subprocess.run([binary(), "--check", "--demo", *pki.flags(), "--tls-ocsp", str(file)],
                              capture_output=True, text=True)
        assert done.returncode == 2 and wrong in done.stderr, done.stderr


# --- keys of tickets ---


def session_of(pki, gateway, context, session=None):
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port)), server_hostname="localhost",
                               session=session)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    result = sock.session, sock.session_reused
    sock.close()
    return result


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_hosts_resume_each_others_sessions(rig, pki, tmp_path, version):
    old, new = os.urandom(80), os.urandom(80)
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    first.write_bytes(old)
    second.write_bytes(new + old)
    third.write_bytes(new)
    hosts = [served(pki, rig, "--tls-ticket-keys", str(file)) for file in (first, second, third)]
    context = pki.client_context()
    context.minimum_version = context.maximum_version = version
    session, reused = session_of(pki, hosts[0], context)
    assert not reused
    assert not session_of(pki, hosts[2], context, session)[1]  # it has not the old key
    newer, reused = session_of(pki, hosts[1], context, session)
    assert reused
    assert session_of(pki, hosts[2], context, newer)[1]  # sealed by the new one, since
    assert not session_of(pki, hosts[0], context, newer)[1]


def test_keys_that_are_wrong(pki, tmp_path):
    file = tmp_path / "keys"
    for data, wrong in ((b"", "0 bytes"), (b"x" * 79, "79 bytes"), (b"x" * 48, "48 bytes"), (b"x" * 80 * 17, "1360 bytes"),
                        (b"x" * 200_000, "too large")):
        file.write_bytes(data)
        done = subprocess.run([binary(), "--check", "--demo", *pki.flags(), "--tls-ticket-keys", str(file)],
                              capture_output=True, text=True)
        assert done.returncode == 2 and wrong in done.stderr, done.stderr


# --- files that change ---


def shown(pki, gateway):
    with pki.client_context().wrap_socket(socket.create_connection(("127.0.0.1", gateway.port)),
                                          server_hostname="localhost") as sock:
        return sock.getpeercert()["serialNumber"]


def test_a_new_certificate_is_used_without_a_reload(rig, pki):
    def events(server, request):
        server.start_events()
        server.chunk(b"data: 1\n\n")
        assert go_on.wait(20)
        server.chunk(b"data: 2\n\n")
        server.end_chunks()

    go_on = threading.Event()
    gateway = rig.gateway(rig.upstream(events), "--listen", "https://127.0.0.1:0", *pki.flags())
    before = shown(pki, gateway)
    running = rig.client(gateway, tls=pki.client_context())
    running.get("/events")
    assert running.read_head().status == 200
    pki.make("server", "DNS:localhost")
    wait_until(lambda: shown(pki, gateway) != before, "the new certificate")
    wait_until(lambda: "certificates have changed and are in use" in gateway.errors(), "a line")
    assert gateway.metrics().sum("sluice_config_generation") == 2
    go_on.set()
    assert running.body.rest() == b"data: 1\n\ndata: 2\n\n"


def test_a_broken_one_keeps_the_former_and_says_so_once(rig, pki):
    gateway = served(pki, rig)
    before = shown(pki, gateway)
    file = pki.folder / "server.pem"
    good = file.read_bytes()
    replace(file, b"nonsense")
    wait_until(lambda: "holds no certificate" in gateway.errors(), "a warning")
    gateway.wait_metric("sluice_config_reloads_total", 1, result="failed")
    assert shown(pki, gateway) == before
    pki.make("server", "DNS:localhost")
    wait_until(lambda: shown(pki, gateway) != before, "the new certificate")
    assert good != file.read_bytes()
    assert gateway.errors().count("the certificates of before are kept") == 1


def test_the_other_files_are_followed_too(rig, pki, tmp_path):
    keys, answer = tmp_path / "keys", respond_for(pki, "server", expired=True)
    old, new = os.urandom(80), os.urandom(80)
    keys.write_bytes(old)
    gateway = served(pki, rig, "--tls-ticket-keys", str(keys), "--tls-ocsp", str(answer))
    context = pki.client_context()
    session, _ = session_of(pki, gateway, context)
    assert "no response sent" in status_of(pki, gateway)
    respond_for(pki, "server")
    wait_until(lambda: "OCSP Response Status: successful" in status_of(pki, gateway), "the new response")
    replace(keys, new)
    wait_until(lambda: not session_of(pki, gateway, context, session)[1], "the new key alone")


def test_a_reload_follows_the_files_that_it_names(rig, pki, tmp_path):
    pki.make("next", "DNS:localhost")
    file = tmp_path / "sluice.toml"

    def write(name):
        file.write_text(f'tls-cert = ["{pki.folder}/{name}.pem"]\ntls-key = ["{pki.folder}/{name}.key"]\n')

    write("server")
    gateway = rig.gateway(rig.upstream(hello), "--config", str(file), "--listen", "https://127.0.0.1:0")
    write("next")
    assert gateway.admin("/reload", method="POST")[0].status == 200
    before = shown(pki, gateway)
    pki.make("next", "DNS:localhost")
    wait_until(lambda: shown(pki, gateway) != before, "the new certificate")
