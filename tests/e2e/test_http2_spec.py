"""The cases of h2spec 2.6, by its names: section (of RFC 7540, HPACK's of RFC 7541), a slash, number. Where RFC
9113 says otherwise, what it says is judged, and a comment stands beside the case. Each is on a connection of its own
to one gateway, which must serve the next client whatever came before."""

import struct

from harness import http2, wait_until
from harness.http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
                           PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, setting)
from harness.wire import Aborted

PRIORITIZED = 0x20
FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = http2.FLOW_CONTROL_ERROR, http2.STREAM_CLOSED, 6
PROTOCOL_ERROR, COMPRESSION_ERROR = http2.PROTOCOL_ERROR, http2.COMPRESSION_ERROR
PSEUDO = [(":method", "GET"), (":scheme", "http"), (":authority", "gateway.test"), (":path", "/")]
POST = [(":method", "POST")] + PSEUDO[1:]
GET = http2.block(PSEUDO)
WHOLE = END_HEADERS | END_STREAM
# "x-test" and "test" in Huffman's code, each behind its length.
HUFFMAN_NAME = b"\x85" + b"\xf2\xb2\x4a\x84\xff"
HUFFMAN_TEST = b"\x83" + b"\x49\x50\x9f"


def headers(payload=GET, flags=WHOLE, stream=1):
    return frame(HEADERS, flags, stream, payload)


def post(stream=1, *fields):
    return headers(http2.block(POST + list(fields)), END_HEADERS, stream)


def data(payload=b"test", flags=END_STREAM, stream=1):
    return frame(DATA, flags, stream, payload)


def get(*fields, without=None):
    return headers(http2.block([field for field in PSEUDO if field[0] != without] + list(fields)))


def number(value):
    return struct.pack(">I", value)


def priority(depends_on, weight=15, stream=1):
    return frame(PRIORITY, 0, stream, number(depends_on) + bytes([weight]))


# What must become of a case. In each of them a client whose connection was closed has been told
# enough: so h2spec judges, too.
def served(status=200):
    """Its stream has its answer."""
    def judge(client, stream):
        head, _ = stream.response()
        assert head.status == status
        client.round_trip()
    return judge


def tolerated(client, stream):
    """The connection goes on, and serves another stream."""
    client.next_id = max(client.next_id, 101)
    assert client.request("GET", "/").response()[0].status == 200


def stream_error(*codes):
    def judge(client, stream):
        try:
            while stream.reset is None and not client.goaways:
                assert not stream.ended, f"a clean end after {bytes(stream.pending)!r}"
                client.read_frame()
        except Aborted:
            return
        said = stream.reset if stream.reset is not None else client.goaways[0][1]
        assert said in codes, f"{said}, not one of {codes}"
    return judge


def connection_error(*codes):
    def judge(client, stream):
        client.read_to_end()
        for _, code in client.goaways:
            assert code in codes, f"GOAWAY with {code}, not one of {codes}"
    return judge


def says_goodbye(code):
    def judge(client, stream):
        assert client.read_to_end() == "fin"
        assert [said for _, said in client.goaways] == [code]
    return judge


CLOSED_OR_PROTOCOL = (STREAM_CLOSED, PROTOCOL_ERROR)


def literal(index_byte, name=b"x-test", value=b"test"):
    return GET + index_byte + bytes([len(name)]) + name + bytes([len(value)]) + value


def after_answer(*frames):
    """Frames on a stream that has ended on both sides."""
    def run(client, stream):
        client.send(headers())
        stream.response()
        client.send(b"".join(frames))
    return run


def at_a_reset_stream(*frames):
    def run(client, stream):
        client.send(post() + frame(RST_STREAM, 0, 1, number(http2.CANCEL)) + b"".join(frames))
    return run


