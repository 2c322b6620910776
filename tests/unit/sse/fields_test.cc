// The rules for an event's fields, one by one (html.spec.whatwg.org 9.2.5 and 9.2.6), and views
// that lie where the event does.
#include "sse/fields.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sse/fields_reference.h"

namespace sluice::test {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

struct Case {
  const char* subject;
  std::string_view event;
  FieldTexts fields;
};

const Case kCases[] = {
    {"Data", "data: 1\n\n"sv, {"data|1"}},
    {"DataLineByLine", "data:a\ndata: b\r\ndata:c\r\r"sv, {"data|a", "data|b", "data|c"}},
    {"DataEmpty", "data:\ndata\ndata: \n\n"sv, {"data|", "data|", "data|"}},
    {"OneLeadingSpace", "data:  a\ndata: \tb\ndata:\tc\n\n"sv, {"data| a", "data|\tb", "data|\tc"}},
    {"SpaceBeforeTheColon", "data : a\n data: b\n\n"sv, {}},
    {"ValueWithColons", "data::a:b: c\n\n"sv, {"data|:a:b: c"}},
    {"Event", "event: price\nevent:\nevent\n\n"sv, {"event|price", "event|", "event|"}},
    {"Id", "id: 7\nid:\nid\n\n"sv, {"id|7", "id|", "id|"}},
    {"IdWithNul", "id: 1\0 2\nid:\0\nid: 3\n\n"sv, {"id|3"}},
    {"OthersMayHoldNul", "data:\0\nevent: \0\n:\0\n\n"sv, {"data|\0"s, "event|\0"s, "comment|\0"s}},
    {"Retry", "retry: 1500\nretry:0\nretry: 007\n\n"sv, {"retry|1500", "retry|0", "retry|007"}},
    {"RetryOfOtherThanDigits",
     "retry: 1s\nretry: -1\nretry:  1\nretry: 1 \nretry: 0x1\nretry: 1.5\nretry:/\nretry:;\n\n"sv,
     {}},
    {"RetryEmpty", "retry\nretry:\nretry: \n\n"sv, {}},
    {"Comments",
     ":\n: a\n::\n:data: b\n\n"sv,
     {"comment|", "comment| a", "comment|:", "comment|data: b"}},
    {"NameWithoutColon", "data\nid\nevent\njust text\n\n"sv, {"data|", "id|", "event|"}},
    {"NamesAreCaseSensitive", "Data: a\nDATA: b\nID: c\n\n"sv, {}},
    {"UnknownNames",
     "dat: a\ndata2: b\ndatas\nidx: c\ni\neventual: d\nretry_: 1\nfoo: e\n\xEF\xBB\xBF\n\n"sv,
     {}},
    {"NulInAName", "da\0ta: a\ndata\0: b\n\0data: c\n\n"sv, {}},
    {"MarkIsContentLater",
     "\xEF\xBB\xBF"
     "data: a\ndata: b\n\n"sv,
     {"data|b"}},
    {"LineEndsMixed",
     "data:a\r\ndata:b\rdata:c\ndata:d\n\r"sv,
     {"data|a", "data|b", "data|c", "data|d"}},
    {"OtherSeparatorsAreContent",
     "data:a\x0b\x0c\x1e\xE2\x80\xA8\xC2\x85\n\n"sv,
     {"data|a\x0b\x0c\x1e\xE2\x80\xA8\xC2\x85"}},
    {"LineWithoutItsEnd", "data: a\ndata: b"sv, {"data|a"}},
    {"RestOfACrlf", "\ndata: a\n\n"sv, {"data|a"}},
    {"SeveralEvents", "id: 1\n\n: ping\n\nid: 2\n\n"sv, {"id|1", "comment| ping", "id|2"}},
    {"OrderIsKept",
     "id: 1\nevent: e\n:c\ndata: d\nretry: 5\n\n"sv,
     {"id|1", "event|e", "comment|c", "data|d", "retry|5"}},
    {"NothingIsNothing", ""sv, {}},
    {"EmptyLines", "\n\r\r\n\n"sv, {}},
};

class FieldConformance : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(WhatWg, FieldConformance, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.subject); });

TEST_P(FieldConformance, InOnePiece) {
  EXPECT_EQ(fields_of(GetParam().event), GetParam().fields);
}

