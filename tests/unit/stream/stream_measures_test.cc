// What a stream tells of itself: how long its events took, and when its client may come back. The
// clock is put forward by the test.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/stream/stream.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMs = 1'000'000;

TEST(StreamMeasures, HowLongEventsWaitedToBeSent) {
  StreamRig rig;
  rig.open_event_stream();
  const Histogram& residence = rig.metrics().residence;
  rig.body("data: 1\n\ndata: 2\n\n");
  rig.pass(5);
  rig.send();
  EXPECT_EQ(residence.count, 2U);
  EXPECT_EQ(residence.sum_ns, 2 * 5 * kMs);
  rig.pass(100);
  rig.body("data: 3\n\n");
  rig.pass(1);
  rig.body("data: 4\n\n");
  rig.pass(1);
  rig.send();
  EXPECT_EQ(residence.count, 4U);
  EXPECT_EQ(residence.sum_ns, 2 * 5 * kMs + 2 * 2 * kMs) << "as long as the oldest of them";
}

TEST(StreamMeasures, WhenTheFirstEventCameAndTheTimesBetween) {
  StreamRig rig;
  rig.open_event_stream();
  const Metrics& metrics = rig.metrics();
  rig.pass(7);
  rig.body("data: 1\n\ndata: 2\n\ndata: 3\n\n");
  EXPECT_EQ(metrics.time_to_first_event.count, 1U);
  EXPECT_EQ(metrics.time_to_first_event.sum_ns, 7 * kMs);
  EXPECT_EQ(metrics.event_gap.count, 2U);
  EXPECT_EQ(metrics.event_gap.sum_ns, 0U);
  rig.pass(3);
  rig.body("data: 4\n\n");
  EXPECT_EQ(metrics.time_to_first_event.count, 1U);
  EXPECT_EQ(metrics.event_gap.count, 3U);
  EXPECT_EQ(metrics.event_gap.sum_ns, 3 * kMs);
  EXPECT_EQ(metrics.events, 4U);
}

TEST(StreamMeasures, ClientsAreToldToComeBackSpreadOverThreeSeconds) {
  StreamSettings settings = StreamRig::quiet();
  settings.connect_timeout_ms = kMinuteMs;
  StreamRig rig(settings);
  for (uint64_t i = 0; i < 7; ++i) {
    rig.next_stream((i << limits::kWorkerBits) + 5);
    rig.request("GET /a HTTP/1.1\r\nhost: test\r\n\r\n");
    rig.pass(2 * kMinuteMs);
    EXPECT_THAT(rig.send(), HasSubstr("\r\nRetry-After: " + std::to_string(1 + i % 3) + "\r\n"));
  }
}

}  // namespace
}  // namespace sluice::test
