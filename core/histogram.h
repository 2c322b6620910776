// A histogram of durations with fixed power-of-two buckets. One thread adds to it; others get
// copies. Bucket i counts durations of at most 2^i microseconds (i = 0: up to 1 us); the last
// bucket is open. The renderer makes the cumulative buckets that Prometheus wants.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

struct Histogram {
  static constexpr unsigned kBuckets = 30;  // the last closed bound is 2^28 us = 268 s

  std::array<uint64_t, kBuckets> counts{};
  uint64_t sum_ns = 0;
  uint64_t count = 0;

  void add(uint64_t ns, uint64_t times = 1) {
    counts[bucket_of(ns)] += times;
    sum_ns += ns * times;
    count += times;
  }
  void add(const Histogram& other);

  static unsigned bucket_of(uint64_t ns);
  // The inclusive upper bound of a closed bucket, in seconds.
  static double bound_seconds(unsigned bucket);
};

}  // namespace sluice
