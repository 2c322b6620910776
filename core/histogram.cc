#include "core/histogram.h"

#include <cmath>
#include <numeric>

namespace sluice {

void Histogram::add(const Histogram& other) {
  for (unsigned i = 0; i < parts.size(); ++i) parts[i] += other.parts[i];
  sum_ns += other.sum_ns;
  count += other.count;
}

uint64_t Histogram::in_bucket(unsigned bucket) const {
  const uint64_t* first = &parts[size_t{bucket} * kParts];
  return std::accumulate(first, first + kParts, uint64_t{0});
}

double Histogram::quantile_seconds(double share) const {
  if (count == 0) return 0;
  auto rank = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count)));
  unsigned part = 0;
  for (uint64_t seen = 0; part + 1 < parts.size(); ++part) {
    seen += parts[part];
    if (seen >= rank) break;
  }
  unsigned bucket = part / kParts;
  if (bucket == kBuckets - 1) return bound_seconds(bucket);
  double from = bucket == 0 ? 0 : bound_seconds(bucket - 1);
  return from + (bound_seconds(bucket) - from) * (part % kParts + 0.5) / kParts;
}

double Histogram::bound_seconds(unsigned bucket) {
  return static_cast<double>(uint64_t{1} << bucket) / 1e6;
}

}  // namespace sluice
