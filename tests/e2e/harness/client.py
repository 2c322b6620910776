"""A client that says exactly what it is told to, and reads the answer byte by byte."""

import socket

from .wire import Body, Wire


class Client(Wire):
    """`tls`: a context, where it is to speak TLS; `name`: whom it takes the gateway for."""

    def __init__(self, port, rcvbuf=None, host="127.0.0.1", tls=None, name="localhost"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock)
        sock.connect((host, port))
        if tls:
            self.secure(tls, server_hostname=name)
        self.body = None  # of the response whose head was read last

    def request(self, method, target, *fields, body=None, version="1.1"):
        """Sends a request. `fields` are whole lines; Host is added, and Content-Length for a body."""
        lines = [f"{method} {target} HTTP/{version}", "Host: gateway.test", *fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def get(self, target="/events", *fields, version="1.1"):
        self.request("GET", target, *fields, version=version)

    def read_head(self, to_head=False):
        """The next response head, interim ones included; `body` then reads what follows it."""
        head = self.read_raw_head()
        if to_head or head.status < 200 or head.status in (204, 304):
            self.body = Body(self, "none")
        elif "transfer-encoding" in head:
            assert head.get("transfer-encoding") == "chunked"
            assert "content-length" not in head
            self.body = Body(self, "chunked")
        elif "content-length" in head:
            self.body = Body(self, "length", int(head.get("content-length")))
        else:
            self.body = Body(self, "close")
        return head

    def response(self, to_head=False):
        """A whole response: its head and its body, which must end cleanly."""
        head = self.read_head(to_head)
        return head, self.body.rest()
