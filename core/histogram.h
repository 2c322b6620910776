// A histogram of durations with fixed buckets. One thread adds to it; others get copies. Bucket i
// holds durations of at most 2^i microseconds (i = 0: up to 1 us); the last bucket is open. Each is
// divided into kParts of equal width, so that a quantile is told within 7 %: scrapes have the
// buckets alone, of which a scraper makes quantiles that may be half or twice the true one.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace sluice {

struct Histogram {
  static constexpr unsigned kBuckets = 30;  // the last closed bound is 2^28 us = 268 s
  static constexpr unsigned kParts = 8;     // a power of two

  std::array<uint64_t, kBuckets * kParts> parts{};  // those of a bucket side by side
  uint64_t sum_ns = 0;
  uint64_t count = 0;

  void add(uint64_t ns, uint64_t times = 1) {
    parts[part_of(ns)] += times;
    sum_ns += ns * times;
    count += times;
  }
  void add(const Histogram& other);

  uint64_t in_bucket(unsigned bucket) const;
  // The duration below which that share of them lies (0 < share <= 1): the middle of its part. 0
  // where there are none. What is beyond the last closed bound counts as twice that.
  double quantile_seconds(double share) const;

  // In units of which kParts are a microsecond, the first bucket's parts are a unit wide; those of
  // each further one are as wide as the bucket before, divided. Here, since each event asks twice.
  static unsigned part_of(uint64_t ns) {
    uint64_t below = ns == 0 ? 0 : (ns - 1) / kUnitNs;  // whole units; a bound belongs to its unit
    if (below < kParts) return static_cast<unsigned>(below);
    unsigned bucket = static_cast<unsigned>(std::bit_width(below)) - kPartsLog;
    if (bucket >= kBuckets) return kBuckets * kParts - 1;
    return bucket * kParts + static_cast<unsigned>(below >> (bucket - 1)) % kParts;
  }
  static unsigned bucket_of(uint64_t ns) { return part_of(ns) / kParts; }
  // The inclusive upper bound of a closed bucket, in seconds.
  static double bound_seconds(unsigned bucket);

 private:
  static constexpr unsigned kUnitNs = 1000 / kParts;
  static constexpr unsigned kPartsLog = std::countr_zero(kParts);
  static_assert(kUnitNs * kParts == 1000 && std::has_single_bit(kParts));
};

}  // namespace sluice
