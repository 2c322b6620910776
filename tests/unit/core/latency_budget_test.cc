#include "core/latency_budget.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// A thread that used this part of its core, for a second.
void use(LatencyBudget& budget, double part) {
  static uint64_t now_ns = kSecond;
  static uint64_t cpu_ns = kSecond;
  for (uint64_t end_ns = now_ns + kSecond; now_ns < end_ns;) {
    now_ns += LatencyBudget::kSampleNs;
    cpu_ns += static_cast<uint64_t>(part * double{LatencyBudget::kSampleNs});
    ASSERT_TRUE(budget.sample_due(now_ns));
    budget.sample(now_ns, cpu_ns);
    EXPECT_FALSE(budget.sample_due(now_ns + LatencyBudget::kSampleNs - 1));
  }
}

TEST(LatencyBudget, IsNoneUnlessAskedFor) {
  LatencyBudget budget;
  use(budget, 1);
  EXPECT_EQ(budget.gather_ns(true), 0U);
}

TEST(LatencyBudget, OfATimeIsThatTimeWhereThereWasWork) {
  LatencyBudget budget(500'000);
  EXPECT_EQ(budget.gather_ns(true), 500'000U);
  EXPECT_EQ(budget.gather_ns(false), 0U);
}

TEST(LatencyBudget, AutomaticIsNothingBelowHalfACore) {
  LatencyBudget budget(std::nullopt);
  EXPECT_EQ(budget.gather_ns(true), 0U) << "nothing is known yet";
  use(budget, 0.49);
  EXPECT_EQ(budget.gather_ns(true), 0U);
}

TEST(LatencyBudget, AutomaticGrowsToItsMost) {
  LatencyBudget budget(std::nullopt);
  use(budget, 0.75);
  EXPECT_NEAR(static_cast<double>(budget.gather_ns(true)), LatencyBudget::kAutoMaxNs / 2.0, 1000);
  EXPECT_EQ(budget.gather_ns(false), 0U);
  use(budget, 1);
  EXPECT_NEAR(static_cast<double>(budget.gather_ns(true)), LatencyBudget::kAutoMaxNs, 1000);
  use(budget, 0.1);
  EXPECT_EQ(budget.gather_ns(true), 0U) << "quiet again";
}

TEST(LatencyBudget, IsInWholeMicroseconds) {
  LatencyBudget budget(std::nullopt);
  use(budget, 0.501);
  EXPECT_EQ(budget.gather_ns(true), 0U);
  use(budget, 0.7777);
  EXPECT_EQ(budget.gather_ns(true) % 1000, 0U);
}

TEST(LatencyBudget, OneBusyMomentIsNotLoad) {
  LatencyBudget budget(std::nullopt);
  budget.sample(kSecond, kSecond);
  budget.sample(kSecond + LatencyBudget::kSampleNs, kSecond + LatencyBudget::kSampleNs);
  EXPECT_EQ(budget.gather_ns(true), 0U);
}

TEST(LatencyBudget, ALongWaitIsForgottenAtOnce) {
  LatencyBudget budget(std::nullopt);
  use(budget, 1);
  budget.sample(100 * kSecond, 3 * kSecond);
  EXPECT_LT(budget.busy(), 0.1);
}

}  // namespace
}  // namespace sluice