TEST_P(FieldConformance, AtEverySplitIntoThree) {
  std::string_view event = GetParam().event;
  for (size_t first = 0; first <= event.size(); ++first) {
    for (size_t second = first; second <= event.size(); ++second) {
      const CutText cut(event, {first, second});
      ASSERT_EQ(fields_of(cut.pieces()), GetParam().fields) << first << ", " << second;
    }
  }
  expect_fields_byte_by_byte(event);
}

// Nothing is copied: each part of a value is a part of a piece.
TEST(Fields, LieWhereTheEventLies) {
  const std::string head = "id: 12";
  const std::string tail = "34\ndata: x\n\n";
  const std::array<std::string_view, 2> pieces{head, tail};
  Field field;
  FieldReader reader{Pieces(pieces)};
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.kind, FieldKind::kId);
  EXPECT_EQ(field.value.size(), 4U);
  EXPECT_FALSE(field.value.in_one_piece());
  EXPECT_EQ(field.value.first().data(), head.data() + 4);
  std::array<char, 4> room{};
  EXPECT_EQ(field.value.flat(room), "1234");
  field.value.remove_prefix(2);
  EXPECT_TRUE(field.value.in_one_piece());
  EXPECT_EQ(field.value.first().data(), tail.data());
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.value.in_one_piece());
  EXPECT_EQ(field.value.flat({}).data(), tail.data() + 9) << "no room is needed where none is used";
}

TEST(Fields, AreTheSameBehindPiecesOfNothing) {
  const std::array<std::string_view, 5> pieces{"", "da", "", "ta: 1\n\n", ""};
  EXPECT_EQ(fields_of(Pieces(pieces)), FieldTexts{"data|1"});
  const std::array<std::string_view, 2> nothing{};
  EXPECT_EQ(fields_of(Pieces(nothing)), FieldTexts{});
  EXPECT_EQ(fields_of(Pieces(std::span<const std::string_view>())), FieldTexts{});
}

// One memory, seen twice: a piece begins where its address says nothing about it.
TEST(Fields, OfPiecesThatShareMemory) {
  const std::string text = "data: 1\nid: 2\n";
  const std::array<std::string_view, 2> pieces{text, std::string_view(text).substr(8)};
  EXPECT_EQ(fields_of(Pieces(pieces)), (FieldTexts{"data|1", "id|2", "id|2"}));
}

TEST(Events, AreHandedOutOneByOneAndAddUp) {
  const std::string_view run = ": ping\r\ndata: 1\r\n\r\ndata: 2\n\n\n: c\nretry: 5\n";
  std::vector<std::string> events;
  Pieces event;
  EventReader reader(run);
  size_t at = 0;
  while (reader.next(event)) {
    EXPECT_EQ(event.first().data(), run.data() + at);
    at += event.size();
    events.push_back(text_of(event));
  }
  EXPECT_FALSE(reader.next(event));
  EXPECT_EQ(events, (std::vector<std::string>{": ping\r\ndata: 1\r\n\r\n", "data: 2\n\n", "\n",
                                              ": c\nretry: 5\n"}));
}

TEST(Events, HaveTheLfOfTheirCrlfInTheNextPiece) {
  const std::array<std::string_view, 2> pieces{"data: 1\r\n\r", "\ndata: 2\n\n"};
  Pieces event;
  EventReader reader{Pieces(pieces)};
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(text_of(event), "data: 1\r\n\r\n");
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(text_of(event), "data: 2\n\n");
  EXPECT_FALSE(reader.next(event));
}

TEST(Events, MarkAtTheStreamsStartBelongsToNoLine) {
  constexpr std::string_view kStream =
      "\xEF\xBB\xBF"
      "data: 1\n\n";
  for (size_t first = 0; first <= kStream.size(); ++first) {
    for (size_t second = first; second <= kStream.size(); ++second) {
      const CutText cut(kStream, {first, second});
      EXPECT_EQ(fields_of(without_mark(cut.pieces())), FieldTexts{"data|1"});
    }
  }
  EXPECT_EQ(text_of(without_mark("\xEF\xBB\xBF\xEF\xBB\xBF"sv)), "\xEF\xBB\xBF") << "one, no more";
  for (std::string_view other : {""sv, "\xEF\xBB"sv,
                                 "\xEF\xBB"
                                 "data"sv,
                                 "data"sv})
    EXPECT_EQ(text_of(without_mark(other)), other);
}

}  // namespace
}  // namespace sluice::test
