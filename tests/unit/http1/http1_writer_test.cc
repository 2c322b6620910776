// What is written for the next hop: tables of whole heads, the tricks that try to make a proxy
// remove or keep the wrong field, and the property that every written head parses back to one
// message with the same end-to-end fields.
#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http/date.h"
#include "net/http/semantics.h"
#include "net/http/status.h"
#include "net/http/target.h"
#include "net/http/text.h"
#include "net/http1/writer.h"
#include "tests/unit/http1/http1_cases.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

RequestRewrite from(std::string_view client_ip, bool trusted = false) {
  RequestRewrite rewrite;
  rewrite.client_ip = client_ip;
  rewrite.client_trusted = trusted;
  return rewrite;
}

std::string forwarded(const std::string& bytes, const RequestRewrite& rewrite = from("9.9.9.9")) {
  Head head;
  parse_head(Role::kRequest, bytes, head);
  std::string out;
  http1_request_writer().write_head(head, rewrite, out);
  return out;
}

TEST(Http1Request, OursSaysNothingOfAClient) {
  RequestRewrite rewrite = from("hub:main");
  rewrite.ours = true;
  EXPECT_EQ(forwarded("GET /a HTTP/1.1\r\nHost: b\r\n\r\n", rewrite),
            "GET /a HTTP/1.1\r\nHost: b\r\nVia: 1.1 sluice\r\n\r\n");
}

// To a client of HTTP/1.1.
const ResponseWriter& writer() {
  return http1_response_writer(1);
}

std::string answered(const std::string& bytes, const ResponseRewrite& rewrite,
                     bool response_to_head = false, uint8_t client_minor = 1) {
  Head head;
  parse_head(Role::kResponse, bytes, head, response_to_head);
  std::string out;
  http1_response_writer(client_minor).write_head(head, rewrite, out);
  return out;
}

const std::string kOurs =
    "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
    "Via: 1.1 sluice\r\n\r\n";

