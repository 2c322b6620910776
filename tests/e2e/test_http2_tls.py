"""HTTP/2 over TLS: what ALPN agrees on, and that the streams are as they are without it."""

import subprocess

import pytest



def events(server, request):
    server.start_events()
    for i in range(5):
        server.chunk(b"data: %d\n\n" % i)
    server.chunk(b"data: %s\n\n" % request.get("x-forwarded-proto").encode())
    server.end_chunks()


def run(rig, pki, *flags, curl=("--http2",)):
    """What curl wrote: the body, and behind it the version that it spoke."""
    gateway = rig.gateway(rig.upstream(events), "--listen", "https://127.0.0.1:0", *pki.flags(), *flags)
    done = subprocess.run(
        ["curl", "-sS", "--cacert", pki.ca, "--max-time", "10", "-w", "%{http_version}", *curl,
         *[f"https://localhost:{gateway.port}/events/{i}" for i in range(2)]], capture_output=True, check=True)
    return gateway, done.stdout


BODY = b"".join(b"data: %d\n\n" % i for i in range(5)) + b"data: https\n\n"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_it_is_what_a_client_prefers(rig, pki, version):
    gateway, said = run(rig, pki, curl=("--http2", f"--tlsv{version}", "--tls-max", version))
    assert said == (BODY + b"2") * 2
    metrics = gateway.metrics()
    assert metrics.sum("sluice_client_protocols_total", protocol="http2") == 1
    assert metrics.sum("sluice_tls_handshakes_total", version=version) == 1


def test_a_client_may_want_http1(rig, pki):
    gateway, said = run(rig, pki, curl=("--http1.1",))
    assert said == (BODY + b"1.1") * 2
    assert gateway.metrics().sum("sluice_client_protocols_total", protocol="http2") == 0


def test_where_it_is_off_it_is_not_offered(rig, pki):
    _, said = run(rig, pki, "--http2", "off")
    assert said == (BODY + b"1.1") * 2


def test_many_streams_on_few_connections(rig, pki):
    gateway = rig.gateway(rig.upstream(events), "--listen", "https://127.0.0.1:0", *pki.flags())
    done = subprocess.run(["h2load", "-n", "400", "-c", "4", "-m", "50", f"https://127.0.0.1:{gateway.port}/events"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert "400 succeeded, 0 failed" in done.stdout, done.stdout
    assert gateway.metrics().sum("sluice_client_protocols_total", protocol="http2") == 4
