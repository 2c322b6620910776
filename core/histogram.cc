#include "core/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace sluice {

namespace {

constexpr unsigned kUnitNs = 1000 / Histogram::kParts;
constexpr unsigned kPartsLog = std::countr_zero(Histogram::kParts);
static_assert(kUnitNs * Histogram::kParts == 1000 && std::has_single_bit(Histogram::kParts));

}  // namespace

void Histogram::add(const Histogram& other) {
  for (unsigned i = 0; i < parts.size(); ++i) parts[i] += other.parts[i];
  sum_ns += other.sum_ns;
  count += other.count;
}

uint64_t Histogram::in_bucket(unsigned bucket) const {
  const uint64_t* first = &parts[size_t{bucket} * kParts];
  return std::accumulate(first, first + kParts, uint64_t{0});
}

// In units of which kParts are a microsecond, the first bucket's parts are a unit wide; those of
// each further one are as wide as the bucket before, divided.
unsigned Histogram::part_of(uint64_t ns) {
  uint64_t units = ns / kUnitNs + (ns % kUnitNs != 0 ? 1 : 0);
  uint64_t below = units == 0 ? 0 : units - 1;
  if (below < kParts) return static_cast<unsigned>(below);
  unsigned bucket = static_cast<unsigned>(std::bit_width(below)) - kPartsLog;
  if (bucket >= kBuckets) return kBuckets * kParts - 1;
  return bucket * kParts + static_cast<unsigned>(below >> (bucket - 1)) % kParts;
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
