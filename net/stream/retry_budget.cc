#include "net/stream/retry_budget.h"

#include <algorithm>

#include "net/base/limits.h"

namespace sluice {

namespace {

constexpr uint32_t kPartsAtFirst = limits::kRetriesAtFirst * limits::kRequestsPerRetry;

}  // namespace

uint32_t& RetryBudget::parts_of(uint32_t upstream) {
  if (parts_.size() <= upstream) parts_.resize(upstream + 1, kPartsAtFirst);
  return parts_[upstream];
}

void RetryBudget::forget(uint32_t upstream) {
  parts_of(upstream) = kPartsAtFirst;
}

void RetryBudget::request_begins(uint32_t upstream) {
  constexpr uint32_t kMost = limits::kRetriesSaved * limits::kRequestsPerRetry;
  uint32_t& parts = parts_of(upstream);
  parts = std::min(parts + 1, kMost);
}

bool RetryBudget::take_retry(uint32_t upstream) {
  uint32_t& parts = parts_of(upstream);
  if (parts < limits::kRequestsPerRetry) return false;
  parts -= limits::kRequestsPerRetry;
  return true;
}

}  // namespace sluice
