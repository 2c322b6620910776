#include "net/hub/publish_body.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

struct Read {
  std::string body;
  std::vector<EventDraft> events = {};
  PublishFault fault = {};
};

Read read(std::string body, BodyForm form = BodyForm::kJson, PublishRules rules = {1000, 10}) {
  static JsonCheck check(4096);
  Read result{std::move(body)};
  result.fault = read_publish_body(result.body, form, rules, check, result.events);
  return result;
}

TEST(PublishBody, AnObjectIsAnEvent) {
  Read one = read(
      " {\"type\":\"A\\u0042\",\"id\":\"x\",\"data\":{\"a\":[1,2]},"
      "\"metadata\":{\"correlationStreamName\":\"order-7\"}} ");
  ASSERT_EQ(one.fault.status, 0) << one.fault.detail;
  ASSERT_EQ(one.events.size(), 1U);
  EXPECT_EQ(one.events[0].type, "AB");
  EXPECT_EQ(one.events[0].message_id, "x");
  EXPECT_EQ(one.events[0].data, "{\"a\":[1,2]}");
  EXPECT_EQ(one.events[0].correlation, "order");
  EXPECT_EQ(read("{}").events[0].data, "null");
}

// What escapes stand for takes their place in the body, and nothing else there changes.
TEST(PublishBody, EscapesAreReadWhereTheyStand) {
  Read two = read(
      R"([{"id":"\"\\\n","data":"\u0041","type":"\ud83d\ude00\u00e9\/x","metadata":{"a":"\""}},)"
      R"({"type":"\u0042","data":2,"id":"plain"}])");
  ASSERT_EQ(two.fault.status, 0) << two.fault.detail;
  ASSERT_EQ(two.events.size(), 2U);
  EXPECT_EQ(two.events[0].message_id, "\"\\\n");
  EXPECT_EQ(two.events[0].type, "\xF0\x9F\x98\x80\xC3\xA9/x");
  EXPECT_EQ(two.events[0].data, R"("\u0041")");
  EXPECT_EQ(two.events[0].metadata, R"({"a":"\""})");
  EXPECT_EQ(two.events[1].type, "B");
  EXPECT_EQ(two.events[1].data, "2");
  EXPECT_EQ(two.events[1].message_id, "plain");
}

TEST(PublishBody, BatchesAreArraysOrLines) {
  EXPECT_EQ(read("[{\"data\":1},{\"data\":2}]").events.size(), 2U);
  Read lines = read("{\"data\":1}\n\r\n {\"data\":2}\r\n{\"data\":3}", BodyForm::kJsonLines);
  ASSERT_EQ(lines.events.size(), 3U) << lines.fault.detail;
  EXPECT_EQ(lines.events[1].data, "2");
}

TEST(PublishBody, TextIsTheData) {
  Read text = read("a\nb", BodyForm::kText);
  ASSERT_EQ(text.events.size(), 1U);
  EXPECT_EQ(text.events[0].data, "a\nb");
  EXPECT_FALSE(text.events[0].json);
  Read named = read("a\nb", BodyForm::kText, {1000, 10, "Paid", "x1"});
  EXPECT_EQ(named.events[0].data, "a\nb");
  EXPECT_EQ(named.events[0].type, "Paid");
  EXPECT_EQ(named.events[0].message_id, "x1");
  EXPECT_EQ(read("\xff", BodyForm::kText).fault.status, 400);
}

// So it costs nothing to send what no hub takes.
TEST(PublishBody, WhatIsTooLargeIsNotParsed) {
  const std::string large = "{\"data\":\"" + std::string(1000, 'x') + "\xff";
  EXPECT_EQ(read(large).fault.status, 413);
  EXPECT_EQ(read("[{}," + large).fault.status, 413);
  EXPECT_EQ(read("{}\n" + large, BodyForm::kJsonLines).fault.status, 413);
  EXPECT_EQ(read("[{}, {}, {\xff", BodyForm::kJson, {1000, 2}).fault.status, 413);
  // As large as may be, and with what stands around it.
  std::string just = "{\"data\":\"" + std::string(1000 - 11, 'x') + "\"}";
  EXPECT_EQ(read("  [ " + just + " , " + just + "\n]\r\n").events.size(), 2U);
}

TEST(PublishBody, WhatStandsAroundEventsIsJson) {
  for (const char* body :
       {"[{}", "[{},", "[{},]", "[,{}]", "[{}{}]", "[{} {}]", "[{},,{}]", "[{}]]", "[{}],", "[{}}",
        "{}]", "{},", "{}{}", "{]", "[{]]", "[[{}]]", "[\xef\xbb\xbf{}]", "[{}]\x01"})
    EXPECT_EQ(read(body).fault.status, 400) << body;
  for (const char* lines : {"{} {}", "{},\n{}", "[{}]", "{}\n]", "{\n}"})
    EXPECT_EQ(read(lines, BodyForm::kJsonLines).fault.status, 400) << lines;
  EXPECT_EQ(read(" [ ] ").fault.detail, "The body has no event.");
}

TEST(PublishBody, SaysWhatIsWrong) {
  for (const char* body : {"", "[]", "1", "\"a\"", "{", "{\"data\":1}x", "[1]", "{\"type\":1}",
                           "{\"type\":\"a\\nb\"}", "{\"type\":\"sluice.gap\"}", "{\"id\":\"\"}",
                           "{\"metadata\":[]}", "{\"foo\":1}", "{\"data\":\"\xff\"}"})
    EXPECT_EQ(read(body).fault.status, 400) << body;
  EXPECT_EQ(read("{\"data\":1}\n{", BodyForm::kJsonLines).fault.status, 400);
  EXPECT_EQ(read("{\"data\":\"" + std::string(1000, 'x') + "\"}").fault.status, 413);
  EXPECT_EQ(read(std::string(1001, 'x'), BodyForm::kText).fault.status, 413);
  std::string many = "[{}";
  for (int i = 0; i < 10; ++i) many += ",{}";
  EXPECT_EQ(read(many + "]").fault.status, 413);
}

}  // namespace
}  // namespace sluice
