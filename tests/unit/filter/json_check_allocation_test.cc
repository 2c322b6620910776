// A parser keeps memory for texts of ordinary sizes alone: this executable counts every operator
// new.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "net/filter/json_check.h"
#include "perf/allocations.h"

namespace sluice {
namespace {

uint64_t cost(JsonCheck& check, size_t bytes) {
  std::string text = '"' + std::string(bytes - 2, 'x') + '"';
  text.reserve(bytes + JsonCheck::kPadding);
  uint64_t before = perf::allocations_of_this_thread();
  EXPECT_TRUE(check.valid(text));
  return perf::allocations_of_this_thread() - before;
}

TEST(JsonCheck, WhatItTakesForALongTextGoesWithThatText) {
  JsonCheck check(1000);
  EXPECT_EQ(cost(check, 1000), 0U);
  EXPECT_GT(cost(check, JsonCheck::kKeptBytes), 0U);
  EXPECT_EQ(cost(check, JsonCheck::kKeptBytes), 0U) << "that much is kept";
  EXPECT_GT(cost(check, JsonCheck::kKeptBytes + 1), 0U);
  EXPECT_GT(cost(check, JsonCheck::kKeptBytes + 1), 0U) << "that is not";
  EXPECT_EQ(cost(check, JsonCheck::kKeptBytes), 0U);
}

TEST(JsonCheck, AsMuchAsItWasMadeForIsKept) {
  JsonCheck check(4 * JsonCheck::kKeptBytes);
  EXPECT_EQ(cost(check, 4 * JsonCheck::kKeptBytes), 0U);
}

}  // namespace
}  // namespace sluice
