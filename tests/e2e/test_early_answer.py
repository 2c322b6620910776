"""An answer that comes while the client is still uploading: real clients that look for it only once
they have sent all, as slowly as they like."""

import http.client
import threading
import time

import pytest

REFUSAL = b"no, thank you"


def refusing(rig):
    """An upstream that answers as soon as it has a head, and then closes."""
    upstream = rig.upstream()

    def serve():
        while True:
            try:
                server = upstream.accept()
            except OSError:
                return
            server.read_head()
            server.respond(REFUSAL, "Connection: close", status="401 Unauthorized")
            try:
                server.shut_wr()
            except OSError:
                pass  # the gateway was quicker

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return upstream


def slowly(pieces, seconds):
    for _ in range(pieces):
        yield b"x" * 20_000
        time.sleep(seconds / pieces)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_slow_upload_gets_its_answer(rig, chunked):
    gateway = rig.gateway(refusing(rig))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    headers = {} if chunked else {"Content-Length": str(20 * 20_000)}
    # Longer than a connection lingers whose request is complete.
    connection.request("POST", "/upload", body=slowly(20, 2.5), headers=headers, encode_chunked=chunked)
    response = connection.getresponse()
    assert response.status == 401
    assert response.read() == REFUSAL
    connection.close()


def test_an_answer_of_our_own_too(rig):
    """The upstream says nothing: its answer could come before the bytes that are too many."""
    gateway = rig.gateway(rig.upstream(), "--max-body-size", "1k")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("POST", "/upload", body=slowly(20, 2.5), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_fast_upload_of_more_than_any_buffer(rig):
    gateway = rig.gateway(refusing(rig))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("POST", "/upload", body=(b"x" * 1_000_000 for _ in range(40)), encode_chunked=True)
    assert connection.getresponse().status == 401
    connection.close()
