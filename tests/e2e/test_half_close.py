"""A FIN alone ends a stream, but not on a route that allows clients to shut down their sending side."""


def test_an_allowed_half_close_keeps_the_stream(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(None, "--route", f"path=/,upstream={upstream.url},half-close=allow")
    client = rig.client(gateway)
    client.get()
    client.shut_wr()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    assert client.read_head().status == 200
    for i in range(3):
        server.chunk(b"data: %d\n\n" % i)
        assert client.body.event() == b"data: %d\n\n" % i
    server.assert_silent(0.1)
    server.end_chunks()
    assert client.body.rest() == b""
    assert client.wait_closed() == "fin"


def test_a_reset_ends_it_all_the_same(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(None, "--route", f"path=/,upstream={upstream.url},half-close=allow")
    client = rig.client(gateway)
    client.get()
    server = upstream.accept()
    server.read_request()
    server.start_events()
    client.read_head()
    client.reset()
    server.wait_closed(2.0)


def test_it_may_be_allowed_everywhere(rig):
    client, server = rig.exchange("--half-close", "allow")
    client.shut_wr()
    server.assert_silent(0.1)
    server.respond(b"late")
    assert client.response()[1] == b"late"