def held_window(*frames_then):
    """A stream whose window takes one byte, and then what `frames_then` makes of it."""
    def run(client, stream):
        client.send(frame(SETTINGS, payload=setting(http2.INITIAL_WINDOW_SIZE, 1)) + headers())
        assert stream.read(1) == b"o"
        assert stream.frames == [1]
        client.send(b"".join(frames_then))
    return run


def of_negative_window(client, stream):
    client.send(frame(SETTINGS, payload=setting(http2.INITIAL_WINDOW_SIZE, 1)) + headers())
    assert stream.read(1) == b"o"
    client.send(frame(SETTINGS, payload=setting(http2.INITIAL_WINDOW_SIZE, 0)))  # the window is -1
    client.open_window(1, 1)
    client.round_trip()
    assert not stream.pending and not stream.ended
    client.open_window(1, 1)


def answers_settings(client, stream):
    acks = client.settings_acks
    client.send(frame(SETTINGS))
    while client.settings_acks == acks:
        client.read_frame()


def answers_ping(client, stream):
    client.ping(b"h2spec!!")
    while b"h2spec!!" not in client.pings:
        client.read_frame()


def does_not_answer_acks(client, stream):
    client.send(frame(PING, ACK, 0, b"answered"))
    client.round_trip()
    assert b"answered" not in client.pings


def many_streams(client, stream):
    limit = client.settings.get(http2.MAX_CONCURRENT_STREAMS)
    for n in range(limit + 1):
        client.streams[1 + 2 * n] = last = http2.Http2Exchange(client, 1 + 2 * n)
        client.send(post(1 + 2 * n))
    stream_error(PROTOCOL_ERROR, http2.REFUSED_STREAM)(client, last)


def nothing_more(client, stream):
    pass


