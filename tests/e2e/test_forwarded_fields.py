"""What the gateway changes in a head, and what it leaves, seen from both sides."""


def forwarded(rig, *fields, flags=(), target="/x", raw=None):
    """The request head as the upstream gets it."""
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, *flags))
    if raw:
        client.send(raw)
    else:
        client.get(target, *fields)
    server = upstream.accept()
    request = server.read_request()
    server.respond()
    assert client.response()[0].status == 200
    return request


def returned(rig, *fields):
    """The response head as the client gets it."""
    client, server = rig.exchange()
    server.respond(b"ok", *fields)
    return client.response()[0]


def test_a_request_gains_its_origin(rig):
    request = forwarded(rig, "X-Own: kept", "Accept: */*")
    assert request.start_line == "GET /x HTTP/1.1"
    assert request.all("host") == ["gateway.test"]
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "http"
    assert request.get("x-forwarded-host") == "gateway.test"
    assert request.get("via") == "1.1 sluice"
    assert (request.get("x-own"), request.get("accept")) == ("kept", "*/*")
    assert "date" not in request


def test_a_strangers_claims_are_replaced(rig):
    request = forwarded(rig, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil")
    assert request.all("x-forwarded-for") == ["127.0.0.1"]
    assert request.all("x-forwarded-proto") == ["http"]
    assert request.all("x-forwarded-host") == ["gateway.test"]


def test_a_trusted_proxys_claims_are_appended_to(rig):
    request = forwarded(rig, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: site",
                        flags=("--trusted-proxies", "127.0.0.0/8"))
    assert ", ".join(request.all("x-forwarded-for")) == "1.2.3.4, 127.0.0.1"
    assert request.get("x-forwarded-proto") == "https"
    assert request.get("x-forwarded-host") == "site"


def test_via_is_appended_to(rig):
    assert ", ".join(forwarded(rig, "Via: 1.0 first").all("via")) == "1.0 first, 1.1 sluice"


def test_hop_by_hop_fields_end_here(rig):
    request = forwarded(rig, "Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5",
                        "Proxy-Connection: keep-alive", "TE: trailers", "Proxy-Authorization: Basic x", "X-Kept: 1")
    for name in ("x-mine", "keep-alive", "proxy-connection", "te", "proxy-authorization", "upgrade"):
        assert name not in request, name
    assert request.get("x-kept") == "1"


def test_connection_cannot_name_away_what_we_own(rig):
    request = forwarded(rig, "Connection: Host, X-Forwarded-For, Via, Content-Length")
    assert request.all("host") == ["gateway.test"]
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("via") == "1.1 sluice"


def test_an_absolute_target_becomes_origin_form(rig):
    request = forwarded(rig, raw=b"GET http://real.test:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n")
    assert request.start_line == "GET /p?q HTTP/1.1"
    assert request.all("host") == ["real.test:81"]
    assert request.get("x-forwarded-host") == "real.test:81"


def test_the_target_is_not_normalised(rig):
    target = "/a//b/../c/%2e%2E/%41?x=/../&y=%zz"
    assert forwarded(rig, target=target).target == target


def test_options_asterisk(rig):
    assert forwarded(rig, raw=b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").start_line == "OPTIONS * HTTP/1.1"


def test_a_response_keeps_what_is_its_own(rig):
    head = returned(rig, "Date: Mon, 01 Jan 2024 00:00:00 GMT", "Server: upstream", "Set-Cookie: a=1", "Set-Cookie: b=2",
                    "X-Upper: MiXed  inner   blanks")
    assert head.get("date") == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert head.get("server") == "upstream"
    assert head.all("set-cookie") == ["a=1", "b=2"]
    assert head.get("x-upper") == "MiXed  inner   blanks"
    assert head.get("via") == "1.1 sluice"


def test_a_responses_hop_by_hop_fields_end_here(rig):
    head = returned(rig, "Connection: x-mine", "X-Mine: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic",
                    "Upgrade: h2c", "Trailer: X")
    for name in ("x-mine", "keep-alive", "proxy-authenticate", "upgrade"):
        assert name not in head, name
