#include "net/probe/probe_record.h"

#include <gtest/gtest.h>

#include "net/upstream/breaker.h"

namespace sluice {
namespace {

using Change = ProbeRecord::Change;

constexpr uint64_t kStartMs = 1'000'000;

class ProbeRecordTest : public testing::Test {
 protected:
  ProbeRecordTest() {
    settings_.health_fail = 3;
    settings_.health_pass = 2;
    settings_.eject_after = 1;
  }
  Change pass() {
    record_.begun();
    return record_.passed(settings_, now_ms_);
  }
  Change fail(EjectReason reason = EjectReason::kConnect, int status = 0) {
    record_.begun();
    return record_.failed(reason, status, settings_, now_ms_);
  }
  UpstreamState state() const { return health_.state(now_ms_); }
  void make_unhealthy() {
    while (state() != UpstreamState::kUnhealthy) fail();
  }
  // By its requests.
  void eject() {
    ASSERT_EQ(breaker_.failed(1, EjectReason::kStatus, settings_, now_ms_, [] { return true; }),
              Breaker::Change::kEjected);
  }
  void fail_trial() {
    ASSERT_TRUE(breaker_.begin_trial(2));
    ASSERT_EQ(breaker_.failed(2, EjectReason::kStatus, settings_, now_ms_, [] { return true; }),
              Breaker::Change::kEjected);
  }

  StreamSettings settings_;
  UpstreamHealth health_;
  ProbeRecord record_{health_};
  Breaker breaker_{health_, 0};
  uint64_t now_ms_ = kStartMs;
};

TEST_F(ProbeRecordTest, BadProbesInARowLeaveItOut) {
  fail();
  fail();
  pass();
  fail();
  EXPECT_EQ(fail(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  now_ms_ += 5;
  EXPECT_EQ(fail(EjectReason::kStatus, 503), Change::kUnhealthy);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy);
  EXPECT_EQ(health_.since_ms(now_ms_), kStartMs + 5);
  EXPECT_EQ(fail(), Change::kNone) << "told once";
  EXPECT_EQ(health_.since_ms(now_ms_ + 1), kStartMs + 5);
}

TEST_F(ProbeRecordTest, TellsTheBoardWhatItHasSeen) {
  pass();
  fail(EjectReason::kTimeout);
  fail(EjectReason::kStatus, 503);
  EXPECT_EQ(health_.probes.passed, 1U);
  EXPECT_EQ(health_.probes.failed[static_cast<unsigned>(EjectReason::kTimeout)], 1U);
  EXPECT_EQ(health_.probes.failed[static_cast<unsigned>(EjectReason::kStatus)], 1U);
  EXPECT_EQ(health_.probes.reason, EjectReason::kStatus);
  EXPECT_EQ(health_.probes.status, 503);
  EXPECT_EQ(health_.probes.failed_ms, now_ms_);
  fail();
  EXPECT_EQ(health_.probes.status, 0) << "there was none";
  EXPECT_EQ(health_.probes.times_unhealthy, 1U);
}

TEST_F(ProbeRecordTest, GoodProbesInARowTakeItBackSlowly) {
  make_unhealthy();
  pass();
  fail();
  EXPECT_EQ(pass(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy);
  now_ms_ += 9;
  EXPECT_EQ(pass(), Change::kHealthy);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  EXPECT_EQ(health_.returned_ms, kStartMs + 9) << "slow start begins";
  EXPECT_EQ(pass(), Change::kNone);
  EXPECT_EQ(health_.returned_ms, kStartMs + 9);
}

TEST_F(ProbeRecordTest, OneThatIsNoLongerAskedIsNoLongerOut) {
  make_unhealthy();
  record_.end(now_ms_ + 3);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  EXPECT_EQ(health_.returned_ms, now_ms_ + 3);
  record_.end(now_ms_ + 4);
  EXPECT_EQ(health_.returned_ms, now_ms_ + 3) << "it had not been out";
}

TEST_F(ProbeRecordTest, AnotherQuestionBeginsARowOfItsOwn) {
  fail();
  fail();
  record_.restart();
  EXPECT_EQ(fail(), Change::kNone);
  make_unhealthy();
  pass();
  record_.restart();
  EXPECT_EQ(pass(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy) << "until it passes the new one";
}

// --- beside the breaker ---

TEST_F(ProbeRecordTest, GoodProbesHaveAnEjectedOneTriedEarly) {
  pass();
  pass();
  eject();
  EXPECT_EQ(pass(), Change::kNone) << "those before the ejection do not count";
  EXPECT_EQ(state(), UpstreamState::kOpen);
  EXPECT_EQ(pass(), Change::kTriedNow);
  EXPECT_EQ(state(), UpstreamState::kHalfOpen) << "the request decides";
  EXPECT_TRUE(breaker_.begin_trial(2));
  EXPECT_EQ(breaker_.succeeded(2, now_ms_), Breaker::Change::kReturned);
}

TEST_F(ProbeRecordTest, AProbeFromBeforeTheEjectionSaysNothingOfIt) {
  settings_.health_pass = 1;
  record_.begun();
  eject();
  EXPECT_EQ(record_.passed(settings_, now_ms_), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kOpen);
  EXPECT_EQ(pass(), Change::kTriedNow);
}

TEST_F(ProbeRecordTest, OneThatPassesProbesAndFailsItsTrialIsLeftOutForItsTime) {
  eject();
  pass();
  ASSERT_EQ(pass(), Change::kTriedNow);
  fail_trial();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pass(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kOpen);
  EXPECT_EQ(health_.ejected_until_ms, now_ms_ + 2 * settings_.eject_time_ms) << "twice as long";
}

TEST_F(ProbeRecordTest, AfterAReturnTheNextEjectionMayEndEarlyAgain) {
  eject();
  pass();
  ASSERT_EQ(pass(), Change::kTriedNow);
  ASSERT_TRUE(breaker_.begin_trial(2));
  ASSERT_EQ(breaker_.succeeded(2, now_ms_), Breaker::Change::kReturned);
  pass();
  eject();
  pass();
  EXPECT_EQ(pass(), Change::kTriedNow);
}

TEST_F(ProbeRecordTest, ABadProbeBetweenTheGoodOnesCounts) {
  eject();
  pass();
  fail();
  EXPECT_EQ(pass(), Change::kNone);
  EXPECT_EQ(pass(), Change::kTriedNow);
}

}  // namespace
}  // namespace sluice
