// What the searches for expressions may take that belong to one event. One search is linear in its
// text, but each match begins another, so many matches may take the square of it. A step is a byte
// of text for each instruction of the expression: what RE2 takes at the most, and mostly it takes
// far less. So steps bound one search before it begins, and the thread's time bounds all of them.
// Owned by a worker's FilterBench, used on its thread.
#pragma once

#include <cstdint>

#include "net/base/limits.h"

namespace sluice {

class SearchBudget {
 public:
  struct Limits {
    uint64_t steps_max = limits::kSearchStepsMax;  // of one search
    uint64_t ask_steps = limits::kSearchAskSteps;  // from one look at the clock to the next
    uint64_t ns = limits::kSearchNs;               // of all, since the first look
  };

  // `cpu_ns`: the CPU time of this thread.
  explicit SearchBudget(uint64_t (*cpu_ns)()) : SearchBudget(cpu_ns, Limits()) {}
  SearchBudget(uint64_t (*cpu_ns)(), Limits limits) : cpu_ns_(cpu_ns), limits_(limits) {}

  // For another event.
  void renew() {
    steps_ = 0;
    ask_at_ = limits_.ask_steps;
    began_ns_ = 0;
    spent_ = false;
  }

  // False: the search may not begin, and neither may another one for this event.
  bool take(uint64_t steps) {
    steps_ += limits::kSearchBaseSteps + steps;
    spent_ = spent_ || steps > limits_.steps_max || (steps_ >= ask_at_ && takes_too_long());
    return !spent_;
  }
  bool spent() const { return spent_; }
  uint64_t steps() const { return steps_; }

 private:
  // The clock is a system call, so small events never ask it, and others seldom.
  bool takes_too_long() {
    ask_at_ = steps_ + limits_.ask_steps;
    uint64_t now_ns = cpu_ns_();
    if (began_ns_ == 0) began_ns_ = now_ns;
    return now_ns - began_ns_ > limits_.ns;
  }

  uint64_t (*cpu_ns_)();
  Limits limits_;
  uint64_t steps_ = 0;
  uint64_t ask_at_ = limits_.ask_steps;
  uint64_t began_ns_ = 0;  // when the clock was first asked; 0: it was not
  bool spent_ = false;
};

}  // namespace sluice
