// What of an event stream is passed on at once, by its route's framing; and when a heartbeat may
// stand in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StreamSettings framed_as(EventFraming framing) {
  StreamSettings settings = StreamRig::quiet();
  settings.framing = framing;
  settings.heartbeat_ms = kMinuteMs;
  return settings;
}

TEST(FramingLine, PassesWholeLinesAtOnce) {
  StreamRig rig(framed_as(EventFraming::kLine));
  rig.open_event_stream();
  int ready = rig.client.ready;
  rig.body("data: 1\ndata: 2\nda");
  EXPECT_GT(rig.client.ready, ready);
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\ndata: 2\n"));
  EXPECT_EQ(rig.stream().held(), 2U);
  rig.body("ta: 3\r\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 3\r\n"));
  rig.body("data: 4\r");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 4\r"));
}

TEST(FramingLine, HasNoHeartbeatWithinAnEvent) {
  StreamRig rig(framed_as(EventFraming::kLine));
  rig.open_event_stream();
  rig.body("data: 1\n");
  rig.send();
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
  rig.body("\n");
  rig.send();
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(": heartbeat\n\n"));
}

// Streams without blank lines are what it is for: that no event ever ends must not end the holding
// of lines.
TEST(FramingLine, HoldsLinesHoweverLongTheEvent) {
  StreamSettings settings = framed_as(EventFraming::kLine);
  settings.event_hold = 8192;
  StreamRig rig(settings);
  rig.open_event_stream();
  std::string line = "data: " + std::string(500, 'x') + "\n";
  for (int i = 0; i < 50; ++i) {
    rig.body(line);
    rig.send();
  }
  EXPECT_EQ(rig.metrics().torn_events, 0U);
  rig.body("data: half");
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
}

TEST(FramingLine, CutsALineThroughThatIsTooLongAndHoldsTheNext) {
  StreamSettings settings = framed_as(EventFraming::kLine);
  settings.event_hold = 8192;
  StreamRig rig(settings);
  rig.open_event_stream();
  rig.body(std::string(9000, 'x'));
  EXPECT_EQ(rig.metrics().torn_events, 1U);
  rig.send();
  rig.body("end\nda");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("end\n"));
}

TEST(FramingLine, DiscardsAPartOfALineWhereTheUpstreamIsLost) {
  StreamRig rig(framed_as(EventFraming::kLine));
  rig.open_event_stream();
  rig.body("data: 1\nda");
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n"));
  EXPECT_TRUE(rig.stream().aborted());
}

TEST(FramingOff, PassesWhateverArrivesAndNothingElse) {
  StreamRig rig(framed_as(EventFraming::kOff));
  rig.open_event_stream();
  rig.body("da");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("da"));
  rig.pass(5 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), IsEmpty()) << "no boundary is known";
  EXPECT_EQ(rig.metrics().event_streams, 0U);
}

TEST(FramingOff, KeepsALengthThatTheUpstreamGave) {
  StreamRig rig(framed_as(EventFraming::kOff));
  rig.request(kEventsRequest);
  rig.connect();
  rig.respond("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\n");
  EXPECT_THAT(rig.send(), HasSubstr("Content-Length: 9\r\n"));
}

TEST(FramingOff, HasHeartbeatsBeforeTheUpstreamsAnswerAtMost) {
  StreamSettings settings = framed_as(EventFraming::kOff);
  settings.heartbeat_head_after_ms = kMinuteMs;
  StreamRig rig(settings);
  rig.request(kEventsRequest);
  rig.connect();
  rig.pass(kMinuteMs);
  EXPECT_THAT(rig.send(), HasSubstr(": heartbeat\n\n"));
  rig.pass(kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(": heartbeat\n\n"));
  rig.respond(kEventsResponse);
  rig.body("da");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("da"));
  rig.pass(5 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
}

}  // namespace
}  // namespace sluice::test
