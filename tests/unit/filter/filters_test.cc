// Every match and every action, and the forms in which events come: as tables of what goes in and
// what comes out, each in one piece and cut at every size.
#include "net/filter/filters.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/filter/filter_testing.h"

namespace sluice::test {
namespace {

struct Case {
  const char* subject;
  FilterRule rule;
  std::string_view in;
  std::string_view out;
};

FilterRule of_events(std::vector<std::string> events, std::vector<FilterAction> actions) {
  FilterRule made = rule(std::move(actions));
  made.events = std::move(events);
  return made;
}
FilterRule of_ids(std::vector<std::string> ids) {
  FilterRule made = rule({action(ActionKind::kDrop)});
  made.ids = std::move(ids);
  return made;
}
FilterRule of_data(std::vector<std::string> data) {
  FilterRule made = rule({action(ActionKind::kDrop)});
  made.data = std::move(data);
  return made;
}
FilterRule drop_where(std::string pointer, TestKind kind, std::string text = "") {
  return rule({action(ActionKind::kDrop)}, {{std::move(pointer), kind, std::move(text), "here"}});
}
FilterRule set(std::string pointer, std::string json) {
  return rule({action(ActionKind::kSet, std::move(pointer), std::move(json))});
}
FilterRule remove(std::string pointer) {
  return rule({action(ActionKind::kRemove, std::move(pointer))});
}
FilterRule rename(std::string pointer, std::string name) {
  return rule({action(ActionKind::kRename, std::move(pointer), std::move(name))});
}
FilterRule redact(std::string expression, std::string with,
                  std::optional<std::string> pointer = {}) {
  return rule(
      {action(ActionKind::kRedact, std::move(pointer), std::move(expression), std::move(with))});
}
FilterRule with_event(ActionKind kind, FilterEvent event) {
  return rule({action(kind, {}, "", "", std::move(event))});
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"DropByType", of_events({"ping"}, {action(ActionKind::kDrop)}),
       "event: ping\ndata: 1\n\nevent:pong\ndata: 2\n\ndata: 3\n\n",
       "event:pong\ndata: 2\n\ndata: 3\n\n"},
      {"TheLastTypeCounts", of_events({"b"}, {action(ActionKind::kDrop)}),
       "event: b\nevent: a\ndata: 1\n\nevent: a\nevent: b\ndata: 2\n\n",
       "event: b\nevent: a\ndata: 1\n\n"},
      {"NoTypeIsMessage", of_events({"message", "x"}, {action(ActionKind::kDrop)}),
       "data: 1\n\nevent:\ndata: 2\n\nevent: y\ndata: 3\n\n", "event: y\ndata: 3\n\n"},
      {"DropById", of_ids({"7"}), "id: 7\ndata: 1\n\nid: 77\ndata: 2\n\n", "id: 77\ndata: 2\n\n"},
      {"DropByData", of_data({"[DONE]"}), "data: [DONE]\n\ndata: [DONE]x\n\n", "data: [DONE]x\n\n"},
      {"WhatHasNoDataPassesUnseen", rule({action(ActionKind::kDrop)}),
       ": c\n\nretry: 5\n\nid: 4\n\nevent: x\n\n\ndata\n\n",
       ": c\n\nretry: 5\n\nid: 4\n\nevent: x\n\n\n"},
      {"Exists", drop_where("/usage", TestKind::kExists),
       "data: {\"usage\":null}\n\ndata: {\"x\":\"usage\"}\n\ndata: {\"a\":{\"usage\":1}}\n\n",
       "data: {\"x\":\"usage\"}\n\ndata: {\"a\":{\"usage\":1}}\n\n"},
      {"ExistsByAnEscapedName", drop_where("/usage", TestKind::kExists),
       "data: {\"us\\u0061ge\":null}\n\n", ""},
      {"ACarriageReturnAndALineFeedStayTwo", set("/a", "2"),
       "data: {\rdata:\"a\":1}\n\ndata: {\"a\":3}\n\n",
       "data: { \"a\":2}\r\n\ndata: {\"a\":2}\n\n"},
      {"Missing", drop_where("/a", TestKind::kMissing),
       "data: {\"b\":1}\n\ndata: {\"a\":1}\n\ndata: no json\n\n",
       "data: {\"a\":1}\n\ndata: no json\n\n"},
      {"EqualsString", drop_where("/a", TestKind::kEquals, R"("x\"y")"),
       "data: {\"a\":\"x\\u0022y\"}\n\ndata: {\"a\":\"x\"}\n\ndata: {\"a\":1}\n\n",
       "data: {\"a\":\"x\"}\n\ndata: {\"a\":1}\n\n"},
      {"EqualsNumber", drop_where("/a", TestKind::kEquals, "1"),
       "data: {\"a\":1.0}\n\ndata: {\"a\":\"1\"}\n\ndata: {\"a\": 1 }\n\ndata: {\"a\":10}\n\n",
       "data: {\"a\":\"1\"}\n\ndata: {\"a\":10}\n\n"},
      {"EqualsLiteral", drop_where("/a/1", TestKind::kEquals, "true"),
       "data: {\"a\":[0,true]}\n\ndata: {\"a\":[true,0]}\n\ndata: {\"a\":[]}\n\n",
       "data: {\"a\":[true,0]}\n\ndata: {\"a\":[]}\n\n"},
      {"Matches", drop_where("/a", TestKind::kMatches, "^b.*\n$"),
       "data: {\"a\":\"bcd\\n\"}\n\ndata: {\"a\":\"bcd\"}\n\ndata: {\"a\":\"cbd\\n\"}\n\n",
       "data: {\"a\":\"bcd\"}\n\ndata: {\"a\":\"cbd\\n\"}\n\n"},
      {"TheLastOfEqualNamesCounts", drop_where("/a", TestKind::kEquals, "2"),
       "data: {\"a\":1,\"a\":2}\n\ndata: {\"a\":2,\"a\":1}\n\n", "data: {\"a\":2,\"a\":1}\n\n"},
      {"SetReplaces", set("/a/0/b", "\"n\""),
       "data: { \"a\" : [ {\"b\": {\"c\":[1,\"]}\"]} , \"d\":1.00} ], \"e\":\"\\u00e9\" }\n\n",
       "data: { \"a\" : [ {\"b\": \"n\" , \"d\":1.00} ], \"e\":\"\\u00e9\" }\n\n"},
      {"SetAddsAMember", set("/x\"y", "1"),
       "data: {\"a\":1}\n\ndata: {}\n\ndata: { }\n\ndata: []\n\n",
       "data: {\"a\":1,\"x\\\"y\":1}\n\ndata: {\"x\\\"y\":1}\n\ndata: { \"x\\\"y\":1}\n\n"
       "data: []\n\n"},
      {"SetAddsToAnArray", set("/a/-", "3"), "data: {\"a\":[1]}\n\ndata: {\"a\":[]}\n\n",
       "data: {\"a\":[1,3]}\n\ndata: {\"a\":[3]}\n\n"},
      {"SetMakesNoParents", set("/a/b", "3"), "data: {\"c\":[1]}\n\n", "data: {\"c\":[1]}\n\n"},
      {"SetAll", set("", "{}"), "id: 1\ndata: [1, 2] \n\n", "id: 1\ndata: {} \n\n"},
      {"RemoveTheOnly", remove("/a"), "data: { \"a\": 1 }\n\n", "data: {  }\n\n"},
      {"RemoveTheFirst", remove("/a"), "data: {\"a\":1, \"b\":2}\n\n", "data: { \"b\":2}\n\n"},
      {"RemoveAnInnerOne", remove("/b"), "data: {\"a\":1,\"b\":{} ,\"c\":2}\n\n",
       "data: {\"a\":1 ,\"c\":2}\n\n"},
      {"RemoveTheLast", remove("/b"), "data: {\"a\":1 , \"b\":2}\n\n", "data: {\"a\":1 }\n\n"},
      {"RemoveAllOfThatName", remove("/a"), "data: {\"a\":1,\"b\":2,\"a\":3}\n\n",
       "data: {\"b\":2}\n\n"},
      {"RemoveAllThereAre", remove("/a"), "data: {\"a\":1,\"a\":2, \"a\":3}\n\n", "data: { }\n\n"},
      {"RemoveSeveralBehindOne", remove("/a"), "data: {\"b\":1,\"a\":2,\"a\":3}\n\n",
       "data: {\"b\":1}\n\n"},
      {"RemoveAnElement", remove("/a/1"), "data: {\"a\":[1,2,3]}\n\n", "data: {\"a\":[1,3]}\n\n"},
      {"RemoveSlashAndTilde", remove("/a~1b~0"), "data: {\"a/b~\":1}\n\n", "data: {}\n\n"},
      {"Rename", rename("/a/b", "c\n"), "data: {\"a\":{\"b\" :1}}\n\ndata: {\"a\":[1]}\n\n",
       "data: {\"a\":{\"c\\n\" :1}}\n\ndata: {\"a\":[1]}\n\n"},
      {"RedactAllStrings", redact("[0-9]{3}", "#"),
       "data: {\"123\":\"a 123 456 7\",\"b\":[123,\"999\"]}\n\n",
       "data: {\"123\":\"a # # 7\",\"b\":[123,\"#\"]}\n\n"},
      {"RedactAtAPlace", redact("x", "\"", "/a"),
       "data: {\"a\":\"xy\",\"b\":\"x\"}\n\ndata: {\"a\":{\"c\":[\"x\"]}}\n\n",
       "data: {\"a\":\"\\\"y\",\"b\":\"x\"}\n\ndata: {\"a\":{\"c\":[\"\\\"\"]}}\n\n"},
      {"RedactBehindEscapes", redact("a@b", "#"),
       "data: {\"t\":\"\\u00e9\\n\\ud83d\\ude00\\\\a\\u0040b\\\" a@b \\/\"}\n\n",
       "data: {\"t\":\"\\u00e9\\n\\ud83d\\ude00\\\\#\\\" # \\/\"}\n\n"},
      {"ReplaceData", rule({action(ActionKind::kData, {}, "x\ny")}),
       "id: 1\r\ndata: a\r\ndata: b\r\n: c\r\n\r\n", "id: 1\r\ndata: x\ndata: y\n: c\r\n\r\n"},
      {"RenameEvent", rule({action(ActionKind::kRenameEvent, {}, "n")}),
       "event: a\nevent: b\ndata: 1\n\ndata: 2\r\n\r\nevent\rdata: 3\r\r",
       "event: n\ndata: 1\n\nevent: n\r\ndata: 2\r\n\r\nevent: n\rdata: 3\r\r"},
      {"RenameEventToNone", rule({action(ActionKind::kRenameEvent, {}, "")}),
       "id: 1\nevent: a\ndata: 1\n\n", "id: 1\ndata: 1\n\n"},
      {"AddBefore", with_event(ActionKind::kAddBefore, {"n", "1\n2"}), "id: 1\ndata: a\n\n",
       "event: n\ndata: 1\ndata: 2\n\nid: 1\ndata: a\n\n"},
      {"AddAfter", with_event(ActionKind::kAddAfter, {"", "1"}), "data: a\n\ndata: b\n\n",
       "data: a\n\ndata: 1\n\ndata: b\n\ndata: 1\n\n"},
      {"AddInThePlaceOf",
       rule({action(ActionKind::kAddAfter, {}, "", "", FilterEvent{"n", "1"}),
             action(ActionKind::kDrop)}),
       "data: a\n\n", "event: n\ndata: 1\n\n"},
      {"End", with_event(ActionKind::kEnd, {"bye", "1"}), "data: a\n\ndata: b\n\n",
       "data: a\n\nevent: bye\ndata: 1\n\n"},
      {"SeveralEdits",
       rule({action(ActionKind::kRemove, "/a"), action(ActionKind::kSet, "/b", "[]"),
             action(ActionKind::kRenameEvent, {}, "n")}),
       "data: {\"a\":1,\"b\":2}\n\n", "event: n\ndata: {\"b\":[]}\n\n"},
      {"TheMarkStaysFirst", with_event(ActionKind::kAddBefore, {"", "1"}),
       "\xEF\xBB\xBF"
       "data: a\n\n",
       "\xEF\xBB\xBF"
       "data: 1\n\ndata: a\n\n"},
      {"TheMarkIsNoPartOfAField", drop_where("/a", TestKind::kExists),
       "\xEF\xBB\xBF"
       "data: {\"a\":1}\n\ndata: b\n\n",
       "\xEF\xBB\xBF"
       "data: b\n\n"},
      {"LineEndsStay", set("/a", "2"),
       "id: 1\r\ndata:{\"a\":1}\r\n: c\r\n\r\nid: 2\rdata: {\"a\":1}\r\rdata: {\"a\":1}\n\r\n",
       "id: 1\r\ndata:{\"a\":2}\r\n: c\r\n\r\nid: 2\rdata: {\"a\":2}\r\rdata: {\"a\":2}\n\r\n"},
      {"DataLinesAreJoinedWhereTheyChange", set("/a", "2"),
       "id: 1\r\ndata: {\r\ndata:\"a\":1\r\n: c\r\ndata: }\r\n\r\ndata: {\ndata: }x\n\n",
       "id: 1\r\ndata: { \"a\":2 }\r\n: c\r\n\r\ndata: {\ndata: }x\n\n"},
      {"DataLinesAreNotJoinedWithinAString", set("/a", "2"), "data: {\"a\":\"x\ndata: y\"}\n\n",
       "data: {\"a\":\"x\ndata: y\"}\n\n"},
      {"DataLinesStayWhereNothingChanges", set("/a/b", "2"), "data: {\ndata:\"a\":1}\n\n",
       "data: {\ndata:\"a\":1}\n\n"},
      {"InvalidPasses", set("/a", "2"),
       "data: {\"a\":1\n\ndata: {\"a\":tru}\n\ndata: {\"a\":1,}\n\ndata: {\"a\":\"\xC3\"}\n\n"
       "data: {\"a\":1}{}\n\ndata: {\"a\":\"\x01\"}\n\ndata: [DONE]\n\ndata:\n\n",
       "data: {\"a\":1\n\ndata: {\"a\":tru}\n\ndata: {\"a\":1,}\n\ndata: {\"a\":\"\xC3\"}\n\n"
       "data: {\"a\":1}{}\n\ndata: {\"a\":\"\x01\"}\n\ndata: [DONE]\n\ndata:\n\n"},
      {"NamesMayBeSpeltWithASlashInTwoWays", set("/a~1b", "2"),
       "data: {\"a\\/b\":1,\"c\":1}\n\ndata: {\"a/b\":1}\n\n",
       "data: {\"a\\/b\":2,\"c\":1}\n\ndata: {\"a/b\":2}\n\n"},
      {"UnfinishedIsNotSeen", rule({action(ActionKind::kDrop)}), "data: 1\n\ndata: 2\n", ""},
  };
  return all;
}

