#include "net/stream/healing.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice::test {
namespace {

class HealingBackoff : public ::testing::Test {
 protected:
  // The longest of many waits, after so many attempts.
  uint64_t longest(int attempts) {
    Healing healing(memory_, 16);
    for (int i = 0; i < attempts; ++i) healing.breaks(1, Ending::kUpstreamReset);
    uint64_t longest_ms = 0;
    for (int i = 0; i < 1000; ++i)
      longest_ms = std::max(longest_ms, healing.wait_ms({}, {}, random_));
    return longest_ms;
  }

  MemoryLimit memory_{.heap_max = 1 << 20};
  Random random_{1};
};

TEST_F(HealingBackoff, DoublesUpToItsMost) {
  EXPECT_LE(longest(1), limits::kHealBackoffMs);
  EXPECT_GT(longest(2), limits::kHealBackoffMs);
  EXPECT_LE(longest(2), 2 * limits::kHealBackoffMs);
  for (int attempts : {10, 100}) {
    EXPECT_GT(longest(attempts), limits::kHealBackoffMsMax / 2);
    EXPECT_LE(longest(attempts), limits::kHealBackoffMsMax);
  }
}

TEST_F(HealingBackoff, TheUpstreamsWordHasThatMostToo) {
  EXPECT_EQ(Healing::asked_ms({}), 0U);
  EXPECT_EQ(Healing::asked_ms(1000), 1000U);
  EXPECT_EQ(Healing::asked_ms(UINT64_MAX), limits::kHealBackoffMsMax);
}

}  // namespace
}  // namespace sluice::test
