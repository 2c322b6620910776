// The framer beside an event stream parser as the WHATWG specifies it (section 9.2.6): what the
// framer lets through must dispatch the same messages, at the same moment, whatever the split.
// The streams have the subjects of web-platform-tests' eventsource/format-*.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "sse/framer.h"
#include "tests/unit/sse/reference.h"

namespace sluice::test {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using Messages = std::vector<std::string>;  // "type|last event id|data"

class EventStreamParser {
 public:
  Messages parse(std::string_view stream) {
    if (stream.starts_with(kByteOrderMark)) stream.remove_prefix(kByteOrderMark.size());
    for (;;) {
      size_t end = stream.find_first_of("\r\n");
      if (end == std::string_view::npos) return messages_;  // an unfinished line is dropped
      line(stream.substr(0, end));
      stream.remove_prefix(end + (stream.substr(end).starts_with("\r\n") ? 2 : 1));
    }
  }

 private:
  void line(std::string_view text) {
    if (text.empty()) return dispatch();
    if (text[0] == ':') return;
    size_t colon = text.find(':');
    if (colon == std::string_view::npos) return field(text, "");
    std::string_view value = text.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    field(text.substr(0, colon), value);
  }

  void field(std::string_view name, std::string_view value) {
    if (name == "data") (data_ += value) += '\n';
    if (name == "event") type_ = value;
    if (name == "id" && value.find('\0') == std::string_view::npos) id_ = value;
  }

  void dispatch() {
    if (!data_.empty()) {
      data_.pop_back();
      messages_.push_back((type_.empty() ? "message" : type_) + "|" + id_ + "|" + data_);
    }
    data_.clear();
    type_.clear();
  }

  std::string data_, type_, id_;
  Messages messages_;
};

Messages parse(std::string_view stream) {
  return EventStreamParser().parse(stream);
}

struct Case {
  const char* subject;
  std::string_view stream;
  Messages messages;
  uint32_t events;   // closed blocks with a field; some dispatch nothing
  uint64_t pending;  // what is left unclosed at the end
};

const Case kCases[] = {
    {"Bom",
     "\xEF\xBB\xBF"
     "data:1\n\ndata:2\n\n"sv,
     {"message||1", "message||2"},
     2,
     0},
    {"BomLater",
     "data:1\n\n\xEF\xBB\xBF"
     "data:2\n\ndata:3\n\n"sv,
     {"message||1", "message||3"},
     3,
     0},
    {"BomTwice",
     "\xEF\xBB\xBF\xEF\xBB\xBF"
     "data:1\n\ndata:2\n\n"sv,
     {"message||2"},
     2,
     0},
    {"BomThenComment", "\xEF\xBB\xBF:data:1\n\ndata:2\n\n"sv, {"message||2"}, 1, 0},
    {"BomThenEmptyLine", "\xEF\xBB\xBF\r\ndata:1\r\n\r\n"sv, {"message||1"}, 1, 0},
    {"BomAlone", "\xEF\xBB\xBF"sv, {}, 0, 3},
    {"Comments",
     "data:a\r:\0\n:\r\ndata:b\n:long\rdata:c\n:data:no\r:x\ndata:d\n\n"sv,
     {"message||a\nb\nc\nd"},
     1,
     0},
    {"CommentsOnly", ": a\n\n:\r\r::\r\n\r\n"sv, {}, 0, 0},
    {"NoFinalEmptyLine", "retry:1000\ndata:1\n\nid:7\ndata:2"sv, {"message||1"}, 1, 11},
    {"NoFinalEmptyLineAfterLineEnd", "data:1\n\ndata:2\r\n"sv, {"message||1"}, 1, 8},
    {"DataEmptyAndWithoutColon",
     "data:\n\ndata\ndata\n\ndata:t\n\n"sv,
     {"message||", "message||\n", "message||t"},
     3,
     0},
    {"Event", "event:t\ndata:x\n\ndata:y\n\n"sv, {"t||x", "message||y"}, 2, 0},
    {"EventEmpty", "event: \ndata:x\n\n"sv, {"message||x"}, 1, 0},
    {"EventWithoutData", "event:t\n\ndata:x\n\n"sv, {"message||x"}, 2, 0},
    {"Id",
     "id: 1\ndata:a\n\ndata:b\n\nid\ndata:c\n\n"sv,
     {"message|1|a", "message|1|b", "message||c"},
     3,
     0},
    {"IdWithoutData", "id: 1\n\ndata:a\n\n"sv, {"message|1|a"}, 2, 0},
    {"IdWithNull", "id:1\ndata:a\n\nid:2\0\ndata:b\n\n"sv, {"message|1|a", "message|1|b"}, 2, 0},
    {"FieldNames",
     "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\r data:5\n\n"sv,
     {"message||\0\n 2\n1"s},
     1,
     0},
    {"RetryOnly", "retry:3000\n\n"sv, {}, 1, 0},
    {"RetryOnlyWithoutEmptyLine", "retry:3000\n: c\rretry: 4\r\nretry:x"sv, {}, 0, 7},
    {"KeepAlives",
     ":\ndata:1\n\n: ping\r\n:\n:\rid:7\n:\ndata:2\n\n:\n"sv,
     {"message||1", "message|7|2"},
     2,
     0},
    {"CommentsAndRetryBeforeFields",
     ": a\nretry:5\ndata:1\n:\nretry:6\nretry:7\n\nretry:8\n:\ndata:2"sv,
     {"message||1"},
     1,
     6},
    {"UnknownFields",
     "data:a\n data\ndata\nfoo:x\njust text\n:comment\ndata:b\n\n"sv,
     {"message||a\n\nb"},
     1,
     0},
    {"LeadingSpace", "data:\ta\rdata: \ndata:  b\n\n"sv, {"message||\ta\n\n b"}, 1, 0},
    {"LineEnds", "data:a\r\ndata\ndata:b\r\n\r"sv, {"message||a\n\nb"}, 1, 0},
    {"LineEndsMixed",
     "data:a\r\rdata:b\n\rdata:c\r\n\ndata:d\n\r\ndata:e\r\r\n"sv,
     {"message||a", "message||b", "message||c", "message||d", "message||e"},
     5,
     0},
    {"EmptyLines", "\n\r\r\n\n\ndata:a\n\n\n\n\r\n"sv, {"message||a"}, 1, 0},
    {"NullLine", "data:a\n\n\0\n\ndata:b\n\n"sv, {"message||a", "message||b"}, 3, 0},
    {"Utf8",
     "data:o\xE2\x80\xA6k\n\ndata:\xE2\x80\xA8\xC2\x85\n\n"sv,
     {"message||o\xE2\x80\xA6k", "message||\xE2\x80\xA8\xC2\x85"},
     2,
     0},
    {"OtherLineSeparatorsAreContent", "data:a\x0b\x0c\x1e\n\n"sv, {"message||a\x0b\x0c\x1e"}, 1, 0},
};

class FramerConformance : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(WhatWg, FramerConformance, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.subject); });

