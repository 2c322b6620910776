// Comments and `retry:` lines of an upstream that no empty line follows, as servers send them to
// keep a stream alive: they pass at once, and our own heartbeat works behind them. The clock is put
// forward by the test.
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/stream/stream.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kHeartbeat = ": heartbeat\n\n";

StreamSettings beating() {
  StreamSettings settings = StreamRig::quiet();
  settings.heartbeat_ms = 10 * kMinuteMs;
  return settings;
}

void expect_heartbeat(StreamRig& rig) {
  rig.pass(11 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(kHeartbeat));
}

void expect_no_heartbeat(StreamRig& rig) {
  const uint64_t before = rig.metrics().heartbeats;
  rig.pass(11 * kMinuteMs);
  rig.pass(11 * kMinuteMs);
  EXPECT_EQ(rig.metrics().heartbeats, before);
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
}

TEST(StreamComments, ArriveAtOnceAndTheHeartbeatFollowsThem) {
  for (const char* line :
       {":\n", ": ping\r\n", ":\r", ": 1\n: 2\n", "retry: 3000\n", ": 1\rretry: 3000\r\n"}) {
    SCOPED_TRACE(::testing::PrintToString(std::string(line)));
    StreamRig rig(beating());
    rig.open_event_stream();
    for (int i = 0; i < 2; ++i) {
      rig.body(line);
      EXPECT_THAT(rig.send_chunks(), ElementsAre(line));
      EXPECT_EQ(rig.stream().held(), 0U);
      expect_heartbeat(rig);
    }
    EXPECT_EQ(rig.stream().events(), 0U);
  }
}

TEST(StreamComments, PutTheHeartbeatOff) {
  StreamRig rig(beating());
  rig.open_event_stream();
  for (int i = 0; i < 3; ++i) {
    rig.pass(9 * kMinuteMs);
    rig.body(":\n");
    EXPECT_THAT(rig.send_chunks(), ElementsAre(":\n"));
  }
  EXPECT_EQ(rig.metrics().heartbeats, 0U);
}

TEST(StreamComments, ArriveAheadOfAnEventThatIsHeld) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.body("data: 1\n\n: 1\nid: 2\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n: 1\n"));
  EXPECT_EQ(rig.stream().held(), 6U);
  rig.body(": inside\nretry: 1\n");
  EXPECT_THAT(rig.send_chunks(), IsEmpty()) << "they wait with their event";
  rig.body("\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("id: 2\n: inside\nretry: 1\n\n"));
}

TEST(StreamComments, HaveNoHeartbeatBehindAnIncompleteLine) {
  for (const char* part : {":", ": pin", "r", "retry", "retry: 3", "d"}) {
    SCOPED_TRACE(part);
    StreamRig rig(beating());
    rig.open_event_stream();
    rig.body(": 1\n" + std::string(part));
    EXPECT_THAT(rig.send_chunks(), ElementsAre(": 1\n"));
    expect_no_heartbeat(rig);
  }
}

TEST(StreamComments, HaveNoHeartbeatBehindAHeldField) {
  for (const char* field : {"id: 1\n", "event: e\r\n", "data\r", "retry\n", "unknown: 1\n"}) {
    SCOPED_TRACE(field);
    StreamRig rig(beating());
    rig.open_event_stream();
    rig.body(field);
    rig.body(": 1\n");
    expect_no_heartbeat(rig);
    rig.body("\n");
    EXPECT_THAT(rig.send_chunks(), ElementsAre(field + std::string(": 1\n\n")));
    expect_heartbeat(rig);
  }
}

TEST(StreamComments, MayHaveAHeartbeatBetweenTheirCrAndItsLf) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.body(": 1\r");
  EXPECT_THAT(rig.send_chunks(), ElementsAre(": 1\r"));
  expect_heartbeat(rig);
  rig.body("\ndata: 1\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("\n"));
  EXPECT_EQ(rig.stream().held(), 8U);
}

TEST(StreamComments, StayWhereTheStreamIsAbortedAndTheHeldRestGoes) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body(": 1\nretry: 1\n: 2");
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_TRUE(rig.stream().aborted());
  EXPECT_EQ(rig.metrics().discarded_bytes, 3U);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(": 1\nretry: 1\n"));
}

TEST(StreamComments, AboveTheHoldLimitAreCutThroughUpToTheirLineEnd) {
  StreamSettings settings = beating();
  settings.event_hold = 100;
  StreamRig rig(settings);
  rig.open_event_stream();
  const std::string comment = ":" + std::string(200, 'x');
  rig.body(comment);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(comment));
  EXPECT_EQ(rig.metrics().torn_events, 1U);
  expect_no_heartbeat(rig);
  rig.body("\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("\n"));
  expect_heartbeat(rig);
  rig.body("data: held again");
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
}

TEST(StreamComments, TakeAByteOrderMarkWithThem) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.body("\xEF\xBB\xBF");
  expect_no_heartbeat(rig);
  rig.body(": 1\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("\xEF\xBB\xBF: 1\n"));
  expect_heartbeat(rig);
}

TEST(StreamComments, BehindAByteOrderMarkThatAHeartbeatHasOvertaken) {
  StreamRig rig(beating());
  rig.open_event_stream();
  expect_heartbeat(rig);
  rig.body("\xEF\xBB\xBF:\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre(":\n"));
}

}  // namespace
}  // namespace sluice::test
