#include "core/histogram.h"

#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Histogram, BucketBoundsAreInclusivePowersOfTwoMicroseconds) {
  EXPECT_EQ(Histogram::bucket_of(0), 0U);
  EXPECT_EQ(Histogram::bucket_of(1), 0U);
  EXPECT_EQ(Histogram::bucket_of(1000), 0U);
  EXPECT_EQ(Histogram::bucket_of(1001), 1U);
  for (unsigned i = 1; i + 1 < Histogram::kBuckets; ++i) {
    uint64_t bound_ns = (uint64_t{1} << i) * 1000;
    EXPECT_EQ(Histogram::bucket_of(bound_ns), i);
    EXPECT_EQ(Histogram::bucket_of(bound_ns + 1), i + 1);
    EXPECT_DOUBLE_EQ(Histogram::bound_seconds(i), static_cast<double>(bound_ns) / 1e9);
  }
}

TEST(Histogram, TheLastBucketIsOpen) {
  EXPECT_EQ(Histogram::bucket_of(uint64_t{1} << 62), Histogram::kBuckets - 1);
}

TEST(Histogram, AddsOneDurationManyTimes) {
  Histogram histogram;
  histogram.add(3000, 5);
  histogram.add(500);
  EXPECT_EQ(histogram.count, 6U);
  EXPECT_EQ(histogram.sum_ns, 15'500U);
  EXPECT_EQ(histogram.in_bucket(2), 5U);
  EXPECT_EQ(histogram.in_bucket(0), 1U);
}

TEST(Histogram, Merges) {
  Histogram a;
  a.add(1);
  a.add(2000);
  Histogram b;
  b.add(2000, 3);
  b.add(1'000'000'000);
  a.add(b);
  EXPECT_EQ(a.count, 6U);
  EXPECT_EQ(a.sum_ns, 1'000'008'001U);
  EXPECT_EQ(a.in_bucket(1), 4U);
  EXPECT_EQ(a.in_bucket(Histogram::bucket_of(1'000'000'000)), 1U);
  EXPECT_EQ(std::accumulate(a.parts.begin(), a.parts.end(), uint64_t{0}), a.count);
}

TEST(Histogram, PartsFollowOneAnother) {
  unsigned last = 0;
  for (uint64_t ns = 0; ns < 40'000; ++ns) {
    unsigned part = Histogram::part_of(ns);
    ASSERT_TRUE(part == last || part == last + 1) << ns;
    last = part;
  }
}

// Whatever the durations are, and down to the rarest.
TEST(Histogram, TellsQuantilesWithinSevenPercent) {
  for (double step : {1.001, 1.01, 1.3}) {
    Histogram histogram;
    std::vector<uint64_t> all;
    for (double ns = 1000; ns < 2e11; ns *= step) {
      all.push_back(static_cast<uint64_t>(ns));
      histogram.add(all.back());
    }
    for (double share : {0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(all.size())));
      double seconds = static_cast<double>(all[rank - 1]) / 1e9;
      EXPECT_NEAR(histogram.quantile_seconds(share), seconds, seconds * 0.07) << share;
    }
  }
}

TEST(Histogram, HasQuantilesAtItsEnds) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile_seconds(0.5), 0);
  histogram.add(uint64_t{1} << 62);
  EXPECT_EQ(histogram.quantile_seconds(0.5), Histogram::bound_seconds(Histogram::kBuckets - 1));
}

}  // namespace
}  // namespace sluice
