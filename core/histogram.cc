#include "core/histogram.h"

#include <algorithm>
#include <bit>

namespace sluice {

void Histogram::add(const Histogram& other) {
  for (unsigned i = 0; i < kBuckets; ++i) counts[i] += other.counts[i];
  sum_ns += other.sum_ns;
  count += other.count;
}

unsigned Histogram::bucket_of(uint64_t ns) {
  uint64_t us_rounded_up = (ns + 999) / 1000;
  if (us_rounded_up <= 1) return 0;
  return std::min(static_cast<unsigned>(std::bit_width(us_rounded_up - 1)), kBuckets - 1);
}

double Histogram::bound_seconds(unsigned bucket) {
  return static_cast<double>(uint64_t{1} << bucket) / 1e6;
}

}  // namespace sluice