GENERIC = {
    "generic/1/1 a preface": (b"", tolerated),
    "generic/2/1 PRIORITY on an idle stream": (priority(0, stream=3) + headers(), served()),
    "generic/2/2 WINDOW_UPDATE on a half-closed stream": (held_window(frame(WINDOW_UPDATE, 0, 1, number(100))), served()),
    "generic/2/3 PRIORITY on a half-closed stream": (headers() + priority(0), served()),
    "generic/2/4 RST_STREAM on a half-closed stream": (headers() + frame(RST_STREAM, 0, 1, number(8)), tolerated),
    "generic/2/5 PRIORITY on a closed stream": (after_answer(priority(0)), tolerated),
    "generic/3.1/1 DATA": (post() + data(), served()),
    "generic/3.1/2 several DATA": (post() + data(flags=0) + data(), served()),
    "generic/3.1/3 DATA with padding": (post() + data(b"\4test\0\0\0\0", END_STREAM | PADDED), served()),
    "generic/3.2/1 HEADERS": (headers(), served()),
    "generic/3.2/2 HEADERS with padding": (headers(b"\4" + GET + b"\0" * 4, WHOLE | PADDED), served()),
    "generic/3.2/3 HEADERS with priority": (headers(number(0) + b"\xff" + GET, WHOLE | PRIORITIZED), served()),
    "generic/3.3/1 PRIORITY 1": (priority(0, 0) + headers(), served()),
    "generic/3.3/2 PRIORITY 256": (priority(0, 255) + headers(), served()),
    "generic/3.3/3 PRIORITY with a dependency": (priority(0) + priority(1, stream=3) + headers(), served()),
    "generic/3.3/4 PRIORITY, exclusive": (priority(0) + priority(1 | 1 << 31, stream=3) + headers(), served()),
    "generic/3.3/5 PRIORITY of an idle stream, then its HEADERS": (priority(0, stream=5) + headers(), served()),
    "generic/3.4/1 RST_STREAM": (post() + frame(RST_STREAM, 0, 1, number(8)), tolerated),
    "generic/3.5/1 SETTINGS": (answers_settings, tolerated),
    "generic/3.7/1 PING": (answers_ping, tolerated),
    "generic/3.8/1 GOAWAY": (frame(GOAWAY, 0, 0, number(0) + number(0)), connection_error(http2.NO_ERROR)),
    "generic/3.9/1 WINDOW_UPDATE of the connection": (frame(WINDOW_UPDATE, 0, 0, number(1)) + headers(), served()),
    "generic/3.9/2 WINDOW_UPDATE of a stream": (post() + frame(WINDOW_UPDATE, 0, 1, number(1)) + data(), served()),
    "generic/3.10/1 CONTINUATION": (headers(GET[:9], END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, GET[9:]), served()),
    "generic/3.10/2 several": (headers(GET[:9], END_STREAM) + frame(CONTINUATION, 0, 1, GET[9:20])
                               + frame(CONTINUATION, END_HEADERS, 1, GET[20:]), served()),
    "generic/4/1 GET": (headers(), served()),
    "generic/4/2 HEAD": (headers(http2.block([(":method", "HEAD")] + PSEUDO[1:])), served()),
    "generic/4/3 POST": (post() + data(), served()),
    "generic/4/4 POST with trailers": (post(1, ("trailer", "x-test")) + data(flags=0)
                                       + headers(http2.block([("x-test", "ok")])), served()),
    "generic/5/1 indexed field": (headers(b"\x82\x86\x84" + http2.block(PSEUDO[2:3])), served()),
    "generic/5/2 literal, indexed name, into the table": (headers(GET + b"\x7a\4test"), served()),
    "generic/5/3 the same with Huffman": (headers(GET + b"\x7a" + HUFFMAN_TEST), served()),
    "generic/5/4 literal, new name, into the table": (headers(literal(b"\x40")), served()),
    "generic/5/5 the same with Huffman": (headers(GET + b"\x40" + HUFFMAN_NAME + HUFFMAN_TEST), served()),
    "generic/5/6 literal, indexed name, not into it": (headers(GET + b"\x0f\x2b\4test"), served()),
    "generic/5/7 the same with Huffman": (headers(GET + b"\x0f\x2b" + HUFFMAN_TEST), served()),
    "generic/5/8 literal, new name, not into the table": (headers(literal(b"\x00")), served()),
    "generic/5/9 the same with Huffman": (headers(GET + b"\x00" + HUFFMAN_NAME + HUFFMAN_TEST), served()),
    "generic/5/10 literal, indexed name, never": (headers(GET + b"\x1f\x2b\4test"), served()),
    "generic/5/11 the same with Huffman": (headers(GET + b"\x1f\x2b" + HUFFMAN_TEST), served()),
    "generic/5/12 literal, new name, never": (headers(literal(b"\x10")), served()),
    "generic/5/13 the same with Huffman": (headers(GET + b"\x10" + HUFFMAN_NAME + HUFFMAN_TEST), served()),
    "generic/5/14 size of the table": (headers(b"\x20" + GET), served()),
    "generic/5/15 two sizes of the table": (headers(b"\x20\x3f\x61" + GET), served()),
}

