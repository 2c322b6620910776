// How much a stream takes in: the credit of its upstream and of its client, and the window that
// grows and shrinks with the reader.
#include <string>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/stream/stream.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

// As many bytes as the window is judged over pass, promptly or not; nothing stays unsent.
void pass_trial(StreamRig& rig, uint64_t bytes = limits::kWindowTrialBytes) {
  for (uint64_t passed = 0; passed < bytes; passed += 4096) {
    rig.body(event_of(4096));
    rig.send();
  }
}

// A trial takes that long where each window lasts so long.
uint64_t trial_ms(StreamRig& rig, uint64_t window_ms) {
  return limits::kWindowTrialBytes / rig.stream().window() * window_ms;
}

TEST(StreamCredit, IsOneReceiveForTheHeadAndThenWhatTheWindowLeaves) {
  StreamRig rig;
  rig.request(kEventsRequest);
  rig.connect();
  EXPECT_EQ(rig.stream().response_credit(), 1U);
  rig.respond(kEventsResponse);
  rig.send();
  uint64_t window = rig.stream().settings().buffer_size;
  EXPECT_EQ(rig.stream().window(), window);
  EXPECT_EQ(rig.stream().response_credit(), window);
  rig.body("data: 1\n\n");
  EXPECT_EQ(rig.stream().response_credit(), window - 9);
  rig.stream().on_response_end();
  EXPECT_EQ(rig.stream().response_credit(), 0U);
}

TEST(StreamCredit, IsNotSpentOnHeldBytes) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body(event_of(4096).substr(0, 4000));
  EXPECT_EQ(rig.stream().response_credit(), rig.stream().window());
}

struct Nobody final : SlotWaiter {
  void on_slot_available() override {}
};

TEST(StreamCredit, IsNoneForWhoHoldsBytesWhereOthersWaitForASlot) {
  StreamRig rig;
  rig.open_event_stream();
  Nobody waiter;
  rig.rig().sse_event.wait(waiter);
  EXPECT_GT(rig.stream().response_credit(), 0U) << "it holds nothing";
  rig.body("data: 1\n\n");
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  rig.send();
  EXPECT_EQ(rig.upstream.reads, 1) << "it may go on";
  EXPECT_GT(rig.stream().response_credit(), 0U);
  rig.rig().sse_event.stop_waiting(waiter);
}

TEST(StreamCredit, OfARequestIsLessWhileMemoryIsTightAndNoneWhereOthersWait) {
  StreamRig rig;
  rig.request_head("POST /a HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
  rig.connect();
  rig.take_request();
  EXPECT_EQ(rig.stream().request_credit(), limits::kRequestWindow);
  rig.rig().make_memory_tight(true);
  EXPECT_EQ(rig.stream().request_credit(), limits::kTightRequestWindow);
  Nobody waiter;
  rig.rig().http_message.wait(waiter);
  EXPECT_GT(rig.stream().request_credit(), 0U) << "it holds nothing";
  rig.request_body("x");
  EXPECT_EQ(rig.stream().request_credit(), 0U);
  rig.rig().http_message.stop_waiting(waiter);
}

TEST(StreamCredit, RunsOutAtHalfAWindowUnsentAndIsBackOnceItIsSent) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body(event_of(4096));
  EXPECT_EQ(rig.stream().response_credit(), 4096U);
  EXPECT_FALSE(rig.stream().stalled());
  rig.body("data: 1\n\n");
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  EXPECT_TRUE(rig.stream().stalled());
  EXPECT_EQ(rig.upstream.reads, 0);
  rig.send();
  EXPECT_GT(rig.upstream.reads, 0);
  EXPECT_EQ(rig.stream().response_credit(), rig.stream().window());
  EXPECT_FALSE(rig.stream().stalled());
}

TEST(StreamCredit, CountsStallsAndTheirTime) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body(event_of(4096) + event_of(100));
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  EXPECT_EQ(rig.metrics().stalls, 1U);
  rig.pass(kMinuteMs);
  EXPECT_EQ(rig.metrics().stall_ns, 0U) << "it is not over";
  rig.send();
  EXPECT_GT(rig.stream().response_credit(), 0U);
  EXPECT_GE(rig.metrics().stall_ns, kMinuteMs * 1'000'000);
  // One that the client ends counts, too.
  rig.body(event_of(4096) + event_of(100));
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  rig.pass(kMinuteMs);
  rig.client_gone();
  EXPECT_EQ(rig.metrics().stalls, 2U);
  EXPECT_GE(rig.metrics().stall_ns, 2 * kMinuteMs * 1'000'000);
}

TEST(StreamCredit, WindowDoublesForAFastReaderUpToItsMost) {
  StreamSettings settings = StreamRig::quiet();
  settings.buffer_size_max = 32 * 1024;
  StreamRig rig(settings);
  rig.open_event_stream();
  for (uint64_t window : {16U * 1024, 32U * 1024, 32U * 1024}) {
    pass_trial(rig);
    EXPECT_EQ(rig.stream().window(), window);
  }
}

TEST(StreamCredit, WindowGrowsBeyondTheTrialToo) {
  StreamSettings settings = StreamRig::quiet();
  settings.buffer_size = 1024 * 1024;
  settings.buffer_size_max = 4 * 1024 * 1024;
  StreamRig rig(settings);
  rig.open_event_stream();
  pass_trial(rig, 1024 * 1024);
  EXPECT_EQ(rig.stream().window(), 2U * 1024 * 1024);
  pass_trial(rig, 2 * 1024 * 1024);
  EXPECT_EQ(rig.stream().window(), 4U * 1024 * 1024);
}

