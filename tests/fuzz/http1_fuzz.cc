// Any bytes, in any reads, as requests or as responses. The parser's outcome is the same however
// they are split. And what the gateway makes of them for the next hop is read there as the messages
// that came in, body for body, with nothing before, between or behind them; what did not come to
// its end does not there either.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/target.h"
#include "net/http/text.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/http1_hop.h"

using namespace sluice;
using namespace sluice::test;
using sluice::test::CollectingSink;
using sluice::test::FeedOptions;

namespace {

// Large enough for what is added to a head that was within the defaults.
constexpr HeadLimits kNextHop{size_t{256} * 1024, 1024};

// What the next hop reads, as Hop::expected() puts it. `closed`: the connection ends in good order.
std::string read_back(std::string_view wire, const HopOptions& options, bool closed) {
  Http1Parser parser(options.role, kNextHop);
  std::string text;
  while (!wire.empty()) {
    Head head;
    CollectingSink sink;
    parser.begin(&head, options.response_to_head);
    Http1Parser::Step step = parser.feed(wire, sink);
    if (step.event != Event::kHead) return text + "no head: " + parse_error_name(parser.error());
    text += opening(head, head.body());
    wire.remove_prefix(step.consumed);
    step = parser.feed(wire, sink);
    wire.remove_prefix(step.consumed);
    text += sink.body;
    if (step.event == Event::kError) return text + "!" + parse_error_name(parser.error());
    if (step.event != Event::kEnd && !(closed && parser.finish())) return text;
    text += ")\n";
  }
  return text;
}

std::vector<std::string_view> lines_of(std::string_view head) {
  std::vector<std::string_view> lines;
  for (size_t end = 0; !head.empty(); head.remove_prefix(std::min(end + 2, head.size()))) {
    end = std::min(head.find("\r\n"), head.size());
    lines.push_back(head.substr(0, end));
  }
  return lines;
}

// Without any parser of ours: no line holds what another reader could take for the end of one, and
// there is not more than one framing.
void expect_plain(std::string_view written) {
  SCOPED_TRACE(::testing::PrintToString(written));
  EXPECT_TRUE(written.ends_with("\r\n\r\n"));
  const std::vector<std::string_view> lines = lines_of(written);
  size_t framings = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos);
    EXPECT_EQ(lines[i].empty(), i + 1 == lines.size());
    if (i == 0 || lines[i].empty()) continue;
    const std::string_view name = lines[i].substr(0, lines[i].find(": "));
    EXPECT_TRUE(is_token(name));
    framings += equals_ignoring_case(name, "content-length") ||
                equals_ignoring_case(name, "transfer-encoding");
  }
  EXPECT_LE(framings, 1U);
}

bool is_ours(std::string_view name) {
  constexpr std::string_view kOurs[] = {
      "host",         "content-length",   "transfer-encoding", "connection",
      "via",          "x-forwarded-for",  "x-forwarded-proto", "x-forwarded-host",
      "max-forwards", "x-accel-buffering"};
  return std::ranges::any_of(
      kOurs, [name](std::string_view ours) { return equals_ignoring_case(ours, name); });
}

// What is not ours came in like that, in this order.
void expect_nothing_made_up(const Head& head, const Head& again) {
  size_t at = 0;
  for (size_t i = 0; i < again.field_count(); ++i) {
    const Head::Field field = again.field(i);
    if (is_ours(field.name)) continue;
    while (at < head.field_count() &&
           (head.field(at).name != field.name || head.field(at).value != field.value))
      ++at;
    EXPECT_LT(at++, head.field_count()) << field.name << ": " << field.value;
  }
}

void expect_same_request(const Head& head, const Head& again) {
  EXPECT_EQ(again.method(), head.method());
  EXPECT_EQ(again.version_minor(), 1);
  const Target from = split_target(head.target());
  const Target to = split_target(again.target());
  if (to.form == TargetForm::kAsterisk) {
    EXPECT_EQ(head.method(), "OPTIONS");
    EXPECT_TRUE(from.path.empty() && from.query.empty());
  } else {
    EXPECT_EQ(to.form, TargetForm::kOrigin);
    EXPECT_EQ(to.path, from.path.empty() ? "/" : from.path);
    EXPECT_EQ(to.query, from.query);
  }
  EXPECT_EQ(again.find("host"), from.form == TargetForm::kAbsolute
                                    ? from.authority
                                    : head.find("host").value_or("upstream:9000"));
}

void expect_same_head(const Hop::Rewritten& rewritten, const HopOptions& options) {
  expect_plain(rewritten.written);
  Http1Parser parser(options.role, kNextHop);
  CollectingSink sink;
  Head again;
  parser.begin(&again, options.response_to_head);
  const Http1Parser::Step step = parser.feed(rewritten.written, sink);
  EXPECT_EQ(step.event, Event::kHead)
      << parse_error_name(parser.error()) << " in " << ::testing::PrintToString(rewritten.written);
  EXPECT_EQ(step.consumed, rewritten.written.size());
  if (step.event != Event::kHead) return;
  expect_nothing_made_up(rewritten.head, again);
  if (options.role == Role::kRequest) expect_same_request(rewritten.head, again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const uint8_t flags = input.byte();
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view bytes = input.rest();
  HopOptions options;
  options.client_trusted = options.client_http10 = (flags & 1) != 0;
  options.keep_alive = (flags & 2) != 0;
  if ((flags & 4) != 0) options.role = Role::kResponse;
  options.response_to_head = options.role == Role::kResponse && (flags & 8) != 0;
  if ((flags & 64) != 0) options.send_max = 5;
  options.replay = options.role == Role::kRequest && (flags & 128) != 0;

  FeedOptions feed;
  feed.response_to_head = options.response_to_head;
  if ((flags & 16) != 0) feed.limits = {400, 12};  // within reach
  EXPECT_EQ(sluice::test::parse(options.role, bytes, feed).full,
            sluice::test::parse_cut(options.role, bytes, cuts, feed).full);

  static ChainRig rig;
  {
    Hop hop(rig, options);
    size_t begin = 0;
    for (const size_t cut : cuts) {
      hop.receive(bytes.substr(begin, cut - begin));
      begin = cut;
    }
    hop.receive(bytes.substr(begin));
    hop.close();
    EXPECT_EQ(read_back(hop.wire(), options, hop.ended()), hop.expected())
        << ::testing::PrintToString(hop.wire());
    for (const Hop::Rewritten& rewritten : hop.heads()) expect_same_head(rewritten, options);
  }
  rig.expect_clean();
  return 0;
}