FRAMES = {  # sections 3.5 to 5.5
    "http2/3.5/1 a preface": (headers(), served()),
    "http2/4.1/1 unknown type": (frame(0xff) + headers(), served()),
    "http2/4.1/2 undefined flags": (frame(PING, 0xfe, 0, b"12345678") + headers(), served()),
    "http2/4.1/3 reserved bit": (frame(PING, 0, 1 << 31, b"12345678") + headers(), served()),
    "http2/4.2/1 DATA of 2^14": (post() + data(b"x" * 2**14), served()),
    "http2/4.2/2 DATA beyond": (post() + data(b"x" * (2**14 + 1)), stream_error(FRAME_SIZE_ERROR)),
    "http2/4.2/3 HEADERS beyond": (headers(GET + http2.block([("x", "y" * 100)]) * 200), connection_error(FRAME_SIZE_ERROR)),
    "http2/4.3/1 header block that is none": (headers(b"\x40\2\4te"), connection_error(COMPRESSION_ERROR)),
    "http2/4.3/2 PRIORITY within a head": (headers(GET[:9], END_STREAM) + priority(0), connection_error(PROTOCOL_ERROR)),
    "http2/4.3/3 HEADERS of another within a head": (headers(GET[:9], END_STREAM) + headers(stream=3),
                                                     connection_error(PROTOCOL_ERROR)),
    "http2/5.1/1 idle: DATA": (data(), connection_error(PROTOCOL_ERROR)),
    "http2/5.1.2/1 idle: RST_STREAM": (frame(RST_STREAM, 0, 1, number(8)), connection_error(PROTOCOL_ERROR)),
    "http2/5.1/3 idle: WINDOW_UPDATE": (frame(WINDOW_UPDATE, 0, 1, number(100)), connection_error(PROTOCOL_ERROR)),
    "http2/5.1/4 idle: CONTINUATION": (frame(CONTINUATION, END_HEADERS, 1, GET), connection_error(PROTOCOL_ERROR)),
    "http2/5.1/5 half-closed: DATA": (headers() + data(), stream_error(STREAM_CLOSED)),
    "http2/5.1/6 half-closed: HEADERS": (headers() + headers(), stream_error(STREAM_CLOSED)),
    "http2/5.1/7 half-closed: CONTINUATION": (headers() + frame(CONTINUATION, END_HEADERS, 1, GET),
                                              connection_error(*CLOSED_OR_PROTOCOL)),
    "http2/5.1/8 reset: DATA": (at_a_reset_stream(data()), stream_error(STREAM_CLOSED)),
    "http2/5.1/9 reset: HEADERS": (at_a_reset_stream(headers()), stream_error(STREAM_CLOSED)),
    "http2/5.1/10 reset: CONTINUATION": (at_a_reset_stream(frame(CONTINUATION, END_HEADERS, 1, GET)),
                                         connection_error(*CLOSED_OR_PROTOCOL)),
    "http2/5.1/11 closed: DATA": (after_answer(data()), connection_error(STREAM_CLOSED)),
    "http2/5.1/12 closed: HEADERS": (after_answer(headers()), connection_error(STREAM_CLOSED)),
    "http2/5.1/13 closed: CONTINUATION": (after_answer(frame(CONTINUATION, END_HEADERS, 1, GET)),
                                          connection_error(*CLOSED_OR_PROTOCOL)),
    "http2/5.1.1/1 even stream": (headers(stream=2), connection_error(PROTOCOL_ERROR)),
    "http2/5.1.1/2 a smaller number": (headers(stream=5) + headers(stream=3), connection_error(*CLOSED_OR_PROTOCOL)),
    "http2/5.1.2/1 more streams than allowed": (many_streams, nothing_more),
    # RFC 9113 (section 5.3.2) says nothing of dependencies any more; the codec refuses this one all the same.
    "http2/5.3.1/1 HEADERS that depends on itself": (headers(number(1) + b"\xff" + GET, WHOLE | PRIORITIZED),
                                                     stream_error(PROTOCOL_ERROR)),
    # RFC 9113 has no such rule any more; neither have we, with priorities of RFC 7540 off.
    "http2/5.3.1/2 PRIORITY that depends on itself": (priority(3, stream=3) + headers(), served()),
    "http2/5.4.1/1 a connection error ends it": (frame(PING, 0, 3, b"12345678"), connection_error(PROTOCOL_ERROR)),
    "http2/5.4.1/2 and says so": (frame(PING, 0, 3, b"12345678"), says_goodbye(PROTOCOL_ERROR)),
    "http2/5.5/1 an extension": (frame(0x16, 0, 0, b"12345678") + headers(), served()),
    "http2/5.5/2 an extension within a head": (headers(GET[:9], END_STREAM) + frame(0x16, 0, 0, b"12345678"),
                                               connection_error(PROTOCOL_ERROR)),
}

