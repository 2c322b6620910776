"""All that one test starts, with the checks that every test ends with."""

import contextlib
import socket

from .client import Client
from .gateway import Gateway
from .http2 import Http2Client
from .upstream import ScriptedUpstream
from .wire import wait_until


class Rig:
    """Starts gateways, upstreams and clients; finish() ends them and asserts that each gateway is
    idle again, holds no buffer, exits with 0 and has nothing to report."""

    def __init__(self):
        self.gateways = []
        self.upstreams = []
        self.clients = []
        self.threads = []

    def upstream(self, handler=None, **options):
        self.upstreams.append(ScriptedUpstream(handler, **options))
        return self.upstreams[-1]

    def gateway(self, upstream, *flags, **options):
        """A gateway in front of an upstream (or None: the flags say it all)."""
        if upstream:
            flags = ("--upstream", upstream.url, *flags)
        self.gateways.append(Gateway(*flags, **options))
        return self.gateways[-1]

    def client(self, gateway, **options):
        self.clients.append(Client(gateway.port, **options))
        return self.clients[-1]

    def http2(self, gateway, **options):
        self.clients.append(Http2Client(gateway.port, **options))
        return self.clients[-1]

    def exchange(self, *flags, request=("GET", "/events"), version="1.1", body=None, upstream=None, **options):
        """A client, and the upstream's end of its request, which has arrived and is unanswered."""
        upstream = upstream or self.upstream()
        client = self.client(self.gateway(upstream, *flags), **options)
        client.request(*request, version=version, body=body)
        server = upstream.accept()
        assert server.read_request()
        return client, server

    def stream(self, *flags, **options):
        """A client and the upstream's end of an event stream that both have seen the head of."""
        client, server = self.exchange(*flags, **options)
        server.start_events()
        assert client.read_head().status == 200
        return client, server

    def assert_serves(self):
        """The first gateway serves a new client, through a connection that is new to the upstream."""
        client = self.client(self.gateways[0])
        client.get("/after")
        server = self.upstreams[0].accept()
        assert server.read_request().target == "/after"
        server.respond(b"served")
        assert client.response()[1] == b"served"

    def finish(self):
        for client in self.clients:
            client.close()
        with contextlib.ExitStack() as cleanup:  # every step is tried
            for gateway in self.gateways:
                cleanup.callback(gateway.kill)
            for gateway in self.gateways:
                cleanup.callback(self._finish_gateway, gateway)
            for upstream in self.upstreams:
                cleanup.callback(upstream.close)

    @staticmethod
    def _finish_gateway(gateway):
        if gateway.admin_port and gateway.process.poll() is None:
            wait_until(lambda: gateway.metrics().sum("sluice_client_connections") == 0, "no client is connected")
            gateway.wait_idle()
        gateway.stop()


@contextlib.contextmanager
def blackhole():
    """The port of a listener whose queue is full: a connection attempt is neither taken nor refused."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            filler = sockets.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]


@contextlib.contextmanager
def held_port():
    """A port of 127.0.0.1 that refuses connections, and that nobody is given by chance. A server
    that names it and reuses addresses can listen on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
