"""HTTP/1.1 over one socket, as bytes: what both scripted peers are made of. Nothing is corrected or
hidden: chunks, ends and aborts are seen as they came. Every wait has a deadline."""

import os
import re
import select
import socket
import ssl
import struct
import threading
import time

DEADLINE_S = float(os.environ.get("SLUICE_TEST_DEADLINE_S", 10))  # longer where a processor or a tool is slow
EVENT_END = re.compile(rb"(\r\n|\n|\r(?!\n))(\r\n|\n|\r)")


def wait_until(condition, what, timeout_s=DEADLINE_S):
    """Polls `condition` until it is true; returns its value."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.005)
    return value


class Aborted(Exception):
    """The peer closed in the middle of a message. `how` is "fin", "rst" or, of TLS without its own end
    (after which this library does not tell the two apart), "cut"."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Head:
    """A parsed message head; `raw` is what was on the wire."""

    def __init__(self, raw):
        self.raw = bytes(raw)
        lines = self.raw.decode("latin-1").split("\r\n")
        self.start_line = lines[0]
        self.fields = []
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                self.fields.append((name, value.strip()))

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))

    @property
    def status(self):
        return int(self.start_line.split(" ")[1])

    @property
    def version(self):
        return re.search(r"HTTP/(\d\.\d)", self.start_line).group(1)

    @property
    def method(self):
        return self.start_line.split(" ")[0]

    @property
    def target(self):
        return self.start_line.split(" ")[1]

    def __repr__(self):
        return f"Head({self.raw!r})"


