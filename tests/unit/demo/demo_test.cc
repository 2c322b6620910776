#include "net/demo/demo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/demo/demo_testing.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(DemoTest, CountsEventsAndEnds) {
  std::string response = fetch("GET", "/events?rate=1000&size=100&count=5");
  EXPECT_TRUE(complete_);
  std::vector<std::string> events = events_of(without_number(response, "\"time_ms\":"));
  ASSERT_EQ(6u, events.size());
  EXPECT_EQ("retry: 1000", events[0]);
  for (uint64_t id = 1; id <= 5; ++id) {
    // A real time has 13 digits, the 0 that stands for it has one.
    EXPECT_EQ(demo_event(id, 100 - 12, 0), events[id] + "\n\n");
  }
}

TEST_F(DemoTest, ResumesBehindTheLastEventId) {
  auto ids = [](const std::vector<std::string>& events) {
    std::string list;
    for (const std::string& event : events) list += event.substr(0, event.find('\n')) + " ";
    return list;
  };
  constexpr std::string_view kTarget = "/events?rate=1000&count=5";
  constexpr std::string_view kQueried = "/events?rate=1000&count=5&last_event_id=1";
  EXPECT_EQ("retry: 1000 id: 4 id: 5 ",
            ids(events_of(fetch("GET", kTarget, "Last-Event-ID: 3\r\n"))));
  EXPECT_EQ("retry: 1000 id: 2 id: 3 id: 4 id: 5 ", ids(events_of(fetch("GET", kQueried))));
  EXPECT_EQ("retry: 1000 id: 5 ", ids(events_of(fetch("GET", kQueried, "Last-Event-ID: 4\r\n"))));
  EXPECT_EQ("retry: 1000 id: 1 id: 2 id: 3 id: 4 id: 5 ",
            ids(events_of(fetch("GET", kTarget, "Last-Event-ID: x\r\n"))));
  EXPECT_THAT(fetch("GET", kTarget, "Last-Event-ID: 5\r\n"), StartsWith("HTTP/1.1 204 "));
  // Cut after two, and on from there.
  EXPECT_EQ("retry: 1000 id: 2 id: 3 ",
            ids(events_of(fetch("GET", "/events?rate=1000&drop=2&last_event_id=1"))));
  EXPECT_FALSE(complete_);
}

TEST_F(DemoTest, KeepsAFastRateWithATimerThatIsCoarser) {
  EXPECT_EQ(20'001u, events_of(fetch("GET", "/events?rate=100000&size=0&count=20000")).size());
}

TEST_F(DemoTest, SaysWhichParameterIsWrong) {
  for (std::string_view parameter : {"rate=0", "rate=x", "rate=nan", "size=-1", "count=1e3"}) {
    EXPECT_THAT(
        fetch("GET", "/events?" + std::string(parameter)),
        AllOf(StartsWith("HTTP/1.1 400 "),
              HasSubstr(": " + std::string(parameter.substr(0, parameter.find('='))) + ".")));
  }
}

TEST(DemoEvent, IsAFunctionOfItsIdAndFillsItsSize) {
  EXPECT_EQ("id: 27\ndata: {\"sequence\":27,\"time_ms\":5,\"fill\":\"bcd\"}\n\n",
            demo_event(27, 40, 5));
  EXPECT_EQ("id: 1\ndata: {\"sequence\":1,\"time_ms\":5,\"fill\":\"\"}\n\n", demo_event(1, 0, 5));
}

TEST_F(DemoTest, ServesThePage) {
  std::string response = fetch("GET", "/");
  EXPECT_THAT(response, AllOf(HasSubstr("Content-Type: text/html; charset=utf-8"),
                              HasSubstr("window.sluiceDemo"), EndsWith("</html>\n")));
}

TEST_F(DemoTest, CutsEchoesAndFills) {
  EXPECT_THAT(fetch("GET", "/truncate"), EndsWith("\n\nid: 3\ndata: cut in the mid"));
  EXPECT_FALSE(complete_);
  std::string large(1'000'000, 'z');
  EXPECT_THAT(fetch("POST", "/echo", "", large), EndsWith("\r\n\r\n" + large));
  EXPECT_THAT(fetch("GET", "/plain?bytes=66"), EndsWith("uvwxyzabcdefghijk\nno"));
  EXPECT_THAT(fetch("GET", "/slow?ms=1"), EndsWith("That was slow.\n"));
}

}  // namespace
}  // namespace sluice
