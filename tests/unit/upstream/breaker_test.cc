#include "net/upstream/breaker.h"

#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice {
namespace {

using Change = Breaker::Change;

constexpr uint64_t kStartMs = 1'000'000;
constexpr uint64_t kStream = 7;

class BreakerTest : public testing::Test {
 protected:
  Change fail(uint64_t stream = kStream, EjectReason reason = EjectReason::kConnect) {
    return breaker_.failed(stream, reason, settings_, now_ms_, [this] { return others_left_; });
  }
  Change succeed(uint64_t stream = kStream) { return breaker_.succeeded(stream, now_ms_); }
  UpstreamState state() const { return health_.state(now_ms_); }
  // Fails until it is out.
  void eject() {
    while (state() == UpstreamState::kClosed) fail();
  }
  // How long it is out for.
  uint64_t lasts_ms() const { return health_.ejected_until_ms - now_ms_; }
  void return_now() {
    now_ms_ = health_.ejected_until_ms;
    ASSERT_TRUE(breaker_.begin_trial(kStream));
    ASSERT_EQ(succeed(), Change::kReturned);
  }

  StreamSettings settings_;
  UpstreamHealth health_;
  Breaker breaker_{health_, 0};
  Breaker of_another_worker_{health_, 1};
  uint64_t now_ms_ = kStartMs;
  bool others_left_ = true;
};

TEST_F(BreakerTest, FailuresInARowEject) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fail(), Change::kNone);
  succeed();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fail(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  EXPECT_EQ(fail(kStream, EjectReason::kTimeout), Change::kEjected);
  EXPECT_EQ(state(), UpstreamState::kOpen);
  EXPECT_EQ(lasts_ms(), settings_.eject_time_ms);
  EXPECT_EQ(health_.ejections[static_cast<unsigned>(EjectReason::kTimeout)], 1U);
  EXPECT_EQ(health_.ejections[static_cast<unsigned>(EjectReason::kConnect)], 0U);
  EXPECT_EQ(health_.last[0].at_ms, now_ms_);
  EXPECT_EQ(health_.last[0].reason, EjectReason::kTimeout);
}

TEST_F(BreakerTest, FailuresOfAllWorkersCount) {
  for (int i = 0; i < 4; ++i) fail();
  EXPECT_EQ(
      of_another_worker_.failed(9, EjectReason::kConnect, settings_, now_ms_, [] { return true; }),
      Change::kEjected);
}

TEST_F(BreakerTest, ZeroIsOff) {
  settings_.eject_after = 0;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(fail(), Change::kNone);
}

