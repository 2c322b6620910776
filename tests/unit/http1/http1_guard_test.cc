// The guard by itself: its rules hold whatever the linked llhttp checks.
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/http/target.h"
#include "net/http1/guard.h"

namespace sluice {
namespace {

using namespace std::string_view_literals;

TEST(Guard, FieldLines) {
  FieldLine field;
  EXPECT_EQ(read_field_line("a: \t b c\x80 \t", field), ParseError::kNone);
  EXPECT_EQ(field.name, "a");
  EXPECT_EQ(field.value, "b c\x80");
  EXPECT_EQ(read_field_line("a-B: ", field), ParseError::kNone);
  EXPECT_EQ(field.name, "a-B");
  EXPECT_EQ(field.value, "");
  EXPECT_EQ(read_field_line("a:b:c", field), ParseError::kNone);
  EXPECT_EQ(field.value, "b:c");
  for (const std::string_view line :
       {" a: b"sv, "\ta: b"sv, ": b"sv, " "sv, "a"sv, "a : b"sv, "a b: c"sv, "a\0: b"sv,
        "a\x80: b"sv, "a: b\0"sv, "a: b\x01"sv, "a: b\x1f"sv, "a: b\x7f"sv, "a:\x0b"sv,
        "a: b\rc"sv}) {
    EXPECT_EQ(read_field_line(line, field), ParseError::kBadField) << line;
  }
}

TEST(Guard, RequestLines) {
  RequestLine request;
  EXPECT_EQ(read_request_line("GET /a?b HTTP/1.0", request), ParseError::kNone);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/a?b");
  EXPECT_EQ(request.version_minor, 0);
  EXPECT_EQ(read_request_line("PRI * HTTP/2.0", request), ParseError::kNotHttp);
  EXPECT_EQ(read_request_line("GET / HTTP/2.0", request), ParseError::kBadVersion);
  EXPECT_EQ(read_request_line("GET / HTTP/0.9", request), ParseError::kBadVersion);
  EXPECT_EQ(read_request_line("GET / HTTP/1.9", request), ParseError::kNone);
  EXPECT_EQ(request.version_minor, 1);
  const std::string longest(kMethodBytesMax, 'M');
  EXPECT_EQ(read_request_line(longest + " / HTTP/1.1", request), ParseError::kNone);
  EXPECT_EQ(read_request_line(longest + "M / HTTP/1.1", request), ParseError::kMethodTooLong);
  for (const char* line : {"GET /", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ",
                           "GET /#a HTTP/1.1", "GET /\x80 HTTP/1.1", "GET /\x7f HTTP/1.1",
                           "GET /\t HTTP/1.1", " GET / HTTP/1.1", "G(T / HTTP/1.1", "GET / HTTP/1.",
                           "GET / HTTP/1,1", "GET / ICE/1.0", "GET / RTSP/1.0", "GET"}) {
    EXPECT_EQ(read_request_line(line, request), ParseError::kBadSyntax) << line;
  }
}

TEST(Guard, StatusLines) {
  StatusLine response;
  EXPECT_EQ(read_status_line("HTTP/1.1 599 A b", response), ParseError::kNone);
  EXPECT_EQ(response.status, 599);
  EXPECT_EQ(response.version_minor, 1);
  EXPECT_EQ(read_status_line("HTTP/1.0 100", response), ParseError::kNone);
  EXPECT_EQ(read_status_line("HTTP/1.2 200 OK", response), ParseError::kNone);
  EXPECT_EQ(response.version_minor, 1);
  EXPECT_EQ(read_status_line("HTTP/3.0 200 OK", response), ParseError::kBadVersion);
  for (const char* line : {"HTTP/1.1 99 A", "HTTP/1.1 000 A", "HTTP/1.1 600 A", "HTTP/1.1 2000 A",
                           "HTTP/1.1 101 A", "HTTP/1.1 "}) {
    EXPECT_EQ(read_status_line(line, response), ParseError::kBadStatus) << line;
  }
  for (const char* line :
       {"HTTP/1.1", "HTTP/1.1 2x0 A", "HTTP/1.1 +20 A", "ICY 200", "HTTP/1.1 200\tOK"}) {
    EXPECT_EQ(read_status_line(line, response), ParseError::kBadSyntax) << line;
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
