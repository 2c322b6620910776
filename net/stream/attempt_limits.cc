#include "net/stream/attempt_limits.h"

#include <algorithm>

#include "net/base/limits.h"

namespace sluice {

AttemptLimits::Limits& AttemptLimits::of(uint32_t upstream) {
  if (upstreams_.size() <= upstream)
    upstreams_.resize(upstream + 1, {limits::kRetriesAtFirst * limits::kRequestsPerRetry});
  return upstreams_[upstream];
}

void AttemptLimits::request_begins(uint32_t upstream) {
  constexpr uint32_t kMost = limits::kRetriesSaved * limits::kRequestsPerRetry;
  uint32_t& parts = of(upstream).retry_parts;
  parts = std::min(parts + 1, kMost);
}

bool AttemptLimits::take_retry(uint32_t upstream) {
  uint32_t& parts = of(upstream).retry_parts;
  if (parts < limits::kRequestsPerRetry) return false;
  parts -= limits::kRequestsPerRetry;
  return true;
}

uint64_t AttemptLimits::take_reconnect(uint32_t upstream, uint64_t rate, uint64_t now_ms,
                                       uint64_t too_late_ms) {
  if (rate == 0) return now_ms;
  uint64_t& next_us = of(upstream).next_reconnect_us;
  uint64_t at_us = std::max(next_us, now_ms * 1000);
  if (at_us / 1000 < too_late_ms) next_us = at_us + 1'000'000 / rate;
  return at_us / 1000;
}

}  // namespace sluice
