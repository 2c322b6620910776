// The guard by itself: its rules hold whatever the linked llhttp checks.
#include "net/http1_guard.h"

#include <string_view>

#include <gtest/gtest.h>

#include "net/http1_target.h"

namespace sluice {
namespace {

using namespace std::string_view_literals;

TEST(Guard, Lines) {
  EXPECT_EQ(check_line("a\r\n"), Http1Error::kNone);
  EXPECT_EQ(check_line("\r\n"), Http1Error::kNone);
  for (const std::string_view line :
       {"\n"sv, "a\n"sv, "\r\r\n"sv, "a\rb\r\n"sv, "\ra\r\n"sv, "a\0\r\n"sv}) {
    EXPECT_EQ(check_line(line), Http1Error::kBadSyntax) << line;
  }
}

TEST(Guard, FieldLines) {
  EXPECT_EQ(check_field_line("a: b\r\n"), Http1Error::kNone);
  for (const char* line : {" a: b\r\n", "\ta: b\r\n", ": b\r\n", " \r\n"}) {
    EXPECT_EQ(check_field_line(line), Http1Error::kBadSyntax) << line;
  }
}

TEST(Guard, RequestLines) {
  RequestLine request;
  EXPECT_EQ(read_request_line("GET /a?b HTTP/1.0\r\n", request), Http1Error::kNone);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/a?b");
  EXPECT_EQ(request.version_minor, 0);
  EXPECT_EQ(read_request_line("PRI * HTTP/2.0\r\n", request), Http1Error::kNotHttp);
  EXPECT_EQ(read_request_line("GET / HTTP/2.0\r\n", request), Http1Error::kBadVersion);
  EXPECT_EQ(read_request_line("GET / HTTP/1.2\r\n", request), Http1Error::kBadVersion);
  for (const char* line :
       {"GET /\r\n", "GET  / HTTP/1.1\r\n", "GET /  HTTP/1.1\r\n", "GET / HTTP/1.1 \r\n",
        "GET /#a HTTP/1.1\r\n", "GET /\x80 HTTP/1.1\r\n", "GET /\x7f HTTP/1.1\r\n",
        "GET /\t HTTP/1.1\r\n", " GET / HTTP/1.1\r\n", "G(T / HTTP/1.1\r\n", "GET / HTTP/1.\r\n",
        "GET / HTTP/1,1\r\n", "GET / ICE/1.0\r\n", "GET / RTSP/1.0\r\n", "GET\r\n"}) {
    EXPECT_EQ(read_request_line(line, request), Http1Error::kBadSyntax) << line;
  }
}

TEST(Guard, StatusLines) {
  StatusLine response;
  EXPECT_EQ(read_status_line("HTTP/1.1 599 A b\r\n", response), Http1Error::kNone);
  EXPECT_EQ(response.status, 599);
  EXPECT_EQ(response.version_minor, 1);
  EXPECT_EQ(read_status_line("HTTP/1.0 100\r\n", response), Http1Error::kNone);
  EXPECT_EQ(read_status_line("HTTP/3.0 200 OK\r\n", response), Http1Error::kBadVersion);
  for (const char* line : {"HTTP/1.1 99 A\r\n", "HTTP/1.1 000 A\r\n", "HTTP/1.1 600 A\r\n",
                           "HTTP/1.1 2000 A\r\n", "HTTP/1.1 101 A\r\n", "HTTP/1.1 \r\n"}) {
    EXPECT_EQ(read_status_line(line, response), Http1Error::kBadStatus) << line;
  }
  for (const char* line : {"HTTP/1.1\r\n", "HTTP/1.1 2x0 A\r\n", "HTTP/1.1 +20 A\r\n",
                           "ICY 200\r\n", "HTTP/1.1 200\tOK\r\n"}) {
    EXPECT_EQ(read_status_line(line, response), Http1Error::kBadSyntax) << line;
  }
}

TEST(Guard, Authorities) {
  for (const char* text : {"a", "a:", "a:80", "127.0.0.1", "[::1]", "[::ffff:1.2.3.4]:65535",
                           "a%2Db", "a_b", "a.b."}) {
    EXPECT_TRUE(is_authority(text, Port::kOptional)) << text;
  }
  for (const char* text : {"", ":80", "a:b", "a:123456", "a b", "a@b", "a/b", "a%", "a%2", "a%zz",
                           "[::1", "[]", "[1]", "[::1]80", "[::1%25eth0]", "a:80:80", "a\x80"}) {
    EXPECT_FALSE(is_authority(text, Port::kOptional)) << text;
  }
  EXPECT_TRUE(is_authority("a:80", Port::kRequired));
  EXPECT_FALSE(is_authority("a", Port::kRequired));
  EXPECT_FALSE(is_authority("a:", Port::kRequired));
}

}  // namespace
}  // namespace sluice
