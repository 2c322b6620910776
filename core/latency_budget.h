// How long a busy loop may gather completions before it wakes, so that one wake-up serves many
// events; the price is that much latency. Automatic: nothing, or kAutoNs if that is measured to
// cost less CPU time for the same bytes. Nothing lies in between, since a shorter wait costs more
// than either: it ends before anything is gathered. Owned by the loop, used on its thread; it reads
// no clock.
//
// The better choice depends on the load, so the loop tries: once the thread uses half of its core,
// both ways take turns for a second, and the better one stays until the next trial. Trials that
// change nothing become rare. A way that moves fewer bytes has only made its peers wait, and is no
// better.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace sluice {

class LatencyBudget {
 public:
  // The automatic budget, where it is not nothing.
  static constexpr uint64_t kAutoNs = 200'000;
  // How often it asks for the time, the thread's CPU time, and the bytes that were moved.
  static constexpr uint64_t kSampleNs = 10'000'000;

  // nullopt: automatic; 0: never.
  explicit LatencyBudget(std::optional<uint64_t> fixed_ns = 0) : fixed_ns_(fixed_ns) {}

  // For the wait that is about to begin. After a turn without completions nothing is gathered, so
  // that an idle worker does not poll where gathering is a timed wait.
  uint64_t gather_ns(bool last_turn_had_work) const;

  bool sample_due(uint64_t now_ns) const { return now_ns >= sampled_ns_ + kSampleNs; }
  // Totals so far: of the thread's CPU time, and of bytes received and sent.
  void sample(uint64_t now_ns, uint64_t cpu_ns, uint64_t bytes);

  // The part of its core that the thread used lately, 0 to 1.
  double busy() const { return busy_; }
  // The settled way.
  bool gathers() const { return gathers_; }

 private:
  // The cost of one way in a trial.
  struct Cost {
    double cpu_ns = 0;
    double bytes = 0;
    double elapsed_ns = 0;
  };

  void begin_trial();
  void go_on_trying(const Cost& sample);
  void settle(bool gathers);
  bool trying() const { return trial_sample_ > 0; }
  // In a trial the ways take turns, the settled one first.
  bool gathers_now() const;

  std::optional<uint64_t> fixed_ns_;
  double busy_ = 0;
  uint64_t sampled_ns_ = 0;
  uint64_t sampled_cpu_ns_ = 0;
  uint64_t sampled_bytes_ = 0;
  bool gathers_ = false;
  unsigned trial_sample_ = 0;  // the number of the sample under way; 0: no trial
  std::array<Cost, 2> costs_;  // of waking at once, of gathering
  uint64_t next_trial_ns_ = 0;
  uint64_t pause_ns_ = 0;  // between two trials
};

}  // namespace sluice
