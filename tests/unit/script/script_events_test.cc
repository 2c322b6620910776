// What scripts make of events, as tables of what goes in and what comes out, each in one piece and
// cut at every size; and what they see of a stream's begin and end.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/http1/parser.h"
#include "tests/unit/script/script_testing.h"

namespace sluice::test {
namespace {

struct Case {
  const char* subject;
  const char* body;  // of on_event(event, mine)
  std::string_view in;
  std::string_view out;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"WhatIsNotSetStaysToTheByte", "local x = event.data .. event.type .. event.id",
       "id:  7\r\nevent:x\r\n: c\r\ndata:{ \"a\" : 1.0 }\r\nretry: 3\r\n\r\n",
       "id:  7\r\nevent:x\r\n: c\r\ndata:{ \"a\" : 1.0 }\r\nretry: 3\r\n\r\n"},
      {"WhatIsSetToWhatItIsStays", "event.data = event.data event.type = event.type",
       "event:a\ndata:x\ndata: y\n\ndata\n\n", "event:a\ndata:x\ndata: y\n\ndata\n\n"},
      {"DataAsAClientHasIt", "event.data = '<' .. event.data .. '>'",
       "data: a\ndata:b\ndata:  c\n\ndata\ndata\n\ndata:\n\n",
       "data: <a\ndata: b\ndata:  c>\n\ndata: <\ndata: >\n\ndata: <>\n\n"},
      {"OtherLinesStay", "event.data = 'new'", "id: 1\ndata: a\n: c\ndata: b\nevent: e\n\n",
       "id: 1\ndata: new\n: c\nevent: e\n\n"},
      {"NoLineEndGetsOut", "event.data = 'a\\rdata: b\\n\\nid: 9\\r\\n\\r\\nc'", "data: x\n\n",
       "data: a\ndata: data: b\ndata: \ndata: id: 9\ndata: \ndata: c\n\n"},
      {"EmptyData", "event.data = ''", "data: x\n\n", "data: \n\n"},
      {"Type", "event.type = event.type .. '-2'", "data: x\n\nevent: y\ndata: x\n\n",
       "event: message-2\ndata: x\n\nevent: y-2\ndata: x\n\n"},
      {"NoType", "event.type = ''", "event: y\ndata: x\n\n", "data: x\n\n"},
      {"IdIsThere", "event.data = '<' .. event.id .. '>'", "id: 5\ndata: x\n\ndata: y\n\n",
       "id: 5\ndata: <5>\n\ndata: <>\n\n"},
      {"Drop", "if event.type == 'ping' then event:drop() end",
       "event: ping\ndata: 1\n\ndata: 2\n\n", "data: 2\n\n"},
      {"Added",
       "event:add_before{data = 'b'} event:add_after{type = 'x', data = 'a\\nc'} "
       "event:add_after{data = 3}",
       "id: 1\ndata: 1\n\n",
       "data: b\n\nid: 1\ndata: 1\n\nevent: x\ndata: a\ndata: c\n\ndata: 3\n\n"},
      {"InItsPlace", "event:drop() event:add_after{data = 'instead'}", "data: 1\n\n",
       "data: instead\n\n"},
      {"Stop", "if event.data == '2' then event:stop() end", "data: 1\n\ndata: 2\n\ndata: 3\n\n",
       "data: 1\n\ndata: 2\n\n"},
      {"StopWithAnEvent", "event:drop() event:stop{type = 'bye', data = '{}'}",
       "data: 1\n\ndata: 2\n\n", "event: bye\ndata: {}\n\n"},
      {"WhatClientsDispatchNothingForIsNotSeen", "event:drop()",
       ": c\n\nretry: 5\n\nid: 4\n\nevent: x\n\n\ndata\n\n",
       ": c\n\nretry: 5\n\nid: 4\n\nevent: x\n\n\n"},
      {"OfItsOwn", "mine.n = (mine.n or 0) + 1 event.data = tostring(mine.n)",
       "data: x\n\ndata: x\n\ndata: x\n\n", "data: 1\n\ndata: 2\n\ndata: 3\n\n"},
      {"AByteOrderMarkStays", "event.data = 'y'",
       "\xEF\xBB\xBF"
       "data: x\n\n",
       "\xEF\xBB\xBF"
       "data: y\n\n"},
      {"LineEndsOfACarriageReturn", "event.data = event.data .. '!'", "data: x\r\rdata: y\r\r",
       "data: x!\n\rdata: y!\n\r"},
      {"ACarriageReturnAndALineFeedStayTwo", "event.data = event.data .. '!' event.type = ''",
       "data: a\r\nx:\rdata: b\n\ndata: a\n:\revent: c\n\n",
       "data: a\ndata: b!\nx:\r\n\ndata: a!\n:\r\n\n"},
      {"ATypeEndsAsDataDoes", "event.type = 'z'", "data: x\revent: y\n\ndata: x\n\n",
       "data: x\revent: z\r\n\nevent: z\ndata: x\n\n"},
      {"ZeroBytesAndAnyBytes", "event.data = event.data .. '\\0\\255'",
       std::string_view("data: a\0\xFE\n\n", 11), std::string_view("data: a\0\xFE\0\xFF\n\n", 13)},
      {"SetTwice", "event.data = 'a' event.type = 't' event.data = event.data .. 'b'",
       "data: x\n\n", "event: t\ndata: ab\n\n"},
  };
  return all;
}

