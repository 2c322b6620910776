#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/http2/request_head.h"

namespace sluice {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

struct Result {
  ParseError error;
  Head head;
  int urgency;

  std::string value(std::string_view name) const {
    return std::string(head.find(name).value_or("-"));
  }
};

Result read(const Fields& fields, bool ends = true, HeadLimits limits = {}) {
  Http2RequestHead block(limits);
  for (const auto& [name, value] : fields) block.add(name, value);
  Result result{};
  result.error = block.finish(ends, result.head);
  result.urgency = block.urgency();
  return result;
}

Fields request(const Fields& more = {}, std::string_view path = "/a?b=c",
               std::string_view method = "GET") {
  Fields fields = {
      {":method", method}, {":scheme", "http"}, {":authority", "a.test"}, {":path", path}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

TEST(Http2RequestHead, IsTheHeadThatHttp1WouldHaveBrought) {
  Result got = read(request({{"accept", "text/event-stream"}}));
  ASSERT_EQ(got.error, ParseError::kNone);
  EXPECT_EQ(got.head.method(), "GET");
  EXPECT_EQ(got.head.target(), "/a?b=c");
  EXPECT_EQ(got.value("host"), "a.test");
  EXPECT_EQ(got.value("accept"), "text/event-stream");
  EXPECT_EQ(got.head.body(), BodyKind::kNone);
  EXPECT_EQ(got.head.field_count(), 2U);
}

TEST(Http2RequestHead, SaysHowTheBodyIsFramed) {
  EXPECT_EQ(read(request(), /*ends=*/false).head.body(), BodyKind::kChunked);
  Result length = read(request({{"content-length", "5"}}), /*ends=*/false);
  EXPECT_EQ(length.head.body(), BodyKind::kLength);
  EXPECT_EQ(length.head.content_length(), 5U);
}

TEST(Http2RequestHead, JoinsThePiecesOfACookie) {
  Result got = read(request({{"cookie", "a=1"}, {"x", "1"}, {"cookie", "b=2"}}));
  EXPECT_EQ(got.value("cookie"), "a=1; b=2");
}

TEST(Http2RequestHead, ReadsTheUrgency) {
  EXPECT_EQ(read(request()).urgency, 3);
  EXPECT_EQ(read(request({{"priority", "u=1, i"}})).urgency, 1);
  EXPECT_EQ(read(request({{"priority", "i,u=7"}})).urgency, 7);
  EXPECT_EQ(read(request({{"priority", "u=1"}, {"priority", "i"}})).urgency, 1);
  EXPECT_EQ(read(request({{"priority", "u=8"}})).urgency, 3);
  EXPECT_EQ(read(request({{"priority", "u=-1"}})).urgency, 3);
}

// What could be read otherwise behind us, or does not fit.
TEST(Http2RequestHead, RefusesWhatHttp1CouldReadOtherwise) {
  struct Case {
    Fields fields;
    ParseError error;
  };
  const std::string long_method(100, 'M');
  const std::vector<Case> cases = {
      {request({{"x", "a\r\nhost: b"}}), ParseError::kBadField},
      {request({{"x", std::string_view("a\0b", 3)}}), ParseError::kBadField},
      {request({{"x\r\ny", "1"}}), ParseError::kBadField},
      {request({{"x: y", "1"}}), ParseError::kBadField},
      {request({{"", "1"}}), ParseError::kBadField},
      {request({{"transfer-encoding", "chunked"}}), ParseError::kBadField},
      {request({{"cookie", "a\n"}}), ParseError::kBadField},
      {request({{"host", "b.test"}}), ParseError::kBadHost},
      {request({{"content-length", "1"}, {"content-length", "2"}}), ParseError::kBadFraming},
      {request({}, "/ HTTP/1.1\r\nx: y"), ParseError::kBadField},
      {request({}, "/a b"), ParseError::kBadSyntax},
      {request({}, "http://b.test/"), ParseError::kBadSyntax},
      {request({}, "a.test:80"), ParseError::kBadSyntax},
      {request({}, ""), ParseError::kBadSyntax},
      {request({}, "*"), ParseError::kBadSyntax},
      {request({}, "/", "GET /x HTTP/1.1\r\n\r\nGET"), ParseError::kBadSyntax},
      {request({}, "/", ""), ParseError::kBadSyntax},
      {request({}, "/", long_method), ParseError::kMethodTooLong},
      {{{":method", "GET"}, {":path", "/"}}, ParseError::kBadHost},
      {{{":method", "GET"}, {":path", "/"}, {":authority", "a@b"}}, ParseError::kBadHost},
      {{{":method", "GET"}, {":path", "/"}, {":authority", "a\r\nx: y"}}, ParseError::kBadField},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Result got = read(cases[i].fields);
    EXPECT_EQ(got.error, cases[i].error) << i << ": " << parse_error_name(got.error);
  }
}

TEST(Http2RequestHead, TakesOptionsOfTheServerAndConnect) {
  EXPECT_EQ(read(request({}, "*", "OPTIONS")).error, ParseError::kNone);
  Result got = read({{":method", "CONNECT"}, {":authority", "a.test:443"}}, /*ends=*/false);
  EXPECT_EQ(got.error, ParseError::kNone);
  EXPECT_EQ(got.head.target(), "a.test:443");
}

TEST(Http2RequestHead, KeepsToTheLimits) {
  HeadLimits limits{.head_bytes_max = 200, .fields_max = 4};
  EXPECT_EQ(read(request({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}), true, limits).error,
            ParseError::kNone);
  EXPECT_EQ(
      read(request({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}), true, limits).error,
      ParseError::kHeadTooLarge);
  EXPECT_EQ(read(request({{"a", std::string(200, 'v')}}), true, limits).error,
            ParseError::kHeadTooLarge);
  EXPECT_EQ(read(request({}, "/" + std::string(200, 'p')), true, limits).error,
            ParseError::kHeadTooLarge);
  // Nor do pieces of a cookie go on for ever.
  Fields cookies = request();
  for (int i = 0; i < 100; ++i) cookies.push_back({"cookie", "a"});
  EXPECT_EQ(read(cookies, true, limits).error, ParseError::kHeadTooLarge);
}

TEST(Http2RequestHead, ShowsWhatIsKnownOfARequestThatIsRefused) {
  Result got = read(request({{"x", "a\nb"}}));
  EXPECT_EQ(got.head.method(), "GET");
  EXPECT_EQ(got.head.target(), "/a?b=c");
  EXPECT_EQ(got.value("x"), "-");
}

}  // namespace
}  // namespace sluice