// What the kernel takes for a client that reads nothing is not read.
TEST(StreamCredit, WindowDoesNotGrowForWhatSocketsTake) {
  StreamRig rig;
  rig.open_event_stream();
  pass_trial(rig, limits::kWindowTrialBytes - 32 * 1024);
  EXPECT_EQ(rig.stream().window(), 8U * 1024);
  for (int i = 0; i < 3; ++i) rig.body(event_of(4096));
  ASSERT_EQ(rig.stream().response_credit(), 0U);
  rig.pass(limits::kFastWindowMs + 1);
  rig.send();
  EXPECT_GT(rig.stream().response_credit(), 0U);
  pass_trial(rig, limits::kWindowTrialBytes - 4096);
  EXPECT_EQ(rig.stream().window(), 8U * 1024) << "the trial begins anew with a long stall";
  pass_trial(rig, 4096);
  EXPECT_EQ(rig.stream().window(), 16U * 1024);
}

TEST(StreamCredit, WindowHalvesForASlowReaderDownToItsFirstSize) {
  StreamRig rig;
  rig.open_event_stream();
  pass_trial(rig);
  pass_trial(rig);
  ASSERT_EQ(rig.stream().window(), 32U * 1024);
  for (uint64_t window : {16U * 1024, 8U * 1024, 8U * 1024}) {
    rig.pass(trial_ms(rig, limits::kSlowWindowMs) + 1);
    pass_trial(rig);
    EXPECT_EQ(rig.stream().window(), window);
  }
}

TEST(StreamCredit, WindowStaysForAReaderInBetween) {
  StreamRig rig;
  rig.open_event_stream();
  pass_trial(rig);
  rig.pass(trial_ms(rig, (limits::kFastWindowMs + limits::kSlowWindowMs) / 2));
  pass_trial(rig);
  EXPECT_EQ(rig.stream().window(), 16U * 1024);
}

TEST(StreamCredit, WindowDoesNotGrowWhereMemoryIsTight) {
  StreamRig rig;
  rig.open_event_stream();
  rig.rig().make_memory_tight(true);
  pass_trial(rig);
  EXPECT_EQ(rig.stream().window(), 8U * 1024);
  rig.rig().make_memory_tight(false);
  pass_trial(rig);
  EXPECT_EQ(rig.stream().window(), 16U * 1024);
}

TEST(StreamCredit, WindowOfAStalledStreamShrinksAtOnceWhereMemoryIsTight) {
  for (bool tight : {true, false}) {
    StreamRig rig;
    rig.open_event_stream();
    pass_trial(rig);
    pass_trial(rig);
    ASSERT_EQ(rig.stream().window(), 32U * 1024);
    rig.rig().make_memory_tight(tight);
    for (int i = 0; i < 5; ++i) rig.body(event_of(4096));
    ASSERT_EQ(rig.stream().response_credit(), 0U);
    EXPECT_EQ(rig.stream().window(), (tight ? 8U : 32U) * 1024);
  }
}

TEST(StreamCredit, WindowFallsBackAfterAStallThatLasted) {
  for (bool lasted : {true, false}) {
    StreamRig rig;
    rig.open_event_stream();
    pass_trial(rig);
    ASSERT_EQ(rig.stream().window(), 16U * 1024);
    for (int i = 0; i < 3; ++i) rig.body(event_of(4096));
    ASSERT_EQ(rig.stream().response_credit(), 0U);
    if (lasted) rig.pass(limits::kFastWindowMs + 1);
    rig.send();
    EXPECT_GT(rig.stream().response_credit(), 0U);
    EXPECT_EQ(rig.stream().window(), (lasted ? 8U : 16U) * 1024);
  }
}

// What fitted into the larger window does not fit into the smaller one.
TEST(StreamCredit, WindowThatHasFallenBackIsStillFull) {
  StreamRig rig;
  rig.open_event_stream();
  for (int i = 0; i < 3; ++i) pass_trial(rig);
  ASSERT_EQ(rig.stream().window(), 64U * 1024);
  for (int i = 0; i < 9; ++i) rig.body(event_of(4096));
  ASSERT_EQ(rig.stream().response_credit(), 0U);
  rig.pass(limits::kFastWindowMs + 1);
  batch_of(rig.stream().response());
  rig.stream().on_client_sent(rig.stream().response().sent(2 * 4096));
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  EXPECT_EQ(rig.stream().window(), 8U * 1024);
  rig.send();
  EXPECT_EQ(rig.stream().response_credit(), 8U * 1024);
  EXPECT_EQ(rig.metrics().stalls, 1U);
}

TEST(StreamCredit, OfTheRequestIsWhatTheUpstreamHasTaken) {
  StreamRig rig;
  rig.request_head("POST /a HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
  rig.connect();
  EXPECT_GT(rig.stream().request_credit(), 0U);
  for (size_t bytes = 0; bytes <= limits::kRequestWindow / 2; bytes += 4096)
    rig.request_body(std::string(4096, 'x'));
  EXPECT_EQ(rig.stream().request_credit(), 0U);
  EXPECT_EQ(rig.client.window_opened, 0);
  rig.take_request();
  EXPECT_GT(rig.client.window_opened, 0);
  EXPECT_EQ(rig.stream().request_credit(), limits::kRequestWindow);
}

}  // namespace
}  // namespace sluice::test
