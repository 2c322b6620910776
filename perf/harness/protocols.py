"""What a proxy speaks to its clients: HTTP/1.1 or HTTP/2, in the clear or over TLS; and how each proxy
is told. HTTP/2 in the clear is by prior knowledge."""

import dataclasses
import subprocess


@dataclasses.dataclass(frozen=True)
class Protocol:
    tls: bool = False
    http2: bool = False

    @property
    def scheme(self):
        return "https" if self.tls else "http"


HTTP1 = Protocol()
HTTP1_TLS = Protocol(tls=True)
HTTP2 = Protocol(http2=True)
HTTP2_TLS = Protocol(tls=True, http2=True)


def certificate(directory):
    """(certificate, key) of 127.0.0.1, of the kind that most sites have: an EC key on P-256."""
    chain, key = directory / "cert.pem", directory / "key.pem"
    if not chain.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True, timeout=30)
        # HAProxy wants both in one file; h2o and nginx read theirs as another user.
        (directory / "both.pem").write_text(chain.read_text() + key.read_text())
        for file in directory.glob("*.pem"):
            file.chmod(0o644)
    return chain, key


def listener_of_peer(base, protocol, directory):
    """What the peer's configuration template says at @LISTEN@ and @TLS@."""
    chain, key = certificate(directory) if protocol.tls else ("", "")
    listen, tls = "", ""
    if base == "nginx":
        listen = (" ssl" if protocol.tls else "") + (" http2" if protocol.http2 else "")
        if protocol.tls:
            tls = (f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; "
                   "ssl_session_tickets on; ssl_buffer_size 4k;")
    elif base == "haproxy":
        if protocol.tls:
            listen = f" ssl crt {directory}/both.pem alpn {'h2' if protocol.http2 else 'http/1.1'}"
        elif protocol.http2:
            listen = " proto h2"
    elif base == "h2o" and protocol.tls:
        tls = f"ssl: {{certificate-file: {chain}, key-file: {key}}}"
    return {"LISTEN": listen, "TLS": tls}


def listener_of_sluice(protocol, port, directory):
    """sluice's flags."""
    if not protocol.tls:
        return ["--listen", f"127.0.0.1:{port}"]
    chain, key = certificate(directory)
    return ["--listen", f"https://127.0.0.1:{port}", "--tls-cert", str(chain), "--tls-key", str(key)]