TEST_F(BreakerTest, TheLastOneStays) {
  others_left_ = false;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(fail(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  others_left_ = true;
  EXPECT_EQ(fail(), Change::kEjected) << "once another is well";
}

// Another worker has ejected the other one between the two looks.
TEST_F(BreakerTest, TheLastOneStaysWhereTwoGoAtOnce) {
  int looks = 0;
  settings_.eject_after = 1;
  EXPECT_EQ(breaker_.failed(kStream, EjectReason::kConnect, settings_, now_ms_,
                            [&looks] { return ++looks == 1; }),
            Change::kNone);
  EXPECT_EQ(looks, 2);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  EXPECT_EQ(health_.ejections_noted, 0U);
}

// Requests that went there before may take their time to fail, or to succeed.
TEST_F(BreakerTest, WhatWasUnderWayChangesNoEjection) {
  eject();
  uint64_t until_ms = health_.ejected_until_ms;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(fail(), Change::kNone);
  EXPECT_EQ(succeed(), Change::kNone);
  EXPECT_EQ(health_.ejected_until_ms, until_ms);
  now_ms_ = until_ms;
  EXPECT_EQ(fail(), Change::kNone) << "nor does it when the time is over";
  EXPECT_EQ(succeed(), Change::kNone);
  EXPECT_EQ(state(), UpstreamState::kHalfOpen);
}

TEST_F(BreakerTest, OneRequestAtATimeTries) {
  eject();
  now_ms_ = health_.ejected_until_ms;
  EXPECT_TRUE(breaker_.begin_trial(kStream));
  EXPECT_FALSE(breaker_.begin_trial(8));
  EXPECT_FALSE(of_another_worker_.begin_trial(kStream));
  EXPECT_TRUE(breaker_.tried_by(kStream));
  EXPECT_FALSE(of_another_worker_.tried_by(kStream)) << "ids are a worker's own";
  breaker_.end_trial();
  EXPECT_TRUE(of_another_worker_.begin_trial(8)) << "the first has learnt nothing";
  breaker_.end_trial();
  EXPECT_FALSE(breaker_.begin_trial(kStream)) << "it had none to end";
}

TEST_F(BreakerTest, ATrialThatIsAnsweredCloses) {
  eject();
  return_now();
  EXPECT_EQ(state(), UpstreamState::kClosed);
  EXPECT_EQ(health_.returned_ms, now_ms_);
  EXPECT_EQ(health_.trial, 0U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fail(), Change::kNone) << "it begins anew";
}

TEST_F(BreakerTest, ATrialThatFailsEjectsForTwiceAsLong) {
  eject();
  for (uint64_t due_ms : {20'000, 40'000, 80'000, 160'000, 300'000, 300'000}) {
    now_ms_ = health_.ejected_until_ms;
    ASSERT_TRUE(breaker_.begin_trial(kStream));
    EXPECT_EQ(fail(), Change::kEjected);
    EXPECT_EQ(lasts_ms(), due_ms);
    EXPECT_EQ(health_.trial, 0U);
  }
  for (int i = 0; i < 100; ++i) {
    now_ms_ = health_.ejected_until_ms;
    ASSERT_TRUE(breaker_.begin_trial(kStream));
    fail();
    ASSERT_EQ(lasts_ms(), limits::kEjectMsMax);
  }
}

// All others of its group are out, too, so a request goes there before the time.
TEST_F(BreakerTest, ATrialBeforeItsTimeProlongsNothing) {
  eject();
  uint64_t until_ms = health_.ejected_until_ms;
  ASSERT_TRUE(breaker_.begin_trial(kStream));
  EXPECT_EQ(fail(), Change::kNone);
  EXPECT_EQ(health_.ejected_until_ms, until_ms);
  ASSERT_TRUE(breaker_.begin_trial(kStream));
  EXPECT_EQ(succeed(), Change::kReturned);
}

TEST_F(BreakerTest, AGoodWhileForgets) {
  eject();
  return_now();
  now_ms_ += limits::kEjectMsMax - 1;
  eject();
  EXPECT_EQ(lasts_ms(), 2 * settings_.eject_time_ms);
  return_now();
  now_ms_ += limits::kEjectMsMax;
  eject();
  EXPECT_EQ(lasts_ms(), settings_.eject_time_ms);
}

// Another worker's trial has closed it meanwhile.
TEST_F(BreakerTest, NoTrialOfOneThatIsClosed) {
  EXPECT_FALSE(breaker_.begin_trial(kStream));
  EXPECT_EQ(health_.trial, 0U);
}

TEST_F(BreakerTest, ItsEndEndsItsTrial) {
  eject();
  {
    Breaker gone(health_, 3);
    ASSERT_TRUE(gone.begin_trial(kStream));
  }
  EXPECT_EQ(health_.trial, 0U);
}

// --- what a failure is ---

TEST(Failure, OfAnAnswer) {
  for (int status : {500, 502, 503, 504, 599}) EXPECT_EQ(failure_of(status), EjectReason::kStatus);
  for (int status : {200, 204, 301, 404, 429, 499, 501, 505})
    EXPECT_EQ(failure_of(status), std::nullopt) << status;
}

TEST(Failure, OfAnEndWithoutAnAnswer) {
  using enum Ending;
  auto of = [](Ending ending, bool stale) {
    return failure_of(AttemptOutcome{.ending = ending, .status = 0, .stale = stale});
  };
  EXPECT_EQ(of(kUpstreamRefused, false), EjectReason::kConnect);
  EXPECT_EQ(of(kUpstreamTls, false), EjectReason::kTls);
  for (Ending timeout : {kUpstreamConnectTimeout, kUpstreamFirstByteTimeout, kUpstreamIdleTimeout})
    for (bool kept_alive : {false, true}) EXPECT_EQ(of(timeout, kept_alive), EjectReason::kTimeout);
  for (Ending broken : {kUpstreamTruncated, kUpstreamReset, kUpstreamBadResponse}) {
    EXPECT_EQ(of(broken, false), EjectReason::kBroken);
    EXPECT_EQ(of(broken, true), std::nullopt) << "the connection was stale, most likely";
  }
  for (Ending other : {kComplete, kRefused, kClientLeft, kClientStalled, kClientTimedOut,
                       kUnavailable, kOverloaded, kShutdown})
    EXPECT_EQ(of(other, false), std::nullopt) << ending_name(other);
}

TEST(Failure, NoneOnceThereWasAnAnswer) {
  for (Ending ending : {Ending::kUpstreamReset, Ending::kUpstreamIdleTimeout})
    for (int status : {200, 503})
      EXPECT_EQ(failure_of(AttemptOutcome{.ending = ending, .status = status}), std::nullopt);
}

}  // namespace
}  // namespace sluice
