#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/http2/response_writer.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice {
namespace {

using test::Role;

// "name: value" for each field, and what lies behind the head.
std::string shown(std::string_view text) {
  std::vector<Http2Field> fields;
  size_t size = read_written_head(text, fields);
  std::string out;
  for (const Http2Field& field : fields)
    out.append(field.name).append(": ").append(field.value).append("\n");
  return out + std::string(text.substr(size));
}

std::string written(std::string_view response, const ResponseRewrite& rewrite = {}) {
  Head head;
  test::parse_head(Role::kResponse, response, head);
  std::string out;
  WrittenHead promise = http2_response_writer().write_head(head, rewrite, out);
  EXPECT_EQ(promise.framing, nullptr);
  EXPECT_FALSE(promise.ends_with_connection);
  return shown(out);
}

TEST(Http2ResponseWriter, WritesNamesInLowerCaseAndNothingOfTheConnection) {
  EXPECT_EQ(written("HTTP/1.1 200 OK\r\nX-Name: Value\r\nConnection: x-hop, close\r\nX-Hop: 1\r\n"
                    "Keep-Alive: 5\r\nTransfer-Encoding: chunked\r\nDate: d\r\n\r\n"),
            ":status: 200\nx-name: Value\ndate: d\nvia: 1.1 sluice\n");
}

TEST(Http2ResponseWriter, KeepsALengthButNotThatOfAnEventStream) {
  EXPECT_EQ(
      written("HTTP/1.1 404 No\r\nContent-Length: 7\r\nVia: 1.0 a\r\n\r\n", {.date = "today"}),
      ":status: 404\ndate: today\ncontent-length: 7\nvia: 1.0 a, 1.1 sluice\n");
  EXPECT_EQ(written("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: "
                    "7\r\n\r\n",
                    {.event_stream = true}),
            ":status: 200\ncontent-type: text/event-stream\nx-accel-buffering: no\nvia: 1.1 "
            "sluice\n");
}

TEST(Http2ResponseWriter, HeadsFollowOneAnotherAndABodyOfOursStandsBehind) {
  Head early;
  test::parse_head(Role::kResponse, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", early);
  std::string out;
  http2_response_writer().write_interim_head(early, out);
  EXPECT_TRUE(http2_response_writer().write_problem(
      {.status = 503, .detail = "Later.", .retry_after_s = 2, .date = "today"}, out));
  std::vector<Http2Field> fields;
  size_t size = read_written_head(out, fields);
  EXPECT_TRUE(is_interim(fields));
  EXPECT_EQ(fields[1].name, "link");
  std::string rest = shown(std::string_view(out).substr(size));
  EXPECT_EQ(rest.find(":status: 503\ndate: today\ncontent-type: application/problem+json\n"), 0U)
      << rest;
  EXPECT_NE(rest.find("\nretry-after: 2\n{\"type\""), std::string::npos) << rest;
}

}  // namespace
}  // namespace sluice
