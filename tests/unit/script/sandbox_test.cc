// What a script cannot reach, hole by hole, and what stops it.
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/script/load_scripts.h"
#include "tests/unit/script/script_testing.h"

namespace sluice::test {
namespace {

class Absent : public testing::TestWithParam<const char*> {};

TEST_P(Absent, IsNotThere) {
  EXPECT_EQ(value_of(GetParam()), "nil") << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    OfLua, Absent,
    testing::Values("load", "loadstring", "loadfile", "dofile", "require", "module", "package",
                    "ffi", "jit", "bit", "debug", "io", "os", "coroutine", "getfenv", "setfenv",
                    "collectgarbage", "gcinfo", "newproxy", "print", "xpcall", "string.dump",
                    "string.find", "string.match", "string.gmatch", "string.gfind", "string.gsub",
                    "('').find", "('').match", "('').gmatch", "('').gsub", "('').dump",
                    "('').__index", "table.foreach", "math.randomseed", "_G.load", "_G.debug"));

// Everything that a script finds, so that nothing comes in unseen with another version of Lua.
TEST(Sandbox, HasTheseNamesAndNoOthers) {
  ScriptRig rig(R"(
    function on_event(event)
      local names = {}
      for name, value in pairs(_G) do
        if name ~= "_G" and type(value) == "table" then
          for inner in pairs(value) do names[#names + 1] = name .. "." .. inner end
        elseif name ~= "on_event" then
          names[#names + 1] = name
        end
      end
      table.sort(names)
      event.data = table.concat(names, " ")
    end)");
  EXPECT_EQ(rig("data: x\n\n"),
            "data: _G assert count error getmetatable ipairs json.get json.null json.put "
            "json.quote json.remove json.set log math.abs math.acos math.asin math.atan math.atan2 "
            "math.ceil math.cos math.cosh math.deg math.exp math.floor math.fmod math.frexp "
            "math.huge math.ldexp math.log math.log10 math.max math.min math.modf math.pi math.pow "
            "math.rad math.random math.sin math.sinh math.sqrt math.tan math.tanh next pairs pcall "
            "rawequal rawget rawset re.find re.gsub re.match re.quote select setmetatable "
            "string.byte string.char string.format string.len string.lower string.rep "
            "string.reverse string.sub string.upper table.concat table.insert table.maxn "
            "table.remove table.sort tonumber tostring type unpack\n\n");
}

TEST(Sandbox, MetatablesOfStringsAndObjectsAreKeptFromIt) {
  EXPECT_EQ(value_of("getmetatable('')"), "false");
  ScriptRig rig(R"(
    function on_event(event)
      event.data = tostring(getmetatable(event)) .. tostring(pcall(setmetatable, event, {})) ..
                   tostring(pcall(rawset, event, "drop", 1)) .. tostring(pcall(rawget, event, "x"))
    end)");
  EXPECT_EQ(rig("data: x\n\n"), "data: falsefalsefalsefalse\n\n");
}

TEST(Sandbox, OneScriptDoesNotReachAnother) {
  ScriptRig rig({script("a", R"(
                   x = 1
                   string.upper = function() return "mine" end
                   json.get = nil
                   _G.tostring = nil
                   function on_event(event) end)"),
                 script("b", R"(
                   function on_event(event)
                     event.data = tostring(x) .. string.upper("u") .. ("u"):upper() ..
                                  json.get("[7]", "/0")
                   end)")});
  EXPECT_EQ(rig("data: x\n\n"), "data: nilUU7\n\n");
}

TEST(Sandbox, BytecodeIsRefused) {
  ScriptRig rig("\x1bLJ\x02");
  EXPECT_EQ(rig.open().opened.failure, ScriptFailure::kError);
  EXPECT_EQ(rig.heard.failed, "s 0: s.lua is bytecode");
}

TEST(Sandbox, MistakesHaveTheirLines) {
  for (auto [code, wrong] :
       {std::pair{"x = = 1", "s.lua:1: unexpected symbol near '='"},
        {"\nlocal y = nil + 1", "s.lua:2: attempt to perform arithmetic on a nil value"},
        {"on_event = 7", "on_event is no function"},
        {"x = 1", "s.lua: it has none of on_open, on_event and on_end"},
        {"error({})", "an error that is no text"},
        {"\n\nwhile true do end", "s.lua:3: it takes more than --script-instructions"}}) {
    ScriptRig rig(code);
    EXPECT_NE(rig.open().opened.failure, ScriptFailure::kNone);
    EXPECT_EQ(rig.heard.failed, "s 0: " + std::string(wrong));
  }
}

struct Endless {
  const char* name;
  const char* body;
};
class Loop : public testing::TestWithParam<Endless> {};

// Each would run for ever, or for very long; each is stopped, and its neighbours run on.
TEST_P(Loop, Stops) {
  ScriptRig rig("function on_event(event)\nif event.type == 'loop' then\n" +
                std::string(GetParam().body) + "\nend\nevent.data = 'ran'\nend");
  ScriptRig::Stream neighbour = rig.open();
  ScriptRig::Stream stream = rig.open();
  EXPECT_EQ(rig.send(stream, "data: 1\n\nevent: loop\ndata: 2\n\ndata: 3\n\n"), "data: ran\n\n");
  EXPECT_EQ(stream.last.failure, ScriptFailure::kLimit) << rig.heard.failed;
  EXPECT_EQ(rig.send(neighbour, "data: 1\n\n"), "data: ran\n\n");
  EXPECT_EQ(rig.heard.failures.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, Loop,
    testing::Values(
        Endless{"Plain", "while true do end"},
        Endless{"InPcall", "pcall(function() while true do end end)"},
        Endless{"PcallForEver", "while true do pcall(function() while true do end end) end"},
        Endless{"ReturnedByPcall", "return pcall(function() while true do end end)"},
        Endless{"InAComparison", "table.sort({1, 2, 3}, function() while true do end end)"},
        Endless{"InAMetamethod",
                "local t = setmetatable({}, {__index = function() while true do "
                "end end}) local x = t.x"},
        Endless{"InToString",
                "tostring(setmetatable({}, {__tostring = function() while true do end end}))"},
        Endless{"Search", "while true do re.find(('a'):rep(1000), '(x+x+)+y') end"},
        Endless{"ManyExpressions",
                "local i = 0 while true do i = i + 1 re.find('a', 'a' .. i) end"},
        Endless{"Json", "while true do json.set('{\"a\":1}', '/a', 2) end"},
        Endless{"Log", "while true do log('x') end"},
        Endless{"Count", "while true do count('x') end"},
        Endless{"Garbage", "local s = '' while true do s = s .. 'x' end"},
        Endless{"Rep", "local s = ('x'):rep(1e9)"},
        Endless{"Table", "local t = {} while true do t[#t + 1] = {} end"},
        Endless{"CaughtMemory", "while true do pcall(string.rep, 'x', 1e8) end"},
        Endless{"Added", "while true do event:add_after{data = ('x'):rep(100000)} end"},
        Endless{"Data", "local s = ('\\n'):rep(400000) event.data = s"},
        Endless{"Replaced", "re.gsub(('x'):rep(1000), 'x', ('y'):rep(2000))"}),
    [](const auto& test) { return test.param.name; });

// Few instructions that take long, since their strings are.
TEST(Limits, TimeEndsWhatInstructionsDoNot) {
  ScriptRig rig(std::vector{script("s", R"(
    local long = ("x"):rep(300000)
    function on_event(event)
      local n = 0
      while true do n = 1 - n local text = long .. n end
    end)")},
                1'000'000'000'000, 4 << 20);
  EXPECT_EQ(rig("data: 1\n\n"), "");
  EXPECT_EQ(rig.heard.failed, "s 0: s.lua:5: it takes too long");
  EXPECT_EQ(rig.heard.failures, std::vector{ScriptFailure::kLimit});
}

// Nothing stops a search that has begun: each took many seconds.
class Searches : public testing::TestWithParam<Endless> {};

TEST_P(Searches, AreWeighedBeforeTheyBegin) {
  ScriptRig rig(std::vector{script("s", "function on_event(event) event.data = tostring(" +
                                            std::string(GetParam().body) + ") end")},
                100'000, 8 << 20);
  EXPECT_EQ(rig("data: 1\n\n"), "");
  EXPECT_EQ(rig.heard.failures, std::vector{ScriptFailure::kLimit});
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, Searches,
    testing::Values(
        Endless{"TheSquareOfAText", "re.gsub(('a'):rep(60000), 'a.*z|a', 'b')"},
        Endless{"TheSquareWithEmptyMatches", "re.gsub(('a'):rep(60000), '(a.*z)?', 'b')"},
        Endless{"ALargeProgram", "re.find(('ab'):rep(500000), [[(\\w{1,900}) (\\w{1,900})]])"},
        Endless{"NestedCounts", "re.match(('a'):rep(900000), '((a{1,30}){1,30})b')"},
        Endless{"ALargeProgramInGsub",
                "re.gsub(('ab'):rep(500000), [[(\\w{1,900}) (\\w{1,900})]], '')"}),
    [](const auto& test) { return test.param.name; });

// However many instructions there may be.
TEST(Limits, OneSearchIsBounded) {
  ScriptRig rig(std::vector{script("s", R"(function on_event(event)
    re.find(("a"):rep(20000), "((a{1,30}){1,30})b")
  end)")},
                1'000'000'000'000, 8 << 20);
  EXPECT_EQ(rig("data: 1\n\n"), "");
  EXPECT_EQ(rig.heard.failed, "s 0: s.lua:2: it searches too long a text for this expression");
}

// One instruction may go through all of a long text, so a script with such is looked at more often.
TEST(Limits, LongTextsAreWatchedMoreClosely) {
  auto rounds = [](int bytes) {
    ScriptRig rig(std::vector{script("s", "local text = ('x'):rep(" + std::to_string(bytes) + R"()
      function on_event(event, mine)
        mine.n = 0
        while true do mine.n = mine.n + 1 local none = tonumber(text) end
      end
      function on_end(ending, mine) log(mine.n) end)")},
                  1000, 8 << 20);
    ScriptRig::Stream stream = rig.open();
    EXPECT_EQ(rig.send(stream, "data: 1\n\n"), "");
    stream.opened.scripts->on_end("script_failed");
    EXPECT_EQ(rig.heard.failures, std::vector{ScriptFailure::kLimit});
    EXPECT_EQ(rig.heard.said.size(), 1U);
    return std::stoi(rig.heard.said.at(0).substr(3));
  };
  EXPECT_LT(rounds(300'000), rounds(30));
}

TEST(Limits, ExpressionsCountByTheirLength) {
  auto compiled = [](int bytes) {
    ScriptRig rig("function on_event(event) for i = 1, 12 do re.find('', ('a'):rep(" +
                  std::to_string(bytes) + ") .. i) end end");
    (void)rig("data: 1\n\n");
    return rig.heard.failures.empty();
  };
  EXPECT_TRUE(compiled(50));
  EXPECT_FALSE(compiled(8000));
}

// What texts are like: long ones, and those that match everywhere.
TEST(Limits, OrdinarySearchesFit) {
  ScriptRig rig(std::vector{script("s", R"(function on_event(event)
    local text = ("Write to joe@example.org or 4111111111111111. "):rep(200)
    local a, n = re.gsub(text, [[[\w.+-]+@[\w-]+\.[\w.]+]], "[mail]")
    local b, m = re.gsub(("7"):rep(6000), "[0-9]", "#")
    local from = re.find(text, [[\b(\d{17})\b]])
    event.data = n .. " " .. m .. " " .. tostring(from)
  end)")},
                100'000, 8 << 20);
  EXPECT_EQ(rig("data: 1\n\n"), "data: 200 6000 nil\n\n") << rig.heard.failed;
}

TEST(Limits, RecursionEnds) {
  ScriptRig rig("local function f() return 1 + f() end\nfunction on_event() f() end");
  EXPECT_EQ(rig("data: 1\n\n"), "");
  EXPECT_NE(rig.heard.failed.find("stack overflow"), std::string::npos) << rig.heard.failed;
  ScriptRig caught("local function f() pcall(f) end\nfunction on_event() f() end");
  caught("data: 1\n\n");
}

// What one stream kept is gone with it, and what a script keeps for good ends in another state.
TEST(Limits, MemoryComesBack) {
  ScriptRig rig(R"(
    function on_open() return { kept = {} } end
    function on_event(event, mine)
      mine.kept[#mine.kept + 1] = event.data .. ("x"):rep(10000) .. #mine.kept
    end)");
  for (int round = 0; round < 5; ++round) {
    ScriptRig::Stream stream = rig.open();
    ASSERT_EQ(stream.opened.failure, ScriptFailure::kNone);
    while (stream.last.failure == ScriptFailure::kNone) rig.send(stream, "data: y\n\n");
    EXPECT_EQ(stream.last.failure, ScriptFailure::kLimit);
    EXPECT_EQ(rig.heard.failed, "s 0: it finds no memory within --script-memory");
  }
}

TEST(Limits, AScriptThatKeepsAllFillsAStateAndOthersBeginAnew) {
  ScriptRig rig(R"(
    kept = {}
    function on_event(event) kept[#kept + 1] = ("x"):rep(10000) .. #kept end)");
  std::vector<ScriptRig::Stream> streams;
  for (int round = 0; round < 8; ++round) {
    streams.push_back(rig.open());
    while (streams.back().last.failure == ScriptFailure::kNone) {
      rig.send(streams.back(), "data: y\n\n");
      ASSERT_LT(rig.metrics().memory_bytes,
                (limits::kScriptStatesMax * rig.config.script_memory) + 1);
    }
  }
  EXPECT_EQ(rig.metrics().states, limits::kScriptStatesMax);
  streams.clear();
  rig.scripts.collect(1);
  EXPECT_EQ(rig.metrics().states, 1U);
}

// Whatever the limit is when the memory ends, the process lives, and so does the state.
TEST(Limits, MemoryMayEndAnywhere) {
  size_t failed = 0;
  size_t went_well = 0;
  for (size_t bytes = 24 << 10; bytes < 96 << 10; bytes += 128) {
    ScriptRig rig(std::vector{script("s", R"(
      function on_open(request) return { m = request.method } end
      function on_event(event, mine)
        event.data = json.set(event.data, "/a", re.gsub(event.type .. mine.m, "E", "%0%0"))
        event:add_after{ type = "x", data = event.id }
        count("n", event.id)
      end
      function on_end(ending, mine) log(ending .. mine.m) end)")},
                  100'000, bytes);
    for (int round = 0; round < 3; ++round) {
      ScriptRig::Stream stream = rig.open();
      if (stream.opened.scripts) {
        rig.send(stream, "id: 7\ndata: {\"a\":1}\n\n");
        stream.opened.scripts->on_end("complete");
      }
    }
    ++(rig.heard.failures.empty() ? went_well : failed);
  }
  EXPECT_GT(failed, 50U);
  EXPECT_GT(went_well, 50U);
}

TEST(Limits, MemoryIsFlatOverManyEventsAndStreams) {
  ScriptRig rig(R"(
    function on_open(request) return { text = {} } end
    function on_event(event, mine)
      mine.text = { event.data, #event.data }
      event.data = json.set(event.data, "/a", event.data)
    end)");
  size_t warm = 0;
  for (int i = 0; i < 20'000; ++i) {
    ScriptRig::Stream stream = rig.open();
    rig.send(stream, "data: {\"a\":" + std::to_string(i) + "}\n\n");
    rig.scripts.collect(1);
    if (i == 1000) warm = rig.metrics().memory_bytes;
  }
  EXPECT_EQ(rig.heard.failed, "");
  EXPECT_LT(rig.metrics().memory_bytes, warm + (100 << 10));
}

TEST(LoadScripts, SaysWhatIsWrongAndWhere) {
  Config config;
  config.filters.push_back(script("gone", ""));
  EXPECT_EQ(load_scripts(config),
            "here: script: gone.lua cannot be read: No such file or directory");
  config.filters.clear();
  EXPECT_EQ(load_scripts(config), "");
}

}  // namespace
}  // namespace sluice::test
