// How long a busy loop may gather completions before it wakes, so that one wake-up serves many
// events: the price is that much latency. Automatic: nothing while the worker uses less than half
// of its core, then more the busier it is, so that a quiet gateway adds nothing and a loaded one
// trades latency, which queueing would take anyway, for capacity. Owned by the loop, used on its
// thread; it reads no clock.
#pragma once

#include <cstdint>
#include <optional>

namespace sluice {

class LatencyBudget {
 public:
  // What the automatic budget grows to.
  static constexpr uint64_t kAutoMaxNs = 200'000;
  // How often it wants to know the time and the thread's CPU time.
  static constexpr uint64_t kSampleNs = 10'000'000;

  // nullopt: automatic; 0: never.
  explicit LatencyBudget(std::optional<uint64_t> fixed_ns = 0) : fixed_ns_(fixed_ns) {}

  // For the wait that is about to begin. A turn without completions gathers nothing after it, so
  // that where gathering is a timed wait, an idle worker does not poll.
  uint64_t gather_ns(bool last_turn_had_work) const;

  bool sample_due(uint64_t now_ns) const { return now_ns >= sampled_ns_ + kSampleNs; }
  void sample(uint64_t now_ns, uint64_t cpu_ns);

  // The part of its core that the thread used lately, 0 to 1.
  double busy() const { return busy_; }

 private:
  std::optional<uint64_t> fixed_ns_;
  double busy_ = 0;
  uint64_t sampled_ns_ = 0;
  uint64_t sampled_cpu_ns_ = 0;
};

}  // namespace sluice
