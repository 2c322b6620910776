#include "core/spsc_ring.h"

#include <thread>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(SpscRing, IsBounded) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_FALSE(ring.push(4));
  EXPECT_EQ(ring.room(), 0U);
  int item = -1;
  EXPECT_TRUE(ring.pop(item));
  EXPECT_EQ(item, 0);
  EXPECT_EQ(ring.room(), 1U);
  EXPECT_TRUE(ring.push(4));
  for (int i = 1; i <= 4; ++i) {
    EXPECT_TRUE(ring.pop(item));
    EXPECT_EQ(item, i);
  }
  EXPECT_FALSE(ring.pop(item));
}

TEST(SpscRing, KeepsOrderBetweenThreads) {
  constexpr uint64_t kItems = 50'000;
  SpscRing<uint64_t> ring(1024);
  std::thread pusher([&ring] {
    for (uint64_t i = 0; i < kItems;)
      if (ring.push(i))
        ++i;
      else
        std::this_thread::yield();
  });
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kItems;) {
    uint64_t item = 0;
    if (!ring.pop(item)) {
      std::this_thread::yield();
      continue;
    }
    wrong += item != i++;
  }
  pusher.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace sluice
