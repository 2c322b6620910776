#include "net/stream/attempt_limits.h"

#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice {
namespace {

constexpr uint64_t kLate = UINT64_MAX;

TEST(RetryBudget, IsAFifthOfTheRequestsAndAFewToBeginWith) {
  AttemptLimits budget;
  auto taken = [&budget] {
    uint32_t count = 0;
    while (budget.take_retry(3)) ++count;
    return count;
  };
  EXPECT_EQ(taken(), limits::kRetriesAtFirst);
  for (int i = 0; i < 52; ++i) budget.request_begins(3);
  EXPECT_EQ(taken(), 10U);
  for (int i = 0; i < 3; ++i) budget.request_begins(3);
  EXPECT_EQ(taken(), 1U) << "with the two left over";
  for (int i = 0; i < 1'000'000; ++i) budget.request_begins(3);
  EXPECT_EQ(taken(), limits::kRetriesSaved);
  EXPECT_TRUE(budget.take_retry(2)) << "each upstream has its own";
}

TEST(ReconnectPace, SpreadsThoseThatComeAtOnce) {
  AttemptLimits pace;
  for (uint64_t i = 0; i < 10; ++i)
    EXPECT_EQ(pace.take_reconnect(1, 100, 5000, kLate), 5000 + 10 * i);
  EXPECT_EQ(pace.take_reconnect(2, 100, 5000, kLate), 5000U) << "each upstream has its own";
  EXPECT_EQ(pace.take_reconnect(1, 100, 9000, kLate), 9000U) << "nothing is saved up or owed";
}

TEST(ReconnectPace, IsOffAtZero) {
  AttemptLimits pace;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pace.take_reconnect(1, 0, 5000, kLate), 5000U);
}

TEST(ReconnectPace, AReconnectThatComesTooLateTakesNoTurn) {
  AttemptLimits pace;
  for (int i = 0; i < 3; ++i) (void)pace.take_reconnect(1, 1, 5000, kLate);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pace.take_reconnect(1, 1, 5000, 8000), 8000U);
  EXPECT_EQ(pace.take_reconnect(1, 1, 7000, kLate), 8000U);
}

}  // namespace
}  // namespace sluice
