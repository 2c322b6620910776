"""The longest matching prefix picks the route, and with it the upstream and every stream setting."""

import pytest


def named(name):
    return lambda server, request: server.respond(name.encode())


def get(rig, gateway, target):
    client = rig.client(gateway)
    client.get(target)
    return client.response()


def test_the_longest_prefix_wins(rig):
    root, v1, chat = (rig.upstream(named(name)) for name in ("root", "v1", "chat"))
    gateway = rig.gateway(root, "--route", f"path=/v1,upstream={v1.url}",
                          "--route", f"path=/v1/chat,upstream={chat.url}")
    for target, name in {
        "/": b"root", "/v": b"root", "/v10": b"root", "/v2/v1": b"root",
        "/v1": b"v1", "/v1/": b"v1", "/v1?x=/v1/chat": b"v1", "/v1/chatter": b"v1",
        "/v1/chat": b"chat", "/v1/chat/completions": b"chat", "/v1/chat?x": b"chat",
        "http://gateway.test/v1/chat": b"chat",
    }.items():
        assert get(rig, gateway, target)[1] == name, target


def test_no_route_is_404(rig):
    upstream = rig.upstream(named("only"))
    gateway = rig.gateway(None, "--route", f"path=/only,upstream={upstream.url}")
    assert get(rig, gateway, "/only")[1] == b"only"
    head, _ = get(rig, gateway, "/other")
    assert head.status == 404
    assert head.get("content-type") == "application/problem+json"


def test_several_upstreams_take_turns(rig):
    upstreams = [rig.upstream(named(name)) for name in "ab"]
    gateway = rig.gateway(upstreams[0], "--upstream", upstreams[1].url)
    assert sorted(get(rig, gateway, "/")[1] for _ in range(4)) == [b"a", b"a", b"b", b"b"]


@pytest.mark.parametrize("setting", ["first-byte-timeout=100ms", "max-body-size=1", "event-hold=1k,buffer-size=1k"])
def test_a_route_overrides_a_setting(rig, setting):
    """Each on /strict only; the default route next to it behaves as before."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--route", f"path=/strict,upstream={upstream.url},{setting}")
    outcomes = {target: outcome(rig, gateway, upstream, target, setting.split("=")[0])
                for target in ("/strict", "/loose")}
    assert outcomes == {"/strict": True, "/loose": False}


def outcome(rig, gateway, upstream, target, setting):
    """Whether the setting had its effect."""
    client = rig.client(gateway)
    if setting == "max-body-size":
        client.request("POST", target, body=b"too long")
        if target == "/strict":
            return client.response()[0].status == 413
        server = upstream.accept()
        server.read_request()
        server.respond()
        return client.response()[0].status == 413
    client.get(target)
    server = upstream.accept()
    server.read_request()
    if setting == "first-byte-timeout":
        if target == "/strict":
            return client.response()[0].status == 504
        client.assert_silent(0.3)
        server.respond()
        return client.response()[0].status == 504
    server.start_events()
    client.read_head()
    server.chunk(b"data: " + b"x" * 2000)
    if target == "/strict":
        return client.body.read(2006) != b""
    client.assert_silent(0.2)
    return False
