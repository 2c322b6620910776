#include "net/http2/flood_guard.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

uint32_t allowed(FloodGuard& guard, uint64_t now_ms) {
  uint32_t count = 0;
  while (guard.allow(now_ms)) ++count;
  return count;
}

TEST(FloodGuard, AllowsABurstAndThenAFewASecond) {
  FloodGuard guard(1000);
  EXPECT_EQ(allowed(guard, 1000), limits::kHttp2IdleFrames);
  EXPECT_EQ(allowed(guard, 1005), 0U);
  EXPECT_EQ(allowed(guard, 2000), limits::kHttp2IdleFramesPerSecond);
  EXPECT_EQ(allowed(guard, 1'000'000'000), limits::kHttp2IdleFrames);
}

TEST(FloodGuard, SmallTimesAddUp) {
  FloodGuard guard(0);
  allowed(guard, 0);
  uint32_t count = 0;
  for (uint64_t ms = 1; ms <= 1000; ++ms) count += guard.allow(ms) ? 1 : 0;
  EXPECT_EQ(count, limits::kHttp2IdleFramesPerSecond);
}

TEST(FloodGuard, WhatThePeerWasSentMakesUpForFrames) {
  FloodGuard guard(0);
  allowed(guard, 0);
  guard.earn(2);
  EXPECT_EQ(allowed(guard, 0), 2U);
  guard.earn(UINT32_MAX / 2);
  EXPECT_EQ(allowed(guard, 0), limits::kHttp2IdleFrames);
}

}  // namespace
}  // namespace sluice
