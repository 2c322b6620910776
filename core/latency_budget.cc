#include "core/latency_budget.h"

#include <algorithm>

namespace sluice {

namespace {

// Gathering is for a thread that needs its core. The CPU time that it saves must not end it, hence
// the distance.
constexpr double kBusyToTry = 0.5;
constexpr double kBusyToGoOn = 0.2;

// A trial has so many turns of so many samples each. The first sample of a turn belongs to the turn
// before.
constexpr unsigned kTurnSamples = 10;
constexpr unsigned kTurns = 8;

// CPU time for the same bytes: gathering begins if it costs clearly less, and ends if it no longer
// does.
constexpr double kCostToBegin = 0.92;
constexpr double kCostToGoOn = 0.95;
// Bytes in the same time. Bursts make two turns differ; a load that waits for us makes them differ
// more.
constexpr double kRateLeast = 0.85;

constexpr uint64_t kPauseLeastNs = 2'000'000'000;
constexpr uint64_t kPauseMostNs = 64'000'000'000;

}  // namespace

uint64_t LatencyBudget::gather_ns(bool last_turn_had_work) const {
  if (!last_turn_had_work) return 0;
  if (fixed_ns_) return *fixed_ns_;
  return gathers_now() ? kAutoNs : 0;
}

bool LatencyBudget::gathers_now() const {
  if (!trying()) return gathers_;
  bool other = (trial_sample_ - 1) / kTurnSamples % 2 == 1;
  return gathers_ != other;
}

void LatencyBudget::sample(uint64_t now_ns, uint64_t cpu_ns, uint64_t bytes) {
  if (sampled_ns_ != 0) {
    Cost cost{.cpu_ns = static_cast<double>(cpu_ns - sampled_cpu_ns_),
              .bytes = static_cast<double>(bytes - sampled_bytes_),
              .elapsed_ns = static_cast<double>(now_ns - sampled_ns_)};
    // Smoothed over some samples. After a long wait the past counts for nothing.
    double weight = std::min(1.0, cost.elapsed_ns / (8.0 * kSampleNs));
    busy_ += (std::min(1.0, cost.cpu_ns / cost.elapsed_ns) - busy_) * weight;
    if (!fixed_ns_) {
      if (trying())
        go_on_trying(cost);
      else if (gathers_ && busy_ < kBusyToGoOn)
        settle(false);
      else if (now_ns >= next_trial_ns_ && busy_ >= (gathers_ ? kBusyToGoOn : kBusyToTry))
        begin_trial();
    }
  }
  sampled_ns_ = now_ns;
  sampled_cpu_ns_ = cpu_ns;
  sampled_bytes_ = bytes;
}

void LatencyBudget::begin_trial() {
  trial_sample_ = 1;
  costs_ = {};
}

void LatencyBudget::go_on_trying(const Cost& sample) {
  // A thread that slept has nothing to compare.
  if (sample.elapsed_ns > 4.0 * kSampleNs) {
    settle(gathers_);
    return;
  }
  if (trial_sample_ % kTurnSamples != 1) {
    Cost& sum = costs_[gathers_now() ? 1 : 0];
    sum.cpu_ns += sample.cpu_ns;
    sum.bytes += sample.bytes;
    sum.elapsed_ns += sample.elapsed_ns;
  }
  if (trial_sample_++ < kTurns * kTurnSamples) return;
  const auto& [at_once, gathered] = costs_;
  // Products instead of quotients, so that no zero divides.
  double most = gathers_ ? kCostToGoOn : kCostToBegin;
  bool costs_less = gathered.cpu_ns * at_once.bytes < most * at_once.cpu_ns * gathered.bytes;
  bool moves_as_much =
      gathered.bytes * at_once.elapsed_ns >= kRateLeast * at_once.bytes * gathered.elapsed_ns;
  settle(costs_less && moves_as_much);
}

void LatencyBudget::settle(bool gathers) {
  bool changed = gathers != gathers_;
  pause_ns_ = changed ? kPauseLeastNs : std::clamp(2 * pause_ns_, kPauseLeastNs, kPauseMostNs);
  next_trial_ns_ = sampled_ns_ + pause_ns_;
  gathers_ = gathers;
  trial_sample_ = 0;
}

}  // namespace sluice