TEST(RequestRewrite, Table) {
  struct {
    const char* name;
    std::string in;
    std::string out;
  } const cases[] = {
      {"plain", get("X-A: b\r\nx-B:\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nx-B: \r\n" + kOurs},
      {"Host comes first", "GET /x HTTP/1.1\r\nX-A: b\r\nHOST: a\r\n\r\n",
       "GET /x HTTP/1.1\r\nHost: a\r\nX-A: b\r\n" + kOurs},
      {"length kept", post("X-A: b\r\nContent-Length: 007\r\nX-B: c\r\n", ""),
       "POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-B: c\r\nContent-Length: 7\r\n" + kOurs},
      {"length 0 kept", post("Content-Length: 0\r\n", ""),
       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + kOurs},
      {"chunked kept", post_chunked(""),
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + kOurs},
      {"hop by hop",
       get("Connection: keep-alive, X-Foo , upgrade\r\nKeep-Alive: 5\r\nX-Foo: 1\r\nx-foo: 2\r\n"
           "Proxy-Connection: close\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"
           "Proxy-Authorization: x\r\nProxy-Authenticate: y\r\nX-Fo: kept\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nX-Fo: kept\r\n" + kOurs},
      {"Connection: Host", get("Connection: Host\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"Connection: Content-Length",
       post("Connection: Content-Length\r\nContent-Length: 3\r\n", ""),
       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + kOurs},
      {"Connection: Transfer-Encoding",
       post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", ""),
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + kOurs},
      {"Connection: our own",
       get("Connection: Via, X-Forwarded-For, X-Forwarded-Host, x-forwarded-proto\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"Connection: close, X-Foo", get("Connection: close, X-Foo\r\nX-Foo: 1\r\nX-Bar: 2\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nX-Bar: 2\r\n" + kOurs},
      {"Connection in two lines, empty elements",
       get("Connection: ,,a\r\nA: 1\r\nB: 2\r\nconnection:\tb,\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"untrusted forwarding fields",
       get("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
           "Forwarded: for=1.1.1.1\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"Expect kept", get("Expect: 100-continue\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + kOurs},
      {"Via appended", get("Via: 1.0 x\r\nVia: 1.1 y, 2 z\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: http\r\n"
       "X-Forwarded-Host: a\r\nVia: 1.0 x, 1.1 y, 2 z, 1.1 sluice\r\n\r\n"},
      {"Max-Forwards of OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n",
       "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 9\r\n" + kOurs},
      {"Max-Forwards for the last time", "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n",
       "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n" + kOurs},
      {"Max-Forwards cannot be named away",
       "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\nConnection: Max-Forwards\r\n\r\n",
       "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n" + kOurs},
      {"Max-Forwards of GET", get("Max-Forwards: 10\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n" + kOurs},
      {"absolute", "GET http://a/p?q HTTP/1.1\r\nHost: evil\r\n\r\n",
       "GET /p?q HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"absolute without path", "GET http://a?q HTTP/1.1\r\nHost: evil\r\n\r\n",
       "GET /?q HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"absolute, OPTIONS", "OPTIONS http://a HTTP/1.1\r\nHost: evil\r\n\r\n",
       "OPTIONS * HTTP/1.1\r\nHost: a\r\n" + kOurs},
      {"blanks around values", get("X-A: \t b \t\r\n"),
       "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n" + kOurs},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(forwarded(c.in), c.out);
  }
}

TEST(RequestRewrite, TrustedClientsForwardingFieldsAreAppendedTo) {
  const std::string out = forwarded(
      get("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n"
          "Forwarded: for=1.1.1.1\r\n"),
      from("::1", /*trusted=*/true));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 1.1.1.1, 2.2.2.2, ::1\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Proto: https\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Host: a\r\n"));
  EXPECT_THAT(out, HasSubstr("Forwarded: for=1.1.1.1\r\n"));
}

TEST(RequestRewrite, WhatNamesTheClientPassesFromTrustedProxiesOnly) {
  const std::string fields =
      "X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /p\r\nX-Forwarded-Server: s\r\n"
      "X-Forwarded-Ssl: on\r\nx-forwarded-user: u\r\nX-Real-IP: 1.1.1.1\r\n"
      "Forwarded: for=1.1.1.1\r\n";
  EXPECT_EQ(forwarded(get(fields)), "GET / HTTP/1.1\r\nHost: a\r\n" + kOurs);
  EXPECT_THAT(forwarded(get(fields), from("9.9.9.9", /*trusted=*/true)), HasSubstr(fields));
}

TEST(RequestRewrite, AFieldThatAServerCouldTakeForOneOfOursIsLeftOut) {
  const std::string fields =
      "X_Forwarded_For: 1.1.1.1\r\nx-forwarded_host: evil\r\nX_REAL_IP: 1.1.1.1\r\n"
      "Content_Length: 5\r\ntransfer_encoding: chunked\r\nX_Request_Id: x\r\n"
      "X_Forwarded_Anything: y\r\nMax_Forwards: 1\r\n";
  for (const bool trusted : {false, true})
    EXPECT_THAT(forwarded(get(fields + "X_Other: kept\r\n"), from("9.9.9.9", trusted)),
                StartsWith("GET / HTTP/1.1\r\nHost: a\r\nX_Other: kept\r\nX-Forwarded-For: "));
}

TEST(RequestRewrite, OnlyWeNameTheSubjectOfTheClientsCertificate) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Client-Cert-Subject: CN=b\r\nx_client-cert_subject: "
      "CN=c\r\n\r\n";
  for (bool trusted : {false, true}) {
    RequestRewrite rewrite = from("9.9.9.9", trusted);
    EXPECT_THAT(forwarded(request, rewrite), Not(HasSubstr("CN=")));
    rewrite.client_subject = "CN=d";
    std::string out = forwarded(request, rewrite);
    EXPECT_THAT(out, HasSubstr("\r\nX-Client-Cert-Subject: CN=d\r\n"));
    EXPECT_THAT(out, Not(HasSubstr("CN=b")));
    EXPECT_THAT(out, Not(HasSubstr("CN=c")));
  }
}

TEST(RequestRewrite, TheNearestTrustedProxysSchemeAndHostCount) {
  const std::string out =
      forwarded(get("X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: far\r\n"
                    "X-Forwarded-Host: near,\r\n"),
                from("9.9.9.9", /*trusted=*/true));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Proto: https\r\nX-Forwarded-Host: near\r\n"));
}

TEST(RequestRewrite, TheRequestsIdIsOurs) {
  RequestRewrite rewrite = from("9.9.9.9");
  rewrite.request_id = "ours";
  EXPECT_EQ(forwarded(get("X-Request-Id: theirs\r\nConnection: X-Request-Id\r\n"), rewrite),
            "GET / HTTP/1.1\r\nHost: a\r\n" + kOurs.substr(0, kOurs.size() - 2) +
                "X-Request-Id: ours\r\n\r\n");
}

TEST(HasPassed, WhereViaNamesUs) {
  auto passed = [](const std::string& fields) {
    Head head;
    parse_head(Role::kRequest, get(fields), head);
    return has_passed(head, "sluice-1f");
  };
  EXPECT_TRUE(passed("Via: 1.1 sluice-1f\r\n"));
  EXPECT_TRUE(passed("Via: 1.0 a, 1.1\tsluice-1f (comment), 2 b\r\n"));
  EXPECT_TRUE(passed("Via: 1.0 a\r\nvia: HTTP/1.1 sluice-1f(c)\r\n"));
  EXPECT_FALSE(passed(""));
  EXPECT_FALSE(passed("Via: 1.1 sluice\r\n"));
  EXPECT_FALSE(passed("Via: 1.1 sluice-1f0, 1.1 x sluice-1f, sluice-1f\r\n"));
}

TEST(IsIdempotent, ByTheMethod) {
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "QUERY"})
    EXPECT_TRUE(is_idempotent(method)) << method;
  for (const char* method : {"POST", "PATCH", "get", "LINK", "", "WHATEVER"})
    EXPECT_FALSE(is_idempotent(method)) << method;
}

TEST(ResponseRewrite, ADateIsAddedWhereThereIsNone) {
  ResponseRewrite rewrite;
  rewrite.date = "Thu, 01 Jan 1970 00:00:00 GMT";
  EXPECT_THAT(answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", rewrite),
              HasSubstr("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
  const std::string theirs =
      answered("HTTP/1.1 200 OK\r\ndate: theirs\r\nContent-Length: 0\r\n\r\n", rewrite);
  EXPECT_THAT(theirs, HasSubstr("date: theirs\r\n"));
  EXPECT_THAT(theirs, Not(HasSubstr("1970")));
}

TEST(IsEventStream, WhereNoCodingIsAppliedByAnyLine) {
  auto is = [](const std::string& fields) {
    Head head;
    parse_head(Role::kResponse,
               "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + fields + "\r\n", head);
    return is_event_stream(head);
  };
  for (const char* none :
       {"", "Content-Encoding: identity\r\n", "Content-Encoding: None\r\n", "Content-Encoding:\r\n",
        "Content-Encoding: identity, none,\r\ncontent-encoding: \r\n"})
    EXPECT_TRUE(is(none)) << none;
  for (const char* coded : {"Content-Encoding: gzip\r\n", "Content-Encoding: identity, br\r\n",
                            "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"})
    EXPECT_FALSE(is(coded)) << coded;
}

TEST(RequestRewrite, Http10Client) {
  RequestRewrite rewrite = from("9.9.9.9");
  rewrite.default_host = "upstream:81";
  const std::string out = forwarded("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", rewrite);
  EXPECT_THAT(out, StartsWith("GET / HTTP/1.1\r\nHost: upstream:81\r\n"));
  EXPECT_THAT(out, HasSubstr("Via: 1.0 sluice\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("Connection")));
  EXPECT_THAT(forwarded("GET / HTTP/1.0\r\nHost: b\r\n\r\n", rewrite), HasSubstr("Host: b\r\n"));
}

TEST(RequestRewrite, AppendsToOut) {
  Head head;
  parse_head(Role::kRequest, get(""), head);
  std::string out = "before";
  http1_request_writer().write_head(head, from("9.9.9.9"), out);
  EXPECT_THAT(out, StartsWith("beforeGET / "));
}

TEST(RequestRewrite, MaxForwardsExhausted) {
  const auto exhausted = [](const std::string& method, const std::string& value) {
    Head head;
    parse_head(Role::kRequest,
               method + " / HTTP/1.1\r\nHost: a\r\nMax-Forwards: " + value + "\r\n\r\n", head);
    return max_forwards_exhausted(head);
  };
  EXPECT_TRUE(exhausted("TRACE", "0"));
  EXPECT_TRUE(exhausted("OPTIONS", "00"));
  EXPECT_FALSE(exhausted("OPTIONS", "1"));
  EXPECT_FALSE(exhausted("OPTIONS", ""));
  EXPECT_FALSE(exhausted("OPTIONS", "0x"));
  EXPECT_FALSE(exhausted("OPTIONS", "99999999999999999999"));
  EXPECT_FALSE(exhausted("GET", "0"));
}

TEST(ResponseRewrite, Table) {
  const ResponseRewrite plain;
  const ResponseRewrite stream{.event_stream = true};
  const ResponseRewrite closing{.keep_alive = false};
  struct {
    const char* name;
    std::string in;
    ResponseRewrite rewrite;
    std::string out;
    uint8_t client_minor = 1;
  } const cases[] = {
      {"length", ok("Content-Length: 3\r\nDate: d\r\n"), plain,
       "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\n\r\n"},
      {"our own reason", "HTTP/1.1 404 Lost\r\nContent-Length: 3\r\n\r\n", plain,
       "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\n\r\n"},
      {"unknown status", "HTTP/1.1 299 X\r\nContent-Length: 3\r\n\r\n", plain,
       "HTTP/1.1 299 Unknown\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\n\r\n"},
      {"hop by hop",
       ok("Connection: X-Foo, Via, Content-Length\r\nX-Foo: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"
          "Trailer: X\r\nProxy-Authenticate: x\r\nContent-Length: 3\r\nSet-Cookie: a\r\n"
          "Set-Cookie: b\r\n"),
       plain,
       "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\n"
       "Via: 1.1 sluice\r\n\r\n"},
      {"chunked", ok("Transfer-Encoding: chunked\r\n"), plain,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 sluice\r\n\r\n"},
      {"length replaced by chunks", ok("Content-Length: 3\r\n"), stream,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 sluice\r\n\r\n"},
      {"Via of a 1.0 upstream", "HTTP/1.0 200 OK\r\nVia: 1.1 x\r\n\r\n", plain,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 x, 1.0 sluice\r\n\r\n"},
      {"closing", ok("Content-Length: 3\r\n"), closing,
       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n"},
      {"unframed is chunked", ok(""), plain,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 sluice\r\n\r\n"},
      {"unframed to a 1.0 client closes", ok(""), plain,
       "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n", 0},
      {"1.0 client", ok("Content-Length: 3\r\n"), plain,
       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\nConnection: keep-alive\r\n\r\n",
       0},
      {"1.0 client, chunked upstream", ok("Transfer-Encoding: chunked\r\n"), plain,
       "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n", 0},
      {"event stream", ok("Content-Type: text/event-stream\r\nCache-Control: x\r\n"), stream,
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: x\r\n"
       "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\nVia: 1.1 sluice\r\n\r\n"},
      {"event stream, X-Accel-Buffering there", ok("x-accel-buffering: yes\r\n"), stream,
       "HTTP/1.1 200 OK\r\nx-accel-buffering: yes\r\nTransfer-Encoding: chunked\r\n"
       "Via: 1.1 sluice\r\n\r\n"},
      {"event stream to a 1.0 client, length removed",
       ok("Content-Type: text/event-stream\r\nContent-Length: 3\r\n"), stream,
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"
       "Via: 1.1 sluice\r\nConnection: close\r\n\r\n",
       0},
      {"encoded event stream keeps its length",
       ok("Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n"),
       {},
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
       "X-Accel-Buffering: no\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\n\r\n"},
      {"decoded event stream",
       ok("Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n"
          "Accept-Ranges: bytes\r\nETag: \"a\"\r\nVary: Origin\r\n"),
       {.event_stream = true, .decoded = true},
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVary: Origin\r\nETag: W/\"a\"\r\n"
       "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\nVia: 1.1 sluice\r\n\r\n"},
      {"204", "HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n", plain,
       "HTTP/1.1 204 No Content\r\nVia: 1.1 sluice\r\n\r\n"},
      {"304 keeps its length", "HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n", plain,
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\n\r\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(answered(c.in, c.rewrite, false, c.client_minor), c.out);
  }
}

TEST(ResponseRewrite, ToHead) {
  EXPECT_EQ(answered(ok("Content-Length: 3\r\n"), {}, /*response_to_head=*/true),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(answered(ok("Transfer-Encoding: chunked\r\n"), {}, /*response_to_head=*/true),
            "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\n\r\n");
}

TEST(InterimHead, KeepsEndToEndFields) {
  Head head;
  parse_head(Role::kResponse,
             "HTTP/1.1 103 X\r\nLink: a\r\nConnection: b\r\nB: c\r\nContent-Length: 1\r\n\r\n",
             head);
  std::string out;
  writer().write_interim_head(head, out);
  EXPECT_EQ(out, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
}

TEST(Problem, IsACompleteResponse) {
  std::string out;
  EXPECT_FALSE(writer().write_problem(
      {.status = 503, .detail = "say \"no\"\\\n\x1f", .retry_after_s = 7}, out));
  const std::string body = R"({"type":"about:blank","title":"Service Unavailable","status":503,)"
                           R"("detail":"say \"no\"\\\u000a\u001f"})"
                           "\n";
  EXPECT_EQ(out,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
            "Content-Length: " +
                std::to_string(body.size()) + "\r\nRetry-After: 7\r\nConnection: close\r\n\r\n" +
                body);
  EXPECT_EQ(parse(Role::kResponse, out).summary, "length(" + body + ")");
}

TEST(Problem, CarriesTheDateItIsGiven) {
  std::string out;
  writer().write_problem({.status = 404, .detail = "x", .date = http_date(784111777000)}, out);
  EXPECT_THAT(out, HasSubstr("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

TEST(Problem, MaySendElsewhere) {
  std::string out;
  writer().write_problem({.status = 308, .detail = "x", .location = "https://a/"}, out);
  EXPECT_THAT(out, HasSubstr("\r\nLocation: https://a/\r\n"));
}

TEST(Problem, ToHeadHasNoBody) {
  std::string out;
  EXPECT_TRUE(writer().write_problem(
      {.status = 404, .detail = "x", .close = false, .head_only = true}, out));
  EXPECT_THAT(out, ::testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("Connection")));
  EXPECT_EQ(parse(Role::kResponse, out, {{}, /*response_to_head=*/true}).summary, "none()");
}

TEST(Problem, EndsAConnectionOfHttp10) {
  std::string out;
  EXPECT_FALSE(
      http1_response_writer(0).write_problem({.status = 404, .detail = "x", .close = false}, out));
  EXPECT_THAT(out, HasSubstr("\r\nConnection: close\r\n"));
}

TEST(ResponseWriter, SaysHowTheBodyEnds) {
  auto promised = [](const std::string& bytes, uint8_t client_minor, bool event_stream = false) {
    Head head;
    parse_head(Role::kResponse, bytes, head);
    std::string out;
    return http1_response_writer(client_minor)
        .write_head(head, {.event_stream = event_stream}, out);
  };
  EXPECT_EQ(promised(ok("Content-Length: 3\r\n"), 1).framing, nullptr);
  EXPECT_FALSE(promised(ok("Content-Length: 3\r\n"), 0).ends_with_connection);
  EXPECT_EQ(promised(ok("Content-Length: 3\r\n"), 1, true).framing, &kChunkedFraming);
  EXPECT_TRUE(promised(ok("Content-Length: 3\r\n"), 0, true).ends_with_connection);
  EXPECT_EQ(promised(ok(""), 1).framing, &kChunkedFraming);
  EXPECT_FALSE(promised(ok(""), 1).ends_with_connection);
  EXPECT_EQ(promised(ok(""), 0).framing, nullptr);
  EXPECT_TRUE(promised(ok(""), 0).ends_with_connection);
}

TEST(ResponseWriter, EncodedBodyHasAnotherHead) {
  const ResponseRewrite encoded{.coding = ContentCoding::kGzip, .varies = true};
  std::string head = answered(
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n"
      "Content-Encoding: identity\r\nContent-MD5: x\r\nRepr-Digest: y\r\nX: z\r\n\r\n",
      encoded);
  using ::testing::HasSubstr;
  using ::testing::Not;
  EXPECT_THAT(head, HasSubstr("\r\nContent-Encoding: gzip\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nETag: W/\"a\"\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nVary: Accept-Encoding\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nX: z\r\n"));
  for (const char* name :
       {"Content-Length", "Accept-Ranges", "identity", "Content-MD5", "Repr-Digest"})
    EXPECT_THAT(head, Not(HasSubstr(name))) << name;
}

TEST(ResponseWriter, EntityTagAndVaryAreNotToldTwice) {
  const ResponseRewrite encoded{.coding = ContentCoding::kZstd, .varies = true};
  std::string head = answered(
      "HTTP/1.1 200 OK\r\nETag: W/\"a\"\r\nVary: origin, accept-encoding\r\n"
      "Content-Length: 5\r\n\r\n",
      encoded);
  EXPECT_THAT(head, ::testing::HasSubstr("\r\nETag: W/\"a\"\r\n"));
  EXPECT_THAT(head, ::testing::Not(::testing::HasSubstr("Vary: Accept-Encoding")));
}

TEST(ResponseWriter, KnowsInterimHeadsFromHttp11On) {
  EXPECT_TRUE(http1_response_writer(1).knows_interim());
  EXPECT_FALSE(http1_response_writer(0).knows_interim());
}

TEST(EarlyStreamHead, Framing) {
  std::string out;
  EXPECT_EQ(http1_response_writer(1).write_early_head(/*keep_alive=*/true, "", out).framing,
            &kChunkedFraming);
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
            "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n");
  out.clear();
  EXPECT_TRUE(
      http1_response_writer(0).write_early_head(/*keep_alive=*/true, "", out).ends_with_connection);
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
            "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n");
}

TEST(Decisions, EventStream) {
  const auto is = [](const std::string& fields) {
    Head head;
    parse_head(Role::kResponse, ok(fields), head);
    return is_event_stream(head);
  };
  EXPECT_TRUE(is("Content-Type: text/event-stream\r\n"));
  EXPECT_TRUE(is("content-type: Text/Event-Stream ; charset=utf-8\r\n"));
  EXPECT_TRUE(is("Content-Type: text/event-stream\r\nContent-Encoding: Identity\r\n"));
  EXPECT_FALSE(is("Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"));
  EXPECT_FALSE(is("Content-Type: text/event-streams\r\n"));
  EXPECT_FALSE(is("Content-Type: application/json; x=text/event-stream\r\n"));
  EXPECT_FALSE(is(""));
}

TEST(Decisions, RequestFields) {
  Head head;
  parse_head(Role::kRequest, get("Accept: application/json, text/event-stream\r\n"), head);
  EXPECT_TRUE(wants_event_stream(head));
  EXPECT_FALSE(has_no_transform(head));
  parse_head(Role::kRequest, get("Accept: */*\r\nCache-Control: no-cache, No-Transform\r\n"), head);
  EXPECT_FALSE(wants_event_stream(head));
  EXPECT_TRUE(has_no_transform(head));
}

TEST(Decisions, TargetPath) {
  EXPECT_EQ(target_path("/a/b?c"), "/a/b");
  EXPECT_EQ(target_path("http://h/a?c"), "/a");
  EXPECT_EQ(target_path("http://h?c"), "/");
  EXPECT_EQ(target_path("*"), "*");
  EXPECT_EQ(target_path("//x/%2e./y"), "//x/%2e./y");
}

TEST(Decisions, ReasonPhrases) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(599), "Unknown");
  EXPECT_EQ(reason_phrase(-1), "Unknown");
}

// The property: random heads, written by the proxy and parsed again.

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields fields_of(const Head& head, const std::vector<std::string>& without) {
  Fields fields;
  for (size_t i = 0; i < head.field_count(); ++i) {
    std::string name;
    for (const char c : head.field(i).name) name.push_back(ascii_lower(c));
    if (std::find(without.begin(), without.end(), name) != without.end()) continue;
    fields.emplace_back(name, head.field(i).value);
  }
  return fields;
}

class RandomHeads {
 public:
  explicit RandomHeads(uint64_t seed) : random_(seed) {}

  size_t below(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }

  std::string pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  // Fields with a mix of end-to-end, hop-by-hop, named and owned names.
  std::string fields() {
    std::string text;
    for (size_t n = below(12); n > 0; --n) {
      text += pick({"X-A", "x-b", "Accept", "Cookie", "X-C", "Keep-Alive", "TE", "Via", "Upgrade",
                    "X-Forwarded-For", "Connection", "Trailer", "Date", "X-Accel-Buffering"});
      text += pick({":", ": ", ":\t "});
      text += pick({"", "v", "a, b", "close", "X-A", "x-B, close", "Date, Via", "\x80\xff",
                    "a\tb  c", "Host", "Content-Length", "host:x"});
      text += pick({"\r\n", " \r\n", "\t\r\n"});
    }
    return text;
  }

  std::string framing() {
    return pick({"", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"});
  }

 private:
  std::mt19937_64 random_;
};

// What may not arrive: hop-by-hop fields, those named by Connection, and what we write ourselves.
std::vector<std::string> removed_from(const Head& head) {
  std::vector<std::string> removed = {"connection",
                                      "keep-alive",
                                      "te",
                                      "trailer",
                                      "upgrade",
                                      "transfer-encoding",
                                      "content-length",
                                      "host",
                                      "via",
                                      "x-forwarded-for",
                                      "x-forwarded-proto",
                                      "x-forwarded-host",
                                      "x-accel-buffering"};
  for (const char* name : {"x-a", "x-b", "date"}) {
    if (head.lists_token("connection", name)) removed.emplace_back(name);
  }
  return removed;
}

constexpr uint64_t kSeed = 20'240'611;
constexpr int kRounds = 5'000;

TEST(Property, WrittenRequestsParseBack) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  RandomHeads random(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes = random.pick({"GET", "POST", "OPTIONS"}) + " " +
                              random.pick({"/", "/a?b", "http://h:1/x?y", "http://h"}) +
                              " HTTP/1.1\r\nHost: " + random.pick({"a", "b.c:80", "[::1]"}) +
                              "\r\n" + random.fields() + random.framing() + "\r\n";
    SCOPED_TRACE(bytes);
    Head head;
    parse_head(Role::kRequest, bytes, head);
    const std::string written = forwarded(bytes, from("1.2.3.4", random.below(2) == 0));
    Head again;
    parse_head(Role::kRequest, written, again);
    const std::vector<std::string> removed = removed_from(head);
    ASSERT_EQ(fields_of(again, removed), fields_of(head, removed)) << written;
    ASSERT_EQ(again.body(), head.body());
    ASSERT_EQ(again.content_length(), head.content_length());
    ASSERT_EQ(again.method(), head.method());
    ASSERT_EQ(target_path(again.target()) == "*" ? "/" : target_path(again.target()),
              target_path(head.target()));
    for (const char* name : {"connection", "keep-alive", "te", "trailer", "upgrade"})
      ASSERT_EQ(again.find(name), std::nullopt) << written;
    // One message, and all of it: another one after it is seen as such.
    if (head.body() == BodyKind::kNone) {
      ASSERT_EQ(parse(Role::kRequest, written + get("")).summary, "none()none()");
    }
  }
}

TEST(Property, WrittenResponsesParseBack) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  RandomHeads random(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes = random.pick({"HTTP/1.1 ", "HTTP/1.0 "}) +
                              random.pick({"200 OK", "404", "204 N", "304 N", "599 \x80"}) +
                              "\r\n" + random.fields() +
                              random.pick({"", "Content-Length: 5\r\n"}) + "\r\n";
    SCOPED_TRACE(bytes);
    Head head;
    parse_head(Role::kResponse, bytes, head);
    ResponseRewrite rewrite;
    rewrite.keep_alive = random.below(2) == 0;
    rewrite.event_stream = random.below(2) == 0;
    const auto client_minor = static_cast<uint8_t>(random.below(2));
    const std::string written = answered(bytes, rewrite, false, client_minor);
    Head again;
    parse_head(Role::kResponse, written, again);
    const std::vector<std::string> removed = removed_from(head);
    ASSERT_EQ(fields_of(again, removed), fields_of(head, removed)) << written;
    ASSERT_EQ(again.status(), head.status());
    const bool keeps = head.body() == BodyKind::kNone ||
                       (head.body() == BodyKind::kLength && !rewrite.event_stream);
    const BodyKind anew = client_minor == 1 ? BodyKind::kChunked : BodyKind::kUntilClose;
    ASSERT_EQ(again.body(), keeps ? head.body() : anew);
    const bool closes = again.lists_token("connection", "close");
    ASSERT_EQ(closes, !rewrite.keep_alive || again.body() == BodyKind::kUntilClose);
  }
}

}  // namespace
}  // namespace sluice::test