DEFINITIONS = {  # section 6
    "http2/6.1/1 DATA on stream 0": (data(stream=0), connection_error(PROTOCOL_ERROR)),
    "http2/6.1/2 DATA on a stream that is not open": (headers() + data(), stream_error(STREAM_CLOSED)),
    "http2/6.1/3 padding beyond the DATA": (post() + data(b"\x10test", END_STREAM | PADDED), connection_error(PROTOCOL_ERROR)),
    "http2/6.2/1 a head, then PRIORITY": (headers(GET, END_STREAM) + priority(0), connection_error(PROTOCOL_ERROR)),
    "http2/6.2/2 a head, then another's": (headers(GET, END_STREAM) + headers(stream=3), connection_error(PROTOCOL_ERROR)),
    "http2/6.2/3 HEADERS on stream 0": (headers(stream=0), connection_error(PROTOCOL_ERROR)),
    "http2/6.2/4 padding beyond the HEADERS": (headers(b"\xff" + GET, WHOLE | PADDED), connection_error(PROTOCOL_ERROR)),
    "http2/6.3/1 PRIORITY on stream 0": (priority(0, stream=0), connection_error(PROTOCOL_ERROR)),
    "http2/6.3/2 PRIORITY of four bytes": (post() + frame(PRIORITY, 0, 1, number(0)), stream_error(FRAME_SIZE_ERROR)),
    "http2/6.4/1 RST_STREAM on stream 0": (frame(RST_STREAM, 0, 0, number(8)), connection_error(PROTOCOL_ERROR)),
    "http2/6.4/2 RST_STREAM on an idle one": (frame(RST_STREAM, 0, 1, number(8)), connection_error(PROTOCOL_ERROR)),
    "http2/6.4/3 RST_STREAM of three bytes": (post() + frame(RST_STREAM, 0, 1, b"\0\0\0"), connection_error(FRAME_SIZE_ERROR)),
    "http2/6.5/1 ACK with a payload": (frame(SETTINGS, ACK, 0, b"\0"), connection_error(FRAME_SIZE_ERROR)),
    "http2/6.5/2 SETTINGS on a stream": (frame(SETTINGS, 0, 1, setting(3, 100)), connection_error(PROTOCOL_ERROR)),
    "http2/6.5/3 SETTINGS of three bytes": (frame(SETTINGS, 0, 0, b"\0\3\0"), connection_error(FRAME_SIZE_ERROR)),
    "http2/6.5.2/1 ENABLE_PUSH 2": (frame(SETTINGS, 0, 0, setting(2, 2)), connection_error(PROTOCOL_ERROR)),
    "http2/6.5.2/2 INITIAL_WINDOW_SIZE 2^31": (frame(SETTINGS, 0, 0, setting(4, 2**31)), connection_error(FLOW_CONTROL_ERROR)),
    "http2/6.5.2/3 MAX_FRAME_SIZE 2^14-1": (frame(SETTINGS, 0, 0, setting(5, 2**14 - 1)), connection_error(PROTOCOL_ERROR)),
    "http2/6.5.2/4 MAX_FRAME_SIZE 2^24": (frame(SETTINGS, 0, 0, setting(5, 2**24)), connection_error(PROTOCOL_ERROR)),
    "http2/6.5.2/5 an unknown setting": (frame(SETTINGS, 0, 0, setting(0xff, 1)) + headers(), served()),
    "http2/6.5.3/1 a setting twice": (frame(SETTINGS, 0, 0, setting(4, 1) + setting(4, 100)) + headers(), served()),
    "http2/6.5.3/2 an ACK follows": (answers_settings, tolerated),
    "http2/6.7/1 PING": (answers_ping, tolerated),
    "http2/6.7/2 PING with ACK": (does_not_answer_acks, tolerated),
    "http2/6.7/3 PING on a stream": (frame(PING, 0, 1, b"12345678"), connection_error(PROTOCOL_ERROR)),
    "http2/6.7/4 PING of six bytes": (frame(PING, 0, 0, b"123456"), connection_error(FRAME_SIZE_ERROR)),
    "http2/6.8/1 GOAWAY on a stream": (frame(GOAWAY, 0, 1, number(0) + number(0)), connection_error(PROTOCOL_ERROR)),
    "http2/6.9/1 WINDOW_UPDATE of 0": (frame(WINDOW_UPDATE, 0, 0, number(0)), connection_error(PROTOCOL_ERROR)),
    "http2/6.9/2 WINDOW_UPDATE of 0 on a stream": (post() + frame(WINDOW_UPDATE, 0, 1, number(0)), stream_error(PROTOCOL_ERROR)),
    "http2/6.9/3 WINDOW_UPDATE of three bytes": (frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), connection_error(FRAME_SIZE_ERROR)),
    "http2/6.9.1/1 a window of 1": (held_window(frame(WINDOW_UPDATE, 0, 1, number(1))), served()),
    "http2/6.9.1/2 the connection's beyond 2^31-1": (frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1)) * 2,
                                                     connection_error(FLOW_CONTROL_ERROR)),
    "http2/6.9.1/3 a stream's beyond": (post() + frame(WINDOW_UPDATE, 0, 1, number(2**31 - 1)) * 2,
                                        stream_error(FLOW_CONTROL_ERROR)),
    "http2/6.9.2/1 INITIAL_WINDOW_SIZE behind HEADERS": (
        held_window(frame(SETTINGS, 0, 0, setting(http2.INITIAL_WINDOW_SIZE, 2))), served()),
    "http2/6.9.2/2 a window below zero": (of_negative_window, served()),
    "http2/6.9.2/3 INITIAL_WINDOW_SIZE beyond 2^31-1": (frame(SETTINGS, 0, 0, setting(4, 2**31)),
                                                        connection_error(FLOW_CONTROL_ERROR)),
    "http2/6.10/1 several CONTINUATION": (headers(GET[:9], END_STREAM) + frame(CONTINUATION, 0, 1, GET[9:20])
                                          + frame(CONTINUATION, END_HEADERS, 1, GET[20:]), served()),
    "http2/6.10/2 CONTINUATION, then another frame": (headers(GET[:9], END_STREAM) + frame(CONTINUATION, 0, 1, GET[9:20])
                                                      + data(), connection_error(PROTOCOL_ERROR)),
    "http2/6.10/3 CONTINUATION on stream 0": (headers(GET[:9], END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, GET[9:]),
                                              connection_error(PROTOCOL_ERROR)),
    "http2/6.10/4 behind a whole HEADERS": (post() + frame(CONTINUATION, END_HEADERS, 1, GET), connection_error(PROTOCOL_ERROR)),
    "http2/6.10/5 behind a last CONTINUATION": (headers(GET[:9], END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, GET[9:])
                                                + frame(CONTINUATION, END_HEADERS, 1, GET), connection_error(*CLOSED_OR_PROTOCOL)),
    "http2/6.10/6 behind DATA": (post() + data(flags=0) + frame(CONTINUATION, END_HEADERS, 1, GET),
                                 connection_error(PROTOCOL_ERROR)),
    "http2/7/1 GOAWAY with an unknown code": (frame(GOAWAY, 0, 0, number(0) + number(0xff)), connection_error(http2.NO_ERROR)),
    "http2/7/2 RST_STREAM with an unknown code": (post() + frame(RST_STREAM, 0, 1, number(0xff)), tolerated),
}

