"""TLS for tests: certificates made on the spot by the openssl command, and rigs whose gateway, clients
and upstreams all speak it."""

import pathlib
import shutil
import ssl
import subprocess
import tempfile

from .rig import Rig


class Pki:
    """A folder of PEM files: a CA, and the certificates that it signs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._make("ca", "-x509", "-addext", "basicConstraints=critical,CA:TRUE")
        self.ca = str(self.folder / "ca.pem")
        self.make("server", "DNS:localhost,IP:127.0.0.1")

    def make(self, name, names, days=2, issuer="ca"):
        """NAME.pem and NAME.key. Replaced as a whole, so that nobody reads half of one."""
        self._make(name, "-addext", f"subjectAltName={names}")
        sign = (("-CA", self.folder / f"{issuer}.pem", "-CAkey", self.folder / f"{issuer}.key")
                if issuer else ("-key", self.folder / f"{name}.key"))
        self._openssl("x509", "-req", "-in", self.folder / f"{name}.pem", *sign, "-days", str(days),
                      "-copy_extensions", "copy", "-out", self.folder / f"{name}.new")
        (self.folder / f"{name}.new").replace(self.folder / f"{name}.pem")

    def flags(self, *names):
        """The gateway's, for those certificates."""
        return [flag for name in names or ["server"] for flag in (
            "--tls-cert", str(self.folder / f"{name}.pem"), "--tls-key", str(self.folder / f"{name}.key"))]

    def server_context(self, name="server"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def client_context(self, ca="ca"):
        return ssl.create_default_context(cafile=str(self.folder / f"{ca}.pem"))

    def _make(self, name, *options):
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                      f"/CN={name}", "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem",
                      *options)

    @staticmethod
    def _openssl(*command):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)


class TlsRig(Rig):
    """A rig in which everybody speaks TLS: tests of plain streams run on it as they are."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="sluice_tls_")
        self.pki = Pki(self.folder)

    def upstream(self, handler=None, **options):
        return super().upstream(handler, tls=self.pki.server_context(), tls_options=f";ca={self.pki.ca}", **options)

    def gateway(self, upstream, *flags, **options):
        return super().gateway(upstream, "--listen", "https://127.0.0.1:0", *self.pki.flags(), *flags, **options)

    def client(self, gateway, **options):
        return super().client(gateway, tls=self.pki.client_context(), **options)

    def finish(self):
        try:
            super().finish()
        finally:
            shutil.rmtree(self.folder)
