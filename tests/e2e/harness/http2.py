"""An HTTP/2 client that sends exactly the frames that it is told to, and shows the ones that come.
Heads are written as literals; those that come are unpacked by the library that the gateway has too."""

import ctypes
import socket
import struct

from .wire import EVENT_END, Aborted, Wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 5, 7, 8, 9, 11
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE = 1, 3, 4, 6


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def setting(name, value):
    return struct.pack(">HI", name, value)


def _length(size):
    if size < 127:
        return bytes([size])
    out, size = b"\x7f", size - 127
    while size >= 128:
        out, size = out + bytes([size % 128 + 128]), size // 128
    return out + bytes([size])


def block(fields):
    """A header block of literals that enter no table."""
    out = b""
    for name, value in fields:
        name = name if isinstance(name, bytes) else name.encode("latin-1")
        value = value if isinstance(value, bytes) else value.encode("latin-1")
        out += b"\0" + _length(len(name)) + name + _length(len(value)) + value
    return out


class _Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("value", ctypes.c_void_p), ("name_size", ctypes.c_size_t),
                ("value_size", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class _Unpacker:
    def __init__(self):
        self.nghttp2 = ctypes.CDLL("libnghttp2.so.14")
        self.nghttp2.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        self.state = ctypes.c_void_p()
        assert self.nghttp2.nghttp2_hd_inflate_new(ctypes.byref(self.state)) == 0

    def __del__(self):
        self.nghttp2.nghttp2_hd_inflate_del(self.state)

    def unpack(self, data):
        fields = []
        while True:
            field, flags = _Field(), ctypes.c_int(0)
            used = self.nghttp2.nghttp2_hd_inflate_hd2(self.state, ctypes.byref(field), ctypes.byref(flags), data,
                                                       ctypes.c_size_t(len(data)), 1)
            assert used >= 0, f"header block: {used}"
            data = data[used:]
            if flags.value & 2:
                fields.append((ctypes.string_at(field.name, field.name_size).decode("latin-1"),
                               ctypes.string_at(field.value, field.value_size).decode("latin-1")))
            if flags.value & 1:
                self.nghttp2.nghttp2_hd_inflate_end_headers(self.state)
                return fields
            assert used or flags.value & 2, "the header block is cut"


class Http2Head:
    def __init__(self, fields):
        self.fields = fields

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))

    @property
    def status(self):
        return int(self.get(":status"))


class Http2Exchange:
    """One stream, as its client sees it."""

    def __init__(self, client, number):
        self.client = client
        self.id = number
        self.heads = []
        self.pending = bytearray()
        self.frames = []  # sizes of its DATA frames
        self.ended = False
        self.reset = None  # the code of RST_STREAM

    def _wait(self, condition):
        while not condition():
            if self.reset is not None:
                raise Aborted(f"reset {self.reset}")
            assert not self.ended, f"ended after {bytes(self.pending)!r}"
            self.client.read_frame()

    def head(self):
        """The next head, interim ones included."""
        self._wait(lambda: self.heads)
        return self.heads.pop(0)

    def read(self, count):
        self._wait(lambda: len(self.pending) >= count)
        return self._consume(count)

    def event(self):
        self._wait(lambda: EVENT_END.search(self.pending))
        return self._consume(EVENT_END.search(self.pending).end())

    def rest(self):
        """All that is left up to END_STREAM; Aborted where there is a reset instead."""
        while not self.ended:
            self._wait(lambda have=len(self.pending): self.ended or len(self.pending) > have)
        return self._consume(len(self.pending))

    def response(self):
        head = self.head()
        while head.status < 200:
            head = self.head()
        return head, self.rest()

    def wait_reset(self):
        """The code of its reset; a clean end is a failure."""
        while self.reset is None:
            assert not self.ended, f"a clean end after {bytes(self.pending)!r}"
            self.client.read_frame()
        return self.reset

    def cancel(self, code=CANCEL):
        self.client.send(frame(RST_STREAM, 0, self.id, struct.pack(">I", code)))

    def data(self, data, end=False):
        self.client.send(frame(DATA, END_STREAM if end else 0, self.id, data))

    def open_window(self, size):
        self.client.open_window(size, self.id)

    def _consume(self, count):
        data = bytes(self.pending[:count])
        del self.pending[:count]
        return data


