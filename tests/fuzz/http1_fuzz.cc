// Any bytes, in any reads, as requests or as responses: the same outcome however they are split;
// and the head that is written for the next hop reads as exactly one message there, framed as the
// one that came in.
#include <string>
#include <string_view>

#include "net/http1_rewrite.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/http1/http1_testing.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

// Large enough for what is added to a head that was within the defaults.
constexpr Http1Limits kNextHop{size_t{256} * 1024, 1024};

void expect_one_head(Role role, std::string_view written, bool to_head, Head& head) {
  Http1Parser parser(role, kNextHop);
  CollectingSink sink;
  parser.begin(&head, to_head);
  const Http1Parser::Step step = parser.feed(written, sink);
  EXPECT_EQ(step.event, Event::kHead)
      << http1_error_name(parser.error()) << " in " << ::testing::PrintToString(written);
  EXPECT_EQ(step.consumed, written.size()) << ::testing::PrintToString(written);
  if (head.body() == BodyKind::kNone)
    EXPECT_EQ(parser.feed("", sink).event, Event::kEnd) << ::testing::PrintToString(written);
}

void check_request(std::string_view bytes, uint8_t options) {
  Head head;
  Http1Parser parser(Role::kRequest, {});
  CollectingSink sink;
  parser.begin(&head);
  // The gateway answers CONNECT and an exhausted Max-Forwards itself.
  if (parser.feed(bytes, sink).event != Event::kHead || head.method() == "CONNECT" ||
      max_forwards_exhausted(head))
    return;
  RequestRewrite rewrite;
  rewrite.client_ip = "::1";
  rewrite.client_trusted = (options & 1) != 0;
  rewrite.default_host = "upstream:9000";
  std::string written;
  write_request_head(head, rewrite, written);
  Head again;
  expect_one_head(Role::kRequest, written, false, again);
  EXPECT_EQ(again.method(), head.method());
  EXPECT_EQ(again.body(), head.body()) << ::testing::PrintToString(written);
  EXPECT_EQ(again.content_length(), head.content_length());
  EXPECT_EQ(again.version_minor(), 1);
  EXPECT_TRUE(target_path(again.target()) == "*" || again.target().starts_with('/'))
      << ::testing::PrintToString(written);
}

void check_response(std::string_view bytes, bool to_head, uint8_t options) {
  Head head;
  Http1Parser parser(Role::kResponse, {});
  CollectingSink sink;
  parser.begin(&head, to_head);
  if (parser.feed(bytes, sink).event != Event::kHead) return;
  std::string written;
  Head again;
  if (head.status() < 200) {
    write_interim_head(head, written);
    expect_one_head(Role::kResponse, written, to_head, again);
    EXPECT_EQ(again.status(), head.status());
    return;
  }
  // As Stream::commit_response() decides.
  ResponseRewrite rewrite;
  rewrite.client_http10 = (options & 1) != 0;
  rewrite.keep_alive = (options & 2) != 0;
  const bool has_body = head.body() != BodyKind::kNone;
  rewrite.event_stream = is_event_stream(head);
  const bool keeps_length = head.body() == BodyKind::kLength && !(has_body && rewrite.event_stream);
  rewrite.chunked = has_body && !keeps_length && !rewrite.client_http10;
  write_response_head(head, rewrite, written);
  expect_one_head(Role::kResponse, written, to_head, again);
  EXPECT_EQ(again.status(), head.status());
  const BodyKind expected = !has_body         ? BodyKind::kNone
                            : keeps_length    ? BodyKind::kLength
                            : rewrite.chunked ? BodyKind::kChunked
                                              : BodyKind::kUntilClose;
  EXPECT_EQ(again.body(), expected) << ::testing::PrintToString(written);
  if (keeps_length) EXPECT_EQ(again.content_length(), head.content_length());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  test::stop_at_failures();
  test::FuzzInput input(data, size);
  const uint8_t options = input.byte();
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view bytes = input.rest();
  const Role role = (options & 4) != 0 ? Role::kResponse : Role::kRequest;
  FeedOptions feed_options;
  feed_options.response_to_head = role == Role::kResponse && (options & 8) != 0;
  if ((options & 16) != 0) feed_options.limits = {400, 12};  // within reach
  const std::string whole = parse(role, bytes, feed_options).full;
  EXPECT_EQ(whole, parse_cut(role, bytes, cuts, feed_options).full);
  if (role == Role::kRequest)
    check_request(bytes, options);
  else
    check_response(bytes, feed_options.response_to_head, options);
  return 0;
}