class FilterTables : public testing::TestWithParam<Case> {};

TEST_P(FilterTables, InOnePieceAndInMany) {
  const Case& test = GetParam();
  FilterRig filter({test.rule});
  ASSERT_EQ(filter.wrong, "");
  EXPECT_EQ(filter(test.in), test.out);
  for (size_t piece = 1; piece < test.in.size(); ++piece)
    EXPECT_EQ(filter(test.in, piece), test.out) << "in pieces of " << piece;
}

INSTANTIATE_TEST_SUITE_P(All, FilterTables, testing::ValuesIn(cases()),
                         [](const auto& found) { return found.param.subject; });

TEST(Filters, SeeEventsAsThoseBeforeLeftThem) {
  FilterRig filters({set("/a", "2"), drop_where("/a", TestKind::kEquals, "2")});
  EXPECT_EQ(filters("data: {\"a\":1}\n\ndata: {\"b\":[]}\n\n"), "");
}

TEST(Filters, DoNotSeeWhatWasAdded) {
  FilterRig filters({with_event(ActionKind::kAddAfter, {"", "x"}), of_data({"x"})});
  EXPECT_EQ(filters("data: y\n\n"), "data: y\n\ndata: x\n\n");
}

TEST(Filters, EndBehindTheirEvent) {
  FilterRule stop = of_data({"stop"});
  stop.actions = {action(ActionKind::kEnd)};
  FilterRig filters({stop});
  EXPECT_EQ(filters("data: 1\n\ndata: stop\n\ndata: 2\n\n"), "data: 1\n\ndata: stop\n\n");
  EXPECT_TRUE(filters.ended);
  EXPECT_EQ(filters.counted(FilterDeed::kEnded), 1U);
}