class Wire:
    """A connected socket with a buffer of what has arrived and was not read yet."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE_S)
        self.buffer = bytearray()
        self.ended = None  # "fin" or "rst" once the peer has closed

    def secure(self, context, **options):
        """Shakes hands: the wire's bytes are those within TLS from here on."""
        self.sock = context.wrap_socket(self.sock, suppress_ragged_eofs=False, **options)
        self.one_call = threading.Lock()

    @property
    def secured(self):
        return isinstance(self.sock, ssl.SSLSocket)

    def send(self, data):
        if not self.secured:
            self.sock.sendall(data)
            return
        with self.one_call:
            patience_s = self.sock.gettimeout()
        rest = memoryview(data)
        while rest:
            rest = rest[self._secured(lambda: self.sock.send(rest[:65536]), patience_s):]

    def _secured(self, call, timeout_s):
        """A call of OpenSSL's, of which there may be one at a time: another thread may send while this one
        receives. So none waits within it."""
        deadline = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        while True:
            with self.one_call:
                patience_s = self.sock.gettimeout()
                self.sock.settimeout(0)
                try:
                    return call()
                except ssl.SSLWantReadError:
                    waits = [self.sock], []
                except ssl.SSLWantWriteError:
                    waits = [], [self.sock]
                finally:
                    self.sock.settimeout(patience_s)
            left_s = min(deadline - time.monotonic(), 3600)
            if left_s <= 0 or not any(select.select(*waits, [], left_s)):
                raise TimeoutError

    def _receive(self, timeout_s):
        if self.secured:
            return self._secured(lambda: self.sock.recv(256 * 1024), timeout_s)
        self.sock.settimeout(max(timeout_s, 0.001))
        try:
            return self.sock.recv(256 * 1024)
        finally:
            self.sock.settimeout(DEADLINE_S)

    def fill(self, timeout_s=DEADLINE_S):
        """Waits for more bytes. False: the peer has closed, and `ended` says how."""
        if self.ended:
            return False
        try:
            data = self._receive(timeout_s)
        except TimeoutError:
            tail = bytes(self.buffer[-200:])
            raise AssertionError(f"no bytes and no close in {timeout_s:.1f} s; unread: {tail!r}") from None
        except ConnectionError:
            self.ended = "rst"
            return False
        except ssl.SSLZeroReturnError:  # its end, behind ours
            data = b""
        except ssl.SSLEOFError:
            self.ended = "cut"
            return False
        if not data:
            self.ended = "fin"
            return False
        self.buffer += data
        return True

    def take(self, count):
        """Exactly `count` bytes; Aborted if the peer closes first."""
        while len(self.buffer) < count:
            if not self.fill():
                raise Aborted(self.ended)
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read_until(self, marker):
        """The bytes up to and including `marker`; Aborted if the peer closes first."""
        start = 0
        while (at := self.buffer.find(marker, start)) < 0:
            start = max(0, len(self.buffer) - len(marker) + 1)
            if not self.fill():
                raise Aborted(self.ended)
        return self.take(at + len(marker))

    def read_raw_head(self):
        return Head(self.read_until(b"\r\n\r\n"))

    def wait_closed(self, timeout_s=DEADLINE_S):
        """Waits for the peer's close and says how: "fin" or "rst". What it sent stays readable."""
        deadline = time.monotonic() + timeout_s
        while self.fill(deadline - time.monotonic()):
            pass
        return self.ended

    def assert_silent(self, seconds):
        """Nothing arrives for a while: an observation, never used to let something happen."""
        assert not self.buffer, f"unread: {bytes(self.buffer[:200])!r}"
        if self.secured:
            return self._assert_tls_silent(seconds)
        readable, _, _ = select.select([self.sock], [], [], seconds)
        if readable:
            self.fill()
            raise AssertionError(f"arrived: {bytes(self.buffer[:200])!r} {self.ended or ''}")

    def _assert_tls_silent(self, seconds):
        """A ticket may arrive, which is nothing."""
        self.sock.settimeout(seconds)
        try:
            raise AssertionError(f"arrived: {self.sock.recv(200)!r}")
        except TimeoutError:
            self.sock.settimeout(DEADLINE_S)

    def shut_wr(self):
        self.end_tls()
        socket.socket.shutdown(self.sock, socket.SHUT_WR)  # SSLSocket's ends TLS for reading, too

    def end_tls(self):
        """TLS's own end, and does not wait for the peer's."""
        if not self.secured or self.sock.fileno() < 0:
            return
        self.sock.setblocking(False)
        try:
            self.sock.unwrap()
        except (OSError, ValueError):
            pass
        self.sock.settimeout(DEADLINE_S)

    def close(self):
        self.end_tls()
        self.sock.close()

    def cut(self):
        """A FIN, without TLS's own end."""
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Body:
    """A message body decoded as it arrives, by its framing: "none", "length", "chunked" or "close"."""

    def __init__(self, wire, framing, length=0):
        self.wire = wire
        self.framing = framing
        self.left = length
        self.pending = bytearray()  # decoded, not read yet
        self.trailers = []
        self.complete = framing == "none" or (framing == "length" and length == 0)

    def chunk(self):
        """The next whole chunk (another framing: what has arrived); None at the clean end."""
        assert not self.pending, "chunk() after a partial read"
        if not self._decode():
            return None
        data = bytes(self.pending)
        self.pending.clear()
        return data

    def read(self, count):
        while len(self.pending) < count:
            assert self._decode(), f"body ended after {bytes(self.pending)!r}"
        return self._consume(count)

    def event(self):
        """The bytes of the next event or comment, with its blank line."""
        while not (found := EVENT_END.search(self.pending)):
            assert self._decode(), f"stream ended after {bytes(self.pending)!r}"
        return self._consume(found.end())

    def rest(self):
        """All that is left, up to a clean end; Aborted if there is none."""
        while self._decode():
            pass
        return self._consume(len(self.pending))

    def until_abort(self):
        """All that is left, up to an abort; a clean end is a failure. `wire.ended` says how."""
        try:
            while self._decode():
                pass
        except Aborted:
            return self._consume(len(self.pending))
        raise AssertionError(f"a clean end after {bytes(self.pending[-200:])!r}")

    def _consume(self, count):
        data = bytes(self.pending[:count])
        del self.pending[:count]
        return data

    def _decode(self):
        """Decodes one more piece into `pending`; False at the clean end."""
        if self.complete:
            return False
        if self.framing == "chunked":
            return self._decode_chunk()
        if not self.wire.buffer and not self.wire.fill():
            if self.framing == "close" and self.wire.ended == "fin":
                self.complete = True
                return False
            raise Aborted(self.wire.ended)
        data = self.wire.take(min(len(self.wire.buffer), self.left)
                              if self.framing == "length" else len(self.wire.buffer))
        self.pending += data
        self.left -= len(data)
        self.complete = self.framing == "length" and self.left == 0
        return True

    def _decode_chunk(self):
        size = int(self.wire.read_until(b"\r\n").split(b";")[0], 16)
        if size == 0:
            while (line := self.wire.read_until(b"\r\n")) != b"\r\n":
                self.trailers.append(line)
            self.complete = True
            return False
        try:
            self.pending += self.wire.take(size)
        except Aborted:
            self.pending += self.wire.buffer
            raise
        assert self.wire.take(2) == b"\r\n"
        return True


def chunked(*pieces):
    """The chunked coding of `pieces`, with the last chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