class NoBody final : public BodySink {
  void on_body(std::string_view /*bytes*/) override {}
};

class Made : public testing::TestWithParam<Case> {};

TEST_P(Made, OfAnEvent) {
  const Case& one = GetParam();
  std::string code = "function on_event(event, mine)\n" + std::string(one.body) + "\nend";
  for (size_t bytes = 0; bytes <= one.in.size(); ++bytes) {
    ScriptRig rig(code);
    EXPECT_EQ(rig(one.in, bytes), one.out) << bytes;
    EXPECT_EQ(rig.heard.failed, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Made, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.subject; });

TEST(ScriptEvents, DeedsAreCounted) {
  ScriptRig rig(R"(function on_event(event)
    local d = event.data
    if d == "drop" then event:drop() event.data = "x" end
    if d == "set" then event.data = "y" event.type = "z" end
    if d == "add" then event:add_after{data="1"} event:add_before{data="2"} end
    if d == "fail" then error("oh") end
    if d == "loop" then while true do end end
    if d == "stop" then event:stop{data="3"} end
  end)");
  rig("data: drop\n\ndata: set\n\ndata: same\n\ndata: add\n\ndata: stop\n\n");
  rig("data: fail\n\n");
  rig("data: loop\n\n");
  EXPECT_EQ(rig.counted(FilterDeed::kDropped), 1U);
  EXPECT_EQ(rig.counted(FilterDeed::kChanged), 1U);
  EXPECT_EQ(rig.counted(FilterDeed::kAdded), 3U);
  EXPECT_EQ(rig.counted(FilterDeed::kEnded), 1U);
  EXPECT_EQ(rig.heard.failures, (std::vector{ScriptFailure::kError, ScriptFailure::kLimit}));
}

TEST(ScriptEvents, RulesAndScriptsActInTheirOrder) {
  FilterRule rule{.name = "rule", .where = "here"};
  FilterAction set;
  set.kind = FilterAction::Kind::kSet;
  set.pointer = "/by";
  set.text = "\"rule\"";
  rule.actions.push_back(set);
  const char* appends = R"(function on_event(event)
    event.data = json.set(event.data, "/by", (json.get(event.data, "/by") or "") .. "+script") end)";
  std::string in = "data: {\"a\":1}\n\n";
  EXPECT_EQ(ScriptRig({rule, script("s", appends)})(in),
            "data: {\"a\":1,\"by\":\"rule+script\"}\n\n");
  EXPECT_EQ(ScriptRig({script("s", appends), rule})(in), "data: {\"a\":1,\"by\":\"rule\"}\n\n");
}

TEST(ScriptEvents, WhatIsAddedIsSeenByNone) {
  ScriptRig rig({script("a", "function on_event(e) e:add_before{data = 'a'} end"),
                 script("b", "function on_event(e) e.data = e.data .. '!' end")});
  EXPECT_EQ(rig("data: x\n\n"), "data: a\n\ndata: x!\n\n");
}

