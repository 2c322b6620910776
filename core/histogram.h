// A histogram of durations with fixed power-of-two buckets, for one thread to add to and others
// to receive by copy. Bucket i counts durations of at most 2^i microseconds (i = 0: up to 1 us);
// the last bucket is open. Cumulative buckets, as Prometheus wants them, are made when rendered.
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
