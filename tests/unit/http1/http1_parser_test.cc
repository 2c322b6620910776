// The parser against the table of http1_cases.h, fed whole, at every split and byte by byte; and
// what the table's form cannot say: fields, limits, framing overhead, endings.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "net/http/fields.h"
#include "net/http1/parser.h"
#include "tests/unit/http1/http1_cases.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

void expect_equal_at_every_split(Role role, const std::string& bytes, const FeedOptions& options) {
  const std::string whole = parse(role, bytes, options).full;
  EXPECT_EQ(whole, parse_bytewise(role, bytes, options).full) << "byte by byte";
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    ASSERT_EQ(whole, parse_cut(role, bytes, {cut}, options).full) << "cut at " << cut;
  }
}

TEST(Http1Parser, Table) {
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(std::string(c.name) + ": " + ::testing::PrintToString(c.bytes));
    EXPECT_EQ(parse(c.role, c.bytes).summary, c.summary);
    expect_equal_at_every_split(c.role, c.bytes, {});
  }
}

TEST(Http1Parser, GivesFieldsInOrderAndTrimmed) {
  const std::string bytes =
      "POST /a?b HTTP/1.1\r\nhOST:a\r\nX-A: \t b c \t \r\nX-Empty:\r\n"
      "X-A:second\r\nContent-Length: 3\r\n\r\nabc";
  EXPECT_EQ(parse(Role::kRequest, bytes).full,
            "POST /a?b 1.1 {hOST:a|X-A:b c|X-Empty:|X-A:second|Content-Length:3|} length 3 "
            "keep-alive head@86 body abc kept end@89\n");
}

TEST(Http1Parser, GivesTheStatusAndDropsTheReason) {
  EXPECT_EQ(parse(Role::kResponse, "HTTP/1.0 404 No Such Thing\r\nA: b\r\n\r\nabc").full,
            "404 1.0 {A:b|} length 0 close head@36 body abc closed end@39\n");
}

TEST(Http1Parser, TakesLaterMinorVersionsFor11) {
  EXPECT_EQ(parse(Role::kRequest, "GET / HTTP/1.9\r\nHost: a\r\n\r\n").full,
            "GET / 1.1 {Host:a|} length 0 keep-alive head@27 body  kept end@27\n");
  EXPECT_EQ(parse(Role::kResponse, "HTTP/1.2 204 N\r\n\r\n").full,
            "204 1.1 {} length 0 keep-alive head@18 body  kept end@18\n");
}

// A bad line is told when it ends, though the head goes on.
TEST(Http1Parser, TellsABadLineAtOnce) {
  for (const std::string line : {"X : a", "X", ": a", " X: a", "X\x80: a", "X: a\x01", "X: a\x7f",
                                 "X: a\rb", "X Y: a", "X(: a"}) {
    EXPECT_EQ(parse(Role::kRequest, "GET / HTTP/1.1\r\n" + line + "\r\n").summary, "!bad_field")
        << line;
    EXPECT_EQ(parse(Role::kResponse, "HTTP/1.1 200 OK\r\n" + line + "\r\n").summary, "!bad_field")
        << line;
  }
}