class Http2Client(Wire):
    """`window`: of each stream; the connection's is as large as can be, unless `connection_window`
    leaves it alone. SETTINGS are answered, and PING where `answers_pings`."""

    def __init__(self, port, window=2**31 - 1, connection_window=True, host="127.0.0.1", rcvbuf=None, greet=True):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock)
        sock.connect((host, port))
        self.unpacker = _Unpacker()
        self.streams = {}
        self.next_id = 1
        self.answers_pings = True
        self.settings = {}  # the gateway's
        self.settings_acks = 0
        self.pings = []  # answered by the gateway
        self.asked = []  # PINGs of the gateway's
        self.goaways = []  # (last stream, code)
        self.window_updates = {}
        self.headers = b""
        if greet:
            self.send(PREFACE + frame(SETTINGS, payload=setting(INITIAL_WINDOW_SIZE, window)))
            if connection_window:
                self.open_window(2**31 - 1 - 65535)

    def open_window(self, size, stream=0):
        self.send(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size)))

    def request(self, method="GET", target="/events", *fields, body=None, end=True, authority="gateway.test"):
        """Fields are (name, value). `end` False: the body follows by data()."""
        head = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", target), *fields]
        return self.raw_request(head, end and body is None, body)

    def raw_request(self, head, end=True, body=None):
        stream = Http2Exchange(self, self.next_id)
        self.streams[stream.id] = stream
        self.next_id += 2
        out = frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream.id, block(head))
        if body is not None:
            out += frame(DATA, END_STREAM, stream.id, body)
        self.send(out)
        return stream

    def ping(self, payload=b"pingpong"):
        self.send(frame(PING, payload=payload))

    def round_trip(self):
        """All that was sent has been heard."""
        self.ping(b"roundtrp")
        while b"roundtrp" not in self.pings:
            self.read_frame()
        self.pings.remove(b"roundtrp")

    def read_frame(self):
        """Takes in the next frame; Aborted where the gateway has closed."""
        header = self.take(9)
        size = int.from_bytes(header[:3], "big")
        kind, flags, number = struct.unpack(">BBI", header[3:])
        self._on_frame(kind, flags, number, self.take(size))
        return kind, flags, number

    def wait_goaway(self):
        while not self.goaways:
            self.read_frame()
        return self.goaways.pop(0)

    def read_to_end(self):
        """All frames up to the gateway's close, which is "fin" or "rst"."""
        try:
            while True:
                self.read_frame()
        except Aborted as aborted:
            return aborted.how

    def _on_frame(self, kind, flags, number, payload):
        stream = self.streams.get(number)
        if kind == SETTINGS and flags & ACK:
            self.settings_acks += 1
        elif kind == SETTINGS:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                self.settings[name] = value
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and flags & ACK:
            self.pings.append(payload)
        elif kind == PING:
            self.asked.append(payload)
            if self.answers_pings:
                self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack(">II", payload[:8]))
        elif kind == WINDOW_UPDATE:
            self.window_updates[number] = self.window_updates.get(number, 0) + struct.unpack(">I", payload)[0]
        elif kind in (HEADERS, CONTINUATION):
            self.headers += payload
            if flags & END_HEADERS:
                fields = self.unpacker.unpack(self.headers)
                self.headers = b""
                if stream:
                    stream.heads.append(Http2Head(fields))
            if stream and kind == HEADERS and flags & END_STREAM:
                stream.ended = True
        elif kind == DATA and stream:
            stream.pending += payload
            stream.frames.append(len(payload))
            if flags & END_STREAM:
                stream.ended = True
        elif kind == RST_STREAM and stream:
            stream.reset = struct.unpack(">I", payload)[0]
