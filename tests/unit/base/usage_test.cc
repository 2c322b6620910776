#include "net/base/usage.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(UsageCounts, AreByRouteAndModel) {
  UsageCounts counts;
  ++counts.of(1, "a", true).requests[0];
  ++counts.of(1, "a", false).requests[0];
  ++counts.of(2, "a", true).requests[0];
  ASSERT_EQ(counts.models.size(), 2U);
  EXPECT_EQ(counts.models[0].requests[0], 2U);
}

TEST(UsageCounts, ModelsThatHaveNotAnsweredAreOther) {
  UsageCounts counts;
  counts.of(1, "made up", false);
  counts.of(1, "made up, too", false);
  ASSERT_EQ(counts.models.size(), 1U);
  EXPECT_EQ(counts.models[0].model, "other");
}

TEST(UsageCounts, AreBounded) {
  UsageCounts counts;
  for (int i = 0; i < 1000; ++i) ++counts.of(1, std::to_string(i), true).requests[0];
  EXPECT_EQ(counts.models.size(), limits::kUsageModelsMax + 1);
  EXPECT_EQ(counts.models.back().model, "other");
  EXPECT_EQ(counts.models.back().requests[0], 1000 - limits::kUsageModelsMax);
  EXPECT_EQ(counts.of(1, "5", false).model, "5");
}

}  // namespace
}  // namespace sluice