// For the log: what a refused request wanted, as far as it was readable.
TEST(Http1Parser, KeepsTheRequestLineOfARefusedRequest) {
  const std::string kLongMethod(65, 'M');
  const std::string kLongTarget = "/" + std::string(20'000, 'x');
  const std::string kCutTarget = kLongTarget.substr(0, HeadLimits{}.head_bytes_max - 4);
  struct {
    std::string bytes;
    std::string_view method;
    std::string_view target;
  } const cases[] = {
      {"GET /a?b HTTP/1.1\r\nX : y\r\n", "GET", "/a?b"},
      {"QUERY /a HTTP/1.1\r\n\r\n", "QUERY", "/a"},
      {"GET /a HTTP/1.1\r\nX: " + std::string(20'000, 'x'), "GET", "/a"},
      {"\r\nGET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET", "/a"},
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "*"},
      {"GET /a HTTP/2.0\r\n", "GET", "/a"},
      {"GET /a HTTP/1.1 x\r\n", "GET", "/a"},
      {"GET /a b HTTP/1.1\r\n", "GET", "/a"},
      {"GET /a\r\n", "GET", "/a"},
      {"G(T /a HTTP/1.1\r\n", "", ""},
      {kLongMethod + " /a HTTP/1.1\r\n", kLongMethod, "/a"},
      {"GET " + kLongTarget, "GET", kCutTarget},
      {std::string(20'000, 'M'), "", ""},
      {"PRI * HTTP/2.0\r\n", "", ""},
      {"\x16\x03\x01", "", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.bytes.substr(0, 40));
    Head head;
    CollectingSink sink;
    Http1Parser parser(Role::kRequest, {});
    parser.begin(&head);
    Http1Parser::Step step{};
    for (size_t i = 0; i < c.bytes.size() && step.event == Event::kNeedMore; ++i)
      step = parser.feed(std::string_view(c.bytes).substr(i, 1), sink);
    ASSERT_EQ(step.event, Event::kError);
    EXPECT_EQ(head.method(), c.method);
    EXPECT_EQ(head.target(), c.target);
  }
}

TEST(Http1Parser, LeavesTheBodyUnfedAtHead) {
  Head head;
  CollectingSink sink;
  Http1Parser parser(Role::kRequest, {});
  parser.begin(&head);
  const std::string bytes = post("Content-Length: 3\r\n", "abcGET");
  const size_t head_size = bytes.size() - 6;
  Http1Parser::Step step = parser.feed(bytes, sink);
  ASSERT_EQ(step.event, Event::kHead);
  EXPECT_EQ(step.consumed, head_size);
  EXPECT_EQ(sink.body, "");
  step = parser.feed(std::string_view(bytes).substr(head_size), sink);
  EXPECT_EQ(step.event, Event::kEnd);
  EXPECT_EQ(step.consumed, 3U);
  EXPECT_EQ(sink.body, "abc");
}

TEST(Http1Parser, BodyViewsLieInTheFedBytes) {
  struct RangeSink final : BodySink {
    void on_body(std::string_view bytes) override {
      EXPECT_GE(bytes.data(), fed.data());
      EXPECT_LE(bytes.data() + bytes.size(), fed.data() + fed.size());
      size += bytes.size();
    }
    std::string_view fed;
    size_t size = 0;
  };
  Head head;
  RangeSink sink;
  Http1Parser parser(Role::kRequest, {});
  parser.begin(&head);
  const std::string bytes = post_chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  const size_t head_size = parser.feed(bytes, sink).consumed;
  sink.fed = std::string_view(bytes).substr(head_size);
  EXPECT_EQ(parser.feed(sink.fed, sink).event, Event::kEnd);
  EXPECT_EQ(sink.size, 5U);
}

TEST(Http1Parser, EmptyFeedEndsAMessageWithoutBody) {
  Head head;
  CollectingSink sink;
  Http1Parser parser(Role::kRequest, {});
  parser.begin(&head);
  EXPECT_EQ(parser.feed(get(""), sink).event, Event::kHead);
  EXPECT_EQ(parser.feed("", sink).event, Event::kEnd);

  parser.begin(&head);
  EXPECT_EQ(parser.feed("", sink).event, Event::kNeedMore);
  EXPECT_EQ(parser.feed(post("Content-Length: 1\r\n", ""), sink).event, Event::kHead);
  EXPECT_EQ(parser.feed("", sink).event, Event::kNeedMore);
}

TEST(Http1Parser, ResponseToHeadHasNoBody) {
  for (const char* fields :
       {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 0\r\n", ""}) {
    SCOPED_TRACE(fields);
    const FeedOptions options{{}, /*response_to_head=*/true};
    const std::string bytes = ok(fields) + ok("Content-Length: 2\r\n", "hi");
    EXPECT_EQ(parse(Role::kResponse, bytes, options).summary, "none()length(hi)");
    expect_equal_at_every_split(Role::kResponse, bytes, options);
  }
  Head head;
  parse_head(Role::kResponse, ok("Content-Length: 5\r\n"), head, /*response_to_head=*/true);
  EXPECT_EQ(head.body(), BodyKind::kNone);
  EXPECT_EQ(head.content_length(), 5U);
}

TEST(Http1Parser, KeepAlive) {
  struct {
    Role role;
    std::string bytes;
    bool keep_alive;
  } const cases[] = {
      {Role::kRequest, get(""), true},
      {Role::kRequest, get("Connection: keep-alive\r\n"), true},
      {Role::kRequest, get("Connection: Close\r\n"), false},
      {Role::kRequest, get("Connection: x\r\nConnection: y, close\r\n"), false},
      {Role::kRequest, get("Connection: keep-alive, close\r\n"), false},
      {Role::kRequest, "GET / HTTP/1.0\r\n\r\n", false},
      {Role::kRequest, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
      {Role::kRequest, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
      {Role::kRequest, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", false},
      {Role::kResponse, ok("Content-Length: 0\r\n"), true},
      {Role::kResponse, ok("Connection: close\r\nContent-Length: 0\r\n"), false},
      {Role::kResponse, "HTTP/1.1 204 N\r\n\r\n", true},
      {Role::kResponse, "HTTP/1.0 304 N\r\nConnection: keep-alive\r\n\r\n", true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.bytes);
    Head head;
    CollectingSink sink;
    Http1Parser parser(c.role, {});
    parser.begin(&head);
    ASSERT_EQ(parser.feed(c.bytes, sink).event, Event::kHead);
    EXPECT_EQ(parser.keep_alive(), c.keep_alive);
    ASSERT_EQ(parser.feed("", sink).event, Event::kEnd);
    EXPECT_EQ(parser.keep_alive(), c.keep_alive);
  }
}

TEST(Http1Parser, FinishCompletesOnlyABodyUntilClose) {
  Head head;
  CollectingSink sink;
  Http1Parser parser(Role::kResponse, {});
  EXPECT_FALSE(parser.finish());  // nothing had begun
  EXPECT_FALSE(parser.idle());
  parser.begin(&head);
  EXPECT_TRUE(parser.idle());
  EXPECT_FALSE(parser.finish());
  ASSERT_EQ(parser.feed("HTTP/1.1 200 OK\r\n", sink).event, Event::kNeedMore);
  EXPECT_FALSE(parser.idle());
  EXPECT_FALSE(parser.finish());
  ASSERT_EQ(parser.feed("\r\n", sink).event, Event::kHead);
  ASSERT_EQ(parser.feed("abc", sink).event, Event::kNeedMore);
  EXPECT_TRUE(parser.finish());
  EXPECT_FALSE(parser.keep_alive());
  EXPECT_FALSE(parser.finish());  // it has ended
}

TEST(Http1Parser, IdleIgnoresLeadingCrlfs) {
  Head head;
  CollectingSink sink;
  Http1Parser parser(Role::kRequest, {});
  parser.begin(&head);
  for (const char* piece : {"\r", "\n", "\r", "\n"}) {
    EXPECT_EQ(parser.feed(piece, sink).event, Event::kNeedMore);
    EXPECT_TRUE(parser.idle());
  }
  EXPECT_EQ(parser.feed("G", sink).event, Event::kNeedMore);
  EXPECT_FALSE(parser.idle());
}

TEST(Http1Parser, NotHttpIsToldByTheFirstByte) {
  Head head;
  CollectingSink sink;
  Http1Parser parser(Role::kRequest, {});
  parser.begin(&head);
  EXPECT_EQ(parser.feed("\x16", sink).event, Event::kError);
  EXPECT_EQ(parser.error(), ParseError::kNotHttp);
  parser.begin(&head);  // stays failed
  EXPECT_EQ(parser.feed(get(""), sink).event, Event::kError);
}

std::string error_of(Role role, const std::string& bytes, const HeadLimits& limits) {
  expect_equal_at_every_split(role, bytes, {limits});
  return parse(role, bytes, {limits}).summary;
}

TEST(Http1Parser, BoundsTheHead) {
  const std::string exact = get("X: 1\r\n");
  EXPECT_EQ(error_of(Role::kRequest, exact, {exact.size(), 128}), "none()");
  EXPECT_EQ(error_of(Role::kRequest, "\r\n" + exact, {exact.size(), 128}), "none()");
  EXPECT_EQ(error_of(Role::kRequest, exact, {exact.size() - 1, 128}), "!head_too_large");
  EXPECT_EQ(error_of(Role::kRequest, exact, {25, 128}), "!head_too_large");
  EXPECT_EQ(error_of(Role::kRequest, exact, {15, 128}), "!target_too_long");
  EXPECT_EQ(error_of(Role::kRequest, "GET /" + std::string(100, 'a'), {100, 128}),
            "!target_too_long");
  EXPECT_EQ(error_of(Role::kRequest, std::string(101, 'M'), {100, 128}), "!method_too_long");
  EXPECT_EQ(error_of(Role::kRequest, std::string(64, 'M') + " " + std::string(36, '/'), {100, 128}),
            "!target_too_long");
  EXPECT_EQ(error_of(Role::kRequest, std::string(65, 'M') + " " + std::string(35, '/'), {100, 128}),
            "!method_too_long");
  EXPECT_EQ(error_of(Role::kRequest, get("X: " + std::string(100, 'a')), {100, 128}),
            "!head_too_large");
  EXPECT_EQ(error_of(Role::kResponse, "HTTP/1.1 200 " + std::string(100, 'a'), {100, 128}),
            "!head_too_large");
}

TEST(Http1Parser, BoundsTheFields) {
  EXPECT_EQ(error_of(Role::kRequest, get("X: 1\r\n"), {1000, 2}), "none()");
  EXPECT_EQ(error_of(Role::kRequest, get("X: 1\r\nY: 2\r\n"), {1000, 2}), "!head_too_large");
}

TEST(Http1Parser, BoundsConnectionOptions) {
  std::string list = "a";
  for (size_t i = 1; i < kConnectionOptionsMax; ++i) list += ",a";
  EXPECT_EQ(error_of(Role::kRequest, get("Connection: " + list + "\r\n"), {}), "none()");
  EXPECT_EQ(error_of(Role::kRequest, get("Connection: " + list + "\r\nConnection: b\r\n"), {}),
            "!head_too_large");
}

TEST(Http1Parser, BoundsFramingBetweenBodyBytes) {
  const HeadLimits limits{80, 128};
  const std::string most(80 - 6, 'a');  // with the CRLF after x, and "1;" and CRLF around it
  const auto body = [](const std::string& ext) {
    return "1\r\nx\r\n1;" + ext + "\r\ny\r\n0\r\n\r\n";
  };
  EXPECT_EQ(error_of(Role::kRequest, post_chunked(body(most)), limits), "chunked(xy)");
  EXPECT_EQ(error_of(Role::kRequest, post_chunked(body(most + "a")), limits),
            "chunked(x!bad_chunk");
  EXPECT_EQ(error_of(Role::kRequest, post_chunked(std::string(81, '0') + "1\r\nx"), limits),
            "chunked(!bad_chunk");
  const std::string trailers = "0\r\nX: " + std::string(80, 'a') + "\r\n\r\n";
  EXPECT_EQ(error_of(Role::kRequest, post_chunked(trailers), limits), "chunked(!bad_chunk");
}

TEST(Http1Parser, ManySmallChunksAreNoExcess) {
  std::string chunks;
  for (int i = 0; i < 1000; ++i) chunks += "1\r\nx\r\n";
  const std::string bytes = post_chunked(chunks + "0\r\n\r\n");
  EXPECT_EQ(parse(Role::kRequest, bytes, {{80, 128}}).summary,
            "chunked(" + std::string(1000, 'x') + ")");
}

TEST(Http1Parser, LargeBodies) {
  const std::string body(1 << 20, 'b');
  EXPECT_EQ(parse(Role::kRequest, post("Content-Length: 1048576\r\n", body)).summary,
            "length(" + body + ")");
  EXPECT_EQ(parse(Role::kRequest, post_chunked("100000\r\n" + body + "\r\n0\r\n\r\n")).summary,
            "chunked(" + body + ")");
  EXPECT_EQ(parse(Role::kResponse, ok("", body)).summary, "close(" + body + ")");
}

TEST(Http1Parser, ErrorsHaveNamesAndStatuses) {
  EXPECT_EQ(parse_error_status(ParseError::kBadSyntax), 400);
  EXPECT_EQ(parse_error_status(ParseError::kBadHost), 400);
  EXPECT_EQ(parse_error_status(ParseError::kBadFraming), 400);
  EXPECT_EQ(parse_error_status(ParseError::kNotHttp), 400);
  EXPECT_EQ(parse_error_status(ParseError::kHeadTooLarge), 431);
  EXPECT_EQ(parse_error_status(ParseError::kTargetTooLong), 414);
  EXPECT_EQ(parse_error_status(ParseError::kUnknownCoding), 501);
  EXPECT_EQ(parse_error_status(ParseError::kMethodTooLong), 400);
  EXPECT_EQ(parse_error_status(ParseError::kBadVersion), 505);
  EXPECT_STREQ(parse_error_name(ParseError::kMethodTooLong), "method_too_long");
}

// Every connection to an upstream has one: what an idle stream costs is counted.
TEST(Http1Parser, IsSmall) {
  EXPECT_LE(sizeof(Http1Parser), 64U);
}

}  // namespace
}  // namespace sluice::test
