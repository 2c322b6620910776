#include "core/histogram.h"

#include <numeric>

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
  EXPECT_EQ(histogram.counts[2], 5U);
  EXPECT_EQ(histogram.counts[0], 1U);
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
  EXPECT_EQ(a.counts[1], 4U);
  EXPECT_EQ(a.counts[Histogram::bucket_of(1'000'000'000)], 1U);
  EXPECT_EQ(std::accumulate(a.counts.begin(), a.counts.end(), uint64_t{0}), a.count);
}

}  // namespace
}  // namespace sluice
