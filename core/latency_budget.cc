#include "core/latency_budget.h"

#include <algorithm>

namespace sluice {

uint64_t LatencyBudget::gather_ns(bool last_turn_had_work) const {
  if (!last_turn_had_work) return 0;
  if (fixed_ns_) return *fixed_ns_;
  double above_half = std::clamp(busy_ * 2 - 1, 0.0, 1.0);
  auto gather_us = static_cast<uint64_t>(above_half * static_cast<double>(kAutoMaxNs) / 1000);
  return gather_us * 1000;
}

void LatencyBudget::sample(uint64_t now_ns, uint64_t cpu_ns) {
  if (sampled_ns_ != 0) {
    auto elapsed = static_cast<double>(now_ns - sampled_ns_);
    double busy = std::min(1.0, static_cast<double>(cpu_ns - sampled_cpu_ns_) / elapsed);
    // Smoothed over some samples; after a long wait the past says nothing.
    double weight = std::min(1.0, elapsed / (8.0 * kSampleNs));
    busy_ += (busy - busy_) * weight;
  }
  sampled_ns_ = now_ns;
  sampled_cpu_ns_ = cpu_ns;
}

}  // namespace sluice
