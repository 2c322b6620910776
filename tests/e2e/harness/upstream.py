"""An upstream that a test plays itself: either step by step, through accept(), or by a function
that is run on a thread of its own for every request."""

import socket
import ssl
import threading

from .wire import DEADLINE_S, Aborted, Body, Wire, wait_until


def unix_name(name):
    """The address of a unix socket for bind() and connect(): `name` is a path, or @name."""
    return "\0" + name[1:] if name.startswith("@") else name


def listen_unix(name, backlog=512):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(unix_name(name))
    listener.listen(backlog)
    return listener


class UpstreamConnection(Wire):
    """The upstream's end of one connection from the gateway."""

    def __init__(self, sock, tls=None):
        super().__init__(sock)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.secure(tls, server_side=True)
        self.body = None  # reads the body of the request whose head was read last

    def read_head(self):
        """The next request's head, or None where the gateway has closed between requests."""
        try:
            head = self.read_raw_head()
        except Aborted:
            assert not self.buffer, f"closed within a request head: {bytes(self.buffer)!r}"
            return None
        if "transfer-encoding" in head:
            self.body = Body(self, "chunked")
        else:
            self.body = Body(self, "length", int(head.get("content-length", 0)))
        return head

    def read_request(self):
        """The next request with its whole body (`content`), or None where the gateway has closed."""
        head = self.read_head()
        if head:
            head.content = self.body.rest()
        return head

    def send_head(self, *fields, status="200 OK"):
        lines = [f"HTTP/1.1 {status}", *fields]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def start_events(self, *fields):
        self.send_head("Content-Type: text/event-stream", "Transfer-Encoding: chunked", *fields)

    def chunk(self, data):
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self):
        self.send(b"0\r\n\r\n")

    def respond(self, body=b"ok", *fields, status="200 OK"):
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


class ScriptedUpstream:
    """Listens on a port of its own, or on the unix socket that `unix` names: a path, or @name for
    one without a file. With a handler, each connection has a thread that calls
    handler(connection, request) for every request; without one, the test calls accept()."""

    def __init__(self, handler=None, sndbuf=None, unix=None, host="127.0.0.1", port=0, tls=None, tls_options=""):
        self.handler = handler
        self.tls = tls  # a context
        self.connections = []
        self.requests = []
        self.errors = []
        self.threads = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = (listen_unix(unix) if unix
                         else socket.create_server((host, port), family=family, backlog=512))
        self.listener.settimeout(DEADLINE_S)
        if sndbuf:  # inherited by accepted sockets
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
        self.port = None if unix else self.listener.getsockname()[1]
        authority = f"[{host}]" if ":" in host else host
        self.url = f"unix:{unix}" if unix else f"http{'s' if tls else ''}://{authority}:{self.port}{tls_options}"
        if handler:
            self._start(self._accept_loop)

    def accept(self):
        """The next connection from the gateway."""
        sock, _ = self.listener.accept()
        connection = UpstreamConnection(sock, self.tls)
        self.connections.append(connection)
        return connection

    def assert_no_connection(self, seconds):
        """Nobody connects for a while."""
        self.listener.settimeout(seconds)
        try:
            self.listener.accept()
        except TimeoutError:
            return
        finally:
            self.listener.settimeout(DEADLINE_S)
        raise AssertionError("the gateway connected to the upstream")

    def wait_requests(self, count):
        wait_until(lambda: len(self.requests) >= count, f"{count} requests at the upstream")

    def close(self):
        """Ends all threads; raises what a handler raised."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            try:
                # Wakes its thread. SSLSocket's own shutdown would have the thread read TLS records as text.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), "an upstream handler hangs"
        for connection in self.connections:
            connection.close()
        if self.errors:
            raise self.errors[0]

    def _start(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept_loop(self):
        self.listener.settimeout(None)
        while True:
            try:
                connection = self.accept()
            except ssl.SSLError:
                continue  # the gateway refused the handshake
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection):
        try:
            while request := self._next_request(connection):
                self.requests.append(request)
                self.handler(connection, request)
        except (OSError, Aborted):
            pass  # the gateway has closed, or the handler has
        except Exception as error:  # shown by close(), on the test's thread
            self.errors.append(error)
        finally:
            connection.close()

    def _next_request(self, connection):
        # Idle for as long as the gateway likes, and its handler may be stopped for as long.
        connection.sock.settimeout(None)
        if not connection.buffer:
            connection.buffer += connection.sock.recv(64 * 1024)
        request = connection.read_request() if connection.buffer else None
        connection.sock.settimeout(None)
        return request
