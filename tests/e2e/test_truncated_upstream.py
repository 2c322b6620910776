"""A stream that its upstream did not finish never ends cleanly: the client gets the whole events
that arrived, no part of one, and an abort."""

import pytest

WHOLE = b"data: 1\n\ndata: 2\n\n"
PARTIAL = b"data: 3\nid: 3\n"
SSE = "Content-Type: text/event-stream"
CHUNKED = "Transfer-Encoding: chunked"


def close_between_chunks(server):
    server.chunk(WHOLE + PARTIAL)
    server.close()


def close_within_a_chunk(server):
    server.send(b"%x\r\n%b" % (1000, WHOLE + PARTIAL))
    server.close()


def reset(server):
    server.chunk(WHOLE + PARTIAL)
    server.reset()


def break_the_chunk_framing(server):
    server.chunk(WHOLE + PARTIAL)
    server.send(b"not a size\r\n")


def fall_silent(server):
    server.chunk(WHOLE + PARTIAL)


@pytest.mark.parametrize("truncate", [
    close_between_chunks, close_within_a_chunk, break_the_chunk_framing, fall_silent])
def test_a_cut_chunked_stream_is_aborted(rig, truncate):
    client, server = rig.exchange("--stream-idle-timeout", "300ms")
    server.send_head(SSE, CHUNKED)
    truncate(server)
    assert client.read_head().status == 200
    assert client.body.until_abort() == WHOLE


def test_a_reset_stream_is_aborted(rig):
    client, server = rig.stream()
    server.chunk(WHOLE)
    assert client.body.read(len(WHOLE)) == WHOLE  # a reset may overtake what is still unread
    server.chunk(PARTIAL)
    server.reset()
    assert client.body.until_abort() == b""


def test_a_short_content_length_stream_is_aborted(rig):
    client, server = rig.exchange()
    server.send_head(SSE, "Content-Length: 1000")
    server.send(WHOLE + PARTIAL)
    server.close()
    client.read_head()
    assert client.body.until_abort() == WHOLE


def test_a_reset_close_delimited_stream_is_aborted(rig):
    client, server = rig.exchange()
    server.send_head(SSE, "Connection: close")
    server.send(WHOLE)
    client.read_head()
    assert client.body.read(len(WHOLE)) == WHOLE
    server.reset()
    assert client.body.until_abort() == b""


@pytest.mark.parametrize("truncate", [close_between_chunks, close_within_a_chunk, fall_silent])
def test_a_close_delimited_client_is_reset(rig, truncate):
    """To an HTTP/1.0 client a FIN would look like the end."""
    client, server = rig.exchange("--stream-idle-timeout", "300ms", version="1.0")
    server.send_head(SSE, CHUNKED)
    truncate(server)
    client.read_head()
    assert client.body.framing == "close"
    assert client.body.until_abort() == WHOLE
    assert client.ended == ("cut" if client.secured else "rst")


@pytest.mark.parametrize("framing", [CHUNKED, "Content-Length: 1000"])
def test_other_bodies_are_aborted_too(rig, framing):
    client, server = rig.exchange()
    server.send_head("Content-Type: text/plain", framing)
    server.send(b"4\r\nsome\r\n" if framing == CHUNKED else b"some")
    client.read_head()
    assert client.body.read(4) == b"some"
    server.close()
    assert client.body.until_abort() == b""


def test_the_reason_is_counted(rig):
    client, server = rig.stream()
    server.close()
    client.body.until_abort()
    rig.gateways[0].wait_metric("sluice_closes_total", 1, side="upstream", reason="upstream_truncated")
