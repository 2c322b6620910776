#include "net/stream/retry_budget.h"

#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice {
namespace {

TEST(RetryBudget, IsAFifthOfTheRequestsAndAFewToBeginWith) {
  RetryBudget budget;
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

}  // namespace
}  // namespace sluice