TEST_P(FramerConformance, CountsEventsAndWhatIsLeft) {
  Framer framer;
  EXPECT_EQ(feed_copy(framer, GetParam().stream).events, GetParam().events);
  EXPECT_EQ(framer.pending(), GetParam().pending);
  EXPECT_EQ(parse(GetParam().stream), GetParam().messages);
}

// Whatever has been fed, the part let through dispatches all that the fed part dispatches.
TEST_P(FramerConformance, LetsEachMessageThroughAtItsLastByte) {
  std::string_view stream = GetParam().stream;
  Framer framer;
  size_t through = 0;
  for (size_t fed = 0; fed < stream.size(); ++fed) {
    size_t whole = feed_copy(framer, stream.substr(fed, 1)).whole;
    if (whole != 0) through = fed + whole;
    EXPECT_EQ(parse(stream.substr(0, through)), parse(stream.substr(0, fed + 1))) << fed;
  }
}

TEST_P(FramerConformance, FramesEqualAtEverySplitIntoThree) {
  std::string_view stream = GetParam().stream;
  const Framing expected = reference_framing(stream);
  for (size_t first = 0; first <= stream.size(); ++first) {
    for (size_t second = first; second <= stream.size(); ++second) {
      expect_framing(stream, expected, {first, second});
    }
  }
  expect_framing_byte_by_byte(stream);
}

// The reason for the framer: our own lines between events change no message.
TEST_P(FramerConformance, ACommentAtAnyBoundaryChangesNoMessage) {
  std::string_view stream = GetParam().stream;
  Framer framer;
  for (size_t fed = 1; fed <= stream.size(); ++fed) {
    feed_copy(framer, stream.substr(fed - 1, 1));
    if (!framer.at_boundary()) continue;
    std::string with_comment(stream);
    with_comment.insert(fed, ": heartbeat\n\n");
    EXPECT_EQ(parse(with_comment), GetParam().messages) << fed;
  }
}

}  // namespace
}  // namespace sluice::test