TEST(ScriptEvents, MistakesWithAnEvent) {
  for (auto [body, wrong] : {
           std::pair{"event.id = '4'", "an id stays, since a client resumes behind it"},
           {"event.dat = '4'", "an event has a type and data to be set"},
           {"event.data = nil", "bad argument #3 to '__newindex' (string expected, got nil)"},
           {"event.type = 'a\\nid: 7'", "a type is one line"},
           {"event:add_after{type = 'a\\rb', data = ''}", "a type is one line"},
           {"event.drop()", "methods are called with a colon: event:drop()"},
           {"event:add_after{type = 'x'}",
            "an event is { type = \"name\", data = \"text\" }, the type left out or not"},
           {"event:add_after{data = 'x', id = 4}",
            "an added event has a type and data, and nothing else"},
           {"event:add_after{data = {}}",
            "an event is { type = \"name\", data = \"text\" }, the type left out or not"},
           {"event:nothing()", "attempt to call method 'nothing' (a nil value)"},
       }) {
    ScriptRig rig("function on_event(event)\n" + std::string(body) + " end");
    EXPECT_EQ(rig("data: x\n\n"), "");
    EXPECT_EQ(rig.heard.failed, "s 0: s.lua:2: " + std::string(wrong)) << body;
    EXPECT_EQ(rig.heard.failures.back(), ScriptFailure::kError);
  }
}

TEST(ScriptEvents, AnEventIsThereInItsCallAlone) {
  ScriptRig rig(R"(
    function on_event(event) kept = event end
    function on_end(ending) log(tostring(pcall(function() return kept.data end))) end)");
  ScriptRig::Stream stream = rig.open();
  rig.send(stream, "data: x\n\n");
  stream.opened.scripts->on_end("complete");
  EXPECT_EQ(rig.heard.said, std::vector<std::string>{"s: false"});
}

TEST(ScriptStreams, HaveTheirOwn) {
  ScriptRig rig(R"(
    function on_open(request) return { name = request.method } end
    function on_event(event, mine) mine.name = mine.name .. event.data event.data = mine.name end
    function on_end(ending, mine) log(ending .. " " .. mine.name) end)");
  ScriptRig::Stream a = rig.open({.method = "A"});
  ScriptRig::Stream b = rig.open({.method = "B"});
  EXPECT_EQ(rig.send(a, "data: 1\n\n"), "data: A1\n\n");
  EXPECT_EQ(rig.send(b, "data: 2\n\n"), "data: B2\n\n");
  EXPECT_EQ(rig.send(a, "data: 3\n\n"), "data: A13\n\n");
  a.opened.scripts->on_end("client_left");
  b.opened.scripts->on_end("complete");
  EXPECT_EQ(rig.heard.said, (std::vector<std::string>{"s: client_left A13", "s: complete B2"}));
}

TEST(ScriptStreams, AScriptMayNotWantToLook) {
  ScriptRig rig({script("a",
                        "function on_open(request) return false end "
                        "function on_event(event) event:drop() end "
                        "function on_end() log('never') end"),
                 script("b",
                        "function on_open(request) end "
                        "function on_event(event, mine) mine.x = 1 event.data = 'b' end")});
  ScriptRig::Stream stream = rig.open();
  EXPECT_EQ(stream.opened.chosen, 2U);
  EXPECT_EQ(rig.send(stream, "data: x\n\n"), "data: b\n\n");
  stream.opened.scripts->on_end("complete");
  EXPECT_TRUE(rig.heard.said.empty());
  ScriptRig none("function on_open(request) return false end");
  ScriptRig::Stream unseen = none.open();
  EXPECT_EQ(unseen.opened.chosen, 0U);
  EXPECT_FALSE(unseen.opened.scripts);
}

TEST(ScriptStreams, OnOpenThatFailsIsToldOfByTheOthersEnd) {
  ScriptRig rig({script("a", "function on_end(ending) log(ending) end"),
                 script("b", "function on_open(request) return 7 end")});
  ScriptRig::Stream stream = rig.open();
  EXPECT_EQ(stream.opened.failure, ScriptFailure::kError);
  EXPECT_EQ(rig.heard.failed, "b 1: on_open returns a table, nothing, or false");
  stream.opened.scripts->on_end("script_failed");
  EXPECT_EQ(rig.heard.said, std::vector<std::string>{"a: script_failed"});
}

