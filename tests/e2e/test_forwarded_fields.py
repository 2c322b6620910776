"""What the gateway changes in a head, and what it leaves, seen from both sides."""

import json
import re

from harness.wire import wait_until

OUR_VIA = re.compile(r"1\.1 sluice-[0-9a-f]{16}")  # with this process's name


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
    assert OUR_VIA.fullmatch(request.get("via"))
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", request.get("x-request-id"))
    assert (request.get("x-own"), request.get("accept")) == ("kept", "*/*")
    assert "date" not in request


def test_a_strangers_claims_are_replaced(rig):
    request = forwarded(rig, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil")
    assert request.all("x-forwarded-for") == ["127.0.0.1"]
    assert request.all("x-forwarded-proto") == ["http"]
    assert request.all("x-forwarded-host") == ["gateway.test"]


def test_nothing_that_could_be_taken_for_ours_passes(rig):
    """A CGI-style server makes one variable of X-Forwarded-For and X_Forwarded_For."""
    request = forwarded(rig, "X_Forwarded_For: 1.2.3.4", "X-Forwarded_Host: evil", "X-Real-IP: 1.2.3.4", "x-real_ip: 1.2.3.4",
                        "Forwarded: for=1.2.3.4", "X-Forwarded-Ssl: on", "X_Forwarded_User: root", "Content_Length: 3", "X_Other: kept")
    names = {name.lower() for name, _ in request.fields}
    assert names == {"host", "x_other", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via", "x-request-id"}


def test_the_client_behind_trusted_proxies_is_found_once(rig, tmp_path):
    path = tmp_path / "access.log"
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, "--trusted-proxies", "127.0.0.0/8,10.0.0.0/8", "--access-log", str(path),
                          "--access-log-format", "json")
    client = rig.client(gateway)
    client.get("/x", "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.2.3", "X-Request-Id: from-the-edge", "User-Agent: test/1")
    server = upstream.accept()
    request = server.read_request()
    assert ", ".join(request.all("x-forwarded-for")) == "6.6.6.6, 192.0.2.7, 10.1.2.3, 127.0.0.1"
    assert request.get("x-request-id") == "from-the-edge"
    assert [stream["client"] for stream in gateway.streams()] == ["192.0.2.7"]
    server.respond()
    client.response()
    line = json.loads(wait_until(lambda: path.exists() and path.read_text(), "the log's line"))
    assert (line["client"], line["request_id"]) == ("192.0.2.7", "from-the-edge")
    assert (line["host"], line["user_agent"]) == ("gateway.test", "test/1")


def test_an_id_that_cannot_be_kept_is_replaced(rig):
    for bad in ("has blanks", "x" * 200, ""):
        request = forwarded(rig, f"X-Request-Id: {bad}")
        assert len(request.all("x-request-id")) == 1
        assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", request.get("x-request-id")), bad


def test_a_request_that_comes_back_is_a_loop(rig):
    upstream = rig.upstream()
    gateway = rig.gateway(upstream)
    client = rig.client(gateway)
    client.get("/x")
    server = upstream.accept()
    via = server.read_request().get("via")
    again = rig.client(gateway)
    again.get("/x", f"Via: {via}, 1.1 another")
    assert again.response()[0].status == 508
    assert gateway.metrics().sum("sluice_bad_requests_total", reason="loop") == 1
    server.respond()
    client.response()


def test_two_gateways_in_a_row_are_no_loop(rig):
    inner = rig.gateway(rig.upstream(lambda server, request: server.respond(request.get("via").encode())))

    class Inner:
        url = inner.url

    client = rig.client(rig.gateway(Inner))
    client.get("/x")
    head, body = client.response()
    assert head.status == 200
    assert len(set(body.decode().split(", "))) == 2


def test_a_head_that_grows_too_large_for_the_next_hop_is_refused_here(rig):
    upstream = rig.upstream()
    client = rig.client(rig.gateway(upstream, "--max-header-size", "1k"))
    client.get("/x", "Via: " + ", ".join(["1.1 a-gateway"] * 62))
    assert client.response()[0].status == 431
    upstream.assert_no_connection(0.1)


def test_a_request_without_host_names_the_upstream_that_is_chosen(rig):
    first, second = rig.upstream(), rig.upstream()
    gateway = rig.gateway(first, "--upstream", second.url)
    for upstream in (first, second):
        client = rig.client(gateway)
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        server = upstream.accept()
        assert server.read_request().get("host") == f"127.0.0.1:{upstream.port}"
        server.respond()
        client.read_head()


def test_a_response_without_a_date_gains_one(rig):
    head = returned(rig)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", head.get("date"))


def test_a_trusted_proxys_claims_are_appended_to(rig):
    request = forwarded(rig, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: site",
                        flags=("--trusted-proxies", "127.0.0.0/8"))
    assert ", ".join(request.all("x-forwarded-for")) == "1.2.3.4, 127.0.0.1"
    assert request.get("x-forwarded-proto") == "https"
    assert request.get("x-forwarded-host") == "site"


def test_via_is_appended_to(rig):
    first, ours = ", ".join(forwarded(rig, "Via: 1.0 first").all("via")).split(", ")
    assert first == "1.0 first" and OUR_VIA.fullmatch(ours)


def test_hop_by_hop_fields_end_here(rig):
    request = forwarded(rig, "Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5",
                        "Proxy-Connection: keep-alive", "TE: trailers", "HTTP2-Settings: AAMAAABk",
                        "Proxy-Authorization: Basic x", "X-Kept: 1")
    for name in ("x-mine", "keep-alive", "proxy-connection", "te", "http2-settings", "proxy-authorization", "upgrade"):
        assert name not in request, name
    assert request.get("x-kept") == "1"


def test_connection_cannot_name_away_what_we_own(rig):
    request = forwarded(rig, "Connection: Host, X-Forwarded-For, Via, Content-Length")
    assert request.all("host") == ["gateway.test"]
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert OUR_VIA.fullmatch(request.get("via"))


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