TEST(Filters, InvalidMayBeDroppedOrEndTheStream) {
  constexpr std::string_view kStream = "data: {\"a\":1}\n\ndata: {\"a\"\n\ndata: [DONE]\n\n";
  FilterRig drops({set("/a", "2")}, OnUnseen::kDrop);
  EXPECT_EQ(drops(kStream), "data: {\"a\":2}\n\ndata: [DONE]\n\n");
  EXPECT_FALSE(drops.ended);
  FilterRig ends({set("/a", "2")}, OnUnseen::kEnd);
  EXPECT_EQ(ends(kStream), "data: {\"a\":2}\n\n");
  EXPECT_TRUE(ends.ended);
}

// --- searches that take too long ---

std::string text_event(const std::string& text) {
  return "data: {\"t\":\"" + text + "\"}\n\n";
}
std::string many(std::string_view text, size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

// A step takes a nanosecond, so that time is counted work.
class FilterSearches : public testing::Test {
 protected:
  FilterSearches() { StepClock::ns_per_step = 1; }
  ~FilterSearches() override { StepClock::ns_per_step = 0; }

  const std::string costly_ = text_event(std::string(60'000, 'a'));
};

TEST_F(FilterSearches, EndBeforeTheSquareOfTheText) {
  constexpr uint64_t kStepsMax =
      limits::kSearchNs + (2 * limits::kSearchAskSteps) + limits::kSearchStepsMax;
  FilterRig filters({redact("a.*z|a", "b")});
  EXPECT_EQ(filters(costly_), "") << "what was not searched may not pass";
  EXPECT_FALSE(filters.ended);
  EXPECT_LT(filters.bench.searches.steps(), kStepsMax);
  EXPECT_EQ(filters.counted(FilterDeed::kUnsearched), 1U);
  EXPECT_EQ(filters.counted(FilterDeed::kDropped), 1U);
  EXPECT_EQ(filters.counted(FilterDeed::kChanged), 0U);
  EXPECT_EQ(filters(costly_ + text_event("xa")), text_event("xb")) << "each event has its own";
}

TEST_F(FilterSearches, DropOrEndAsOnInvalidSays) {
  FilterRig drops({redact("a.*z|a", "b")}, OnUnseen::kDrop);
  EXPECT_EQ(drops(costly_ + "data: 1\n\n"), "data: 1\n\n");
  FilterRig ends({redact("a.*z|a", "b")}, OnUnseen::kEnd);
  EXPECT_EQ(ends(costly_ + "data: 1\n\n"), "");
  EXPECT_TRUE(ends.ended);
  EXPECT_EQ(ends.counted(FilterDeed::kEnded), 1U);
}

TEST_F(FilterSearches, AreOneBudgetForAllRulesAndStrings) {
  std::vector<FilterRule> rules;
  for (int i = 0; i < 30; ++i) rules.push_back(redact("[xy]z{3}", "b"));
  FilterRig filters(std::move(rules));
  std::string strings = "data: [\"" + many("a\",\"", 100) + std::string(200'000, 'a') + "\"]\n\n";
  EXPECT_EQ(filters(strings), "");
  StepClock::ns_per_step = 0;
  EXPECT_EQ(filters(strings), strings);
}

TEST_F(FilterSearches, CostSomethingHoweverShortTheirTextsAre) {
  StepClock::ns_per_step = 4;
  std::vector<FilterRule> rules;
  for (int i = 0; i < 32; ++i) rules.push_back(redact("b", "c"));
  FilterRig filters(std::move(rules));
  std::string strings = "data: [" + many("\"a\",", 16'000) + "\"a\"]\n\n";
  EXPECT_EQ(filters(strings), "");
  EXPECT_EQ(filters.counted(FilterDeed::kUnsearched, 0), 0U) << "a rule alone is cheap";
}

TEST_F(FilterSearches, MayFindAsMuchAsTheyLikeWhereThatIsCheap) {
  StepClock::ns_per_step = 0;
  FilterRig filters({redact("[0-9]", "#")});
  EXPECT_EQ(filters(text_event(std::string(60'000, '7'))), text_event(std::string(60'000, '#')));
}

TEST_F(FilterSearches, DoNotBeginWhereOneAloneIsTooMuch) {
  FilterRig filters({redact("(\\w{1,300}) (\\w{1,300})", "b")});
  EXPECT_EQ(filters.wrong, "");
  EXPECT_EQ(filters(text_event(std::string(60'000, 'a'))), "");
  EXPECT_EQ(filters.counted(FilterDeed::kUnsearched), 1U);
  EXPECT_EQ(filters(text_event("aa aa")), text_event("b"));
}

TEST_F(FilterSearches, OfATestEndTheSameWay) {
  FilterRig filters({drop_where("/t", TestKind::kMatches, "(\\w{1,300}) (\\w{1,300})")},
                    OnUnseen::kEnd);
  EXPECT_EQ(filters(text_event(std::string(60'000, 'a'))), "");
  EXPECT_TRUE(filters.ended);
  EXPECT_EQ(filters.counted(FilterDeed::kUnsearched), 1U);
}

TEST_F(FilterSearches, LeaveNoEndOfAStreamBehindThatDoesNotEnd) {
  FilterRule rule = redact("a.*z|a", "b");
  rule.actions.insert(rule.actions.begin(),
                      action(ActionKind::kEnd, {}, "", "", FilterEvent{"bye", "1"}));
  FilterRig filters({rule});
  EXPECT_EQ(filters(costly_ + "data: 1\n\n"), "event: bye\ndata: 1\n\n");
  EXPECT_TRUE(filters.ended);
}

TEST(Filters, CountWhatTheyDo) {
  FilterRig filters({set("/a", "2"), drop_where("/b", TestKind::kExists),
                     with_event(ActionKind::kAddBefore, {"", "x"})});
  (void)filters("data: {\"a\":1}\n\ndata: {\"a\":1,\"b\":1}\n\ndata: {\"a\"\n\n: c\n\n");
  EXPECT_EQ(filters.counted(FilterDeed::kChanged, 0), 2U);
  EXPECT_EQ(filters.counted(FilterDeed::kInvalid, 0), 1U);
  EXPECT_EQ(filters.counted(FilterDeed::kDropped, 1), 1U);
  EXPECT_EQ(filters.counted(FilterDeed::kInvalid, 1), 0U) << "it was excluded by its name";
  EXPECT_EQ(filters.counted(FilterDeed::kAdded, 2), 2U);
}

TEST(Filters, SayWhatIsWrong) {
  EXPECT_EQ(FilterRig({remove("usage")}).wrong,
            "here: 'usage' is no JSON pointer: \"/choices/0/delta\"");
  EXPECT_EQ(FilterRig({remove("/a~2")}).wrong,
            "here: '/a~2' is no JSON pointer: \"/choices/0/delta\"");
  EXPECT_EQ(FilterRig({remove("")}).wrong,
            "here: the whole cannot be removed or renamed; name a place in it, \"/usage\"");
  EXPECT_EQ(FilterRig({redact("(", "")}).wrong, "here: '(' is no regular expression: missing ): (");
  EXPECT_EQ(FilterRig({redact("a*", "")}).wrong,
            "here: 'a*' matches the empty text, so it would be found everywhere");
  EXPECT_EQ(FilterRig({redact("a\\C", "")}).wrong,
            "here: 'a\\C' may not have \\C, which can cut a character in two");
  EXPECT_EQ(FilterRig({redact("(\\w{1,900}) (\\w{1,900}) (\\w{1,900})", "")}).wrong,
            "here: '(\\w{1,900}) (\\w{1,900}) (\\w{1,900})' is too large: write it as several, or "
            "with smaller {counts}");
  EXPECT_TRUE(FilterRig({redact(std::string(20'000, 'a'), "")})
                  .wrong.ends_with("' is longer than 16384 bytes"));
}

}  // namespace
}  // namespace sluice::test