MESSAGES = {  # section 8
    "http2/8.1/1 a second HEADERS without an end": (post() + headers(http2.block([("x-test", "ok")]), END_HEADERS),
                                                  stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2/1 upper case": (get(("X-TEST", "ok")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.1/1 unknown pseudo-field": (get((":test", "ok")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.1/2 a response's": (get((":status", "200")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.1/3 pseudo-field in trailers": (post() + data(flags=0) + headers(http2.block([(":method", "200")])),
                                                 stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.1/4 pseudo-field behind others": (headers(http2.block([("x-test", "ok")] + PSEUDO)), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.2/1 connection": (get(("connection", "keep-alive")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.2/2 te": (get(("trailers", "test"), ("te", "trailers, deflate")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/1 empty path": (get((":path", ""), without=":path"), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/2 no method": (get(without=":method"), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/3 no scheme": (get(without=":scheme"), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/4 no path": (get(without=":path"), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/5 two methods": (get((":method", "POST")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/6 two schemes": (get((":scheme", "http")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.3/7 two paths": (get((":path", "/")), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.6/1 a length that DATA does not have": (post(1, ("content-length", "1")) + data(), stream_error(PROTOCOL_ERROR)),
    "http2/8.1.2.6/2 nor several DATA": (post(1, ("content-length", "1")) + data(flags=0) + data(),
                                         stream_error(PROTOCOL_ERROR)),
    "http2/8.2/1 PUSH_PROMISE": (frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + GET), connection_error(PROTOCOL_ERROR)),
}

HPACK = {
    "hpack/2.3.3/1 an index beyond the table": (headers(GET + b"\xc6"), connection_error(COMPRESSION_ERROR)),
    "hpack/2.3.3/2 a literal's": (headers(GET + b"\x7f\x07\4test"), connection_error(COMPRESSION_ERROR)),
    "hpack/4.2/1 a size at the end of a block": (headers(GET + b"\x3f\x61"), connection_error(COMPRESSION_ERROR)),
    "hpack/5.2/1 padding of more than seven bits": (headers(GET + b"\x40\4test\x84\x49\x50\x9f\xff"), connection_error(COMPRESSION_ERROR)),
    "hpack/5.2/2 padding of zeros": (headers(GET + b"\x40\4test\x83\x49\x50\x90"), connection_error(COMPRESSION_ERROR)),
    "hpack/5.2/3 EOS": (headers(GET + b"\x40\4test\x88\x49\x52\x7f\xff\xff\xff\xf2\x7f"), connection_error(COMPRESSION_ERROR)),
    "hpack/6.1/1 index 0": (headers(GET + b"\x80"), connection_error(COMPRESSION_ERROR)),
    "hpack/6.3/1 a size beyond the setting": (headers(b"\x3f\xe2\x1f" + GET), connection_error(COMPRESSION_ERROR)),
}


def run(rig, cases):
    upstream = rig.upstream(lambda server, request: server.respond(b"" if request.method == "HEAD" else b"ok"))
    gateway = rig.gateway(upstream)
    failures = []
    for name, (what, judge) in cases.items():
        client = rig.http2(gateway, window=65535, connection_window=False)
        client.round_trip()
        stream = client.streams[1] = http2.Http2Exchange(client, 1)
        try:
            try:
                client.send(what) if isinstance(what, bytes) else what(client, stream)
            except OSError:
                pass  # it was closed while we sent
            judge(client, stream)
        except (AssertionError, Aborted) as failure:
            failures.append(f"{name}: {failure!r}")
        client.close()
    assert not failures, "\n".join(failures)
    assert rig.http2(gateway).request("GET", "/").response()[1] == b"ok"
    wait_until(lambda: gateway.metrics().sum("sluice_streams_started_total")
               == gateway.metrics().sum("sluice_streams_ended_total") > 0, "no stream is left")


def test_generic(rig):
    run(rig, GENERIC)


def test_bytes_that_are_no_preface(rig):  # http2/3.5/2
    upstream = rig.upstream(lambda server, request: server.respond(b"ok"))
    client = rig.http2(rig.gateway(upstream), greet=False)
    client.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    client.wait_closed()
    assert not upstream.requests


def test_frames_and_streams(rig):
    run(rig, FRAMES)


def test_frame_definitions(rig):
    run(rig, DEFINITIONS)


def test_messages(rig):
    run(rig, MESSAGES)


def test_hpack(rig):
    run(rig, HPACK)