TEST(ScriptStreams, TheRequest) {
  Http1Parser parser(Http1Parser::Role::kRequest, {16384, 100});
  Head head;
  parser.begin(&head);
  NoBody body;
  ASSERT_EQ(
      parser.feed("PUT /a/b?c=d?e HTTP/1.1\r\nHost: h\r\nX-User: joe\r\nx-user: ann\r\n\r\n", body)
          .event,
      Http1Parser::Event::kHead);
  ScriptRig rig(R"(function on_open(request)
    local f = request.fields
    log(table.concat({request.method, request.path, request.query, f["X-USER"], f.host,
                      tostring(f.gone), tostring(f[1]), tostring(pcall(function() request.x = 1 end)),
                      tostring(pcall(function() f.x = 1 end)), tostring(pcall(function() return request.x end))}, " "))
    kept = f
  end
  function on_event(event) event.data = tostring(pcall(function() return kept.host end)) end)");
  ScriptRig::Stream stream =
      rig.open({.method = head.method(), .path = "/a/b", .query = "c=d?e", .head = &head});
  EXPECT_EQ(rig.heard.said,
            std::vector<std::string>{"s: PUT /a/b c=d?e joe h nil nil false false false"});
  EXPECT_EQ(rig.send(stream, "data: x\n\n"), "data: false\n\n");
}

TEST(ScriptStreams, AReloadIsForThoseThatBeginThen) {
  ScriptRig rig("function on_event(event) event.data = 'old' end");
  ScriptRig::Stream old = rig.open({}, 1);
  rig.config.filters[0].code = "function on_event(event) event.data = 'new' end";
  ScriptRig::Stream fresh = rig.open({}, 2);
  rig.scripts.collect(2);
  EXPECT_EQ(rig.metrics().states, 2U);
  EXPECT_EQ(rig.send(old, "data: x\n\n"), "data: old\n\n");
  EXPECT_EQ(rig.send(fresh, "data: x\n\n"), "data: new\n\n");
  // One that began before and asks only now.
  ScriptRig::Stream late = rig.open({}, 1);
  EXPECT_EQ(rig.send(late, "data: x\n\n"), "data: old\n\n");
  old.opened.scripts.reset();
  late.opened.scripts.reset();
  rig.scripts.collect(2);
  EXPECT_EQ(rig.metrics().states, 1U);
  // Without a stream that uses the new one, the state of a former configuration goes, too.
  fresh.opened.scripts.reset();
  rig.scripts.collect(3);
  EXPECT_EQ(rig.metrics().states, 0U);
  EXPECT_EQ(rig.metrics().memory_bytes, 0U);
}

TEST(ScriptStreams, OneThatARouteNamesTwiceIsOpenedOnce) {
  ScriptRig rig(
      "function on_open() log('open') return {n = 0} end "
      "function on_event(event, mine) mine.n = mine.n + 1 event.data = tostring(mine.n) end");
  std::string wrong;
  const FilterRule* one = rig.config.filters.data();
  rig.filters.emplace(rig.config.filters, std::vector{one, one}, 1, wrong);
  EXPECT_EQ(rig("data: x\n\n"), "data: 2\n\n");
  EXPECT_EQ(rig.heard.said.size(), 1U);
}

TEST(ScriptCounters, CountByLabelAndAreBounded) {
  ScriptRig rig(R"(function on_event(event)
    count("plain") count("tokens", "joe", 20) count("tokens", "joe", 2.9) count("tokens", "ann")
    for i = 1, 2000 do count("many", "n" .. i) end
    count("late", "x")
    event.data = tostring(pcall(count, "a b")) .. tostring(pcall(count, "a", "b", -1)) ..
                 tostring(pcall(count, "a", "b", 0/0)) .. tostring(pcall(count, ""))
  end)");
  EXPECT_EQ(rig("data: x\n\n"), "data: falsefalsefalsefalse\n\n");
  uint64_t sum = 0;
  std::string others;
  for (const ScriptCount& one : rig.heard.counters.counts()) {
    if (one.label == "other" && one.count > 0) others += one.name + std::to_string(one.count) + " ";
    if (one.name == "tokens") sum += one.count * (one.label == "joe" ? 100 : 1);
  }
  EXPECT_EQ(sum, 2201U);
  // Seven places are for "plain", two labels of "tokens", each name's "other" and what comes late.
  EXPECT_EQ(others, "many" + std::to_string(2000 - (limits::kScriptCountersMax - 7)) + " other1 ");
  EXPECT_EQ(rig.heard.counters.counts().size(), limits::kScriptCountersMax);
}

TEST(ScriptCounters, LabelsAreUtf8) {
  ScriptCounters counters;
  counters.add("f", "n",
               "a\xFF"
               "b",
               1);
  counters.add("f", "n", std::string(63, 'x') + "\xC3\xA4", 1);
  EXPECT_EQ(counters.counts()[0].label,
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(counters.counts()[2].label, std::string(63, 'x') + "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace sluice::test
