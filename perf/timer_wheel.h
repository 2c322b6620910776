// core's timer wheel in nanoseconds, with a tick that the tool chooses: a worker's millisecond is
// too coarse for perf/origin, which paces to 100 us. One wheel a thread. A timer never fires before
// its time, and at most one tick after it (plus the caller's own delay).
#pragma once

#include <cstdint>

#include "core/timer_wheel.h"

namespace sluice::perf {

class NsTimerWheel {
 public:
  NsTimerWheel(uint64_t tick_ns, uint64_t now_ns) : tick_ns_(tick_ns), wheel_(now_ns / tick_ns) {}

  void schedule(Timer& timer, uint64_t due_ns) {
    wheel_.schedule(timer, (due_ns + tick_ns_ - 1) / tick_ns_);
  }
  void cancel(Timer& timer) { wheel_.cancel(timer); }
  void advance(uint64_t now_ns) { wheel_.advance(now_ns / tick_ns_); }

  // Nanoseconds from now in which no timer is due, at most `longest_ns`.
  uint64_t idle_ns(uint64_t now_ns, uint64_t longest_ns) const {
    const uint64_t next = wheel_.next_tick();
    if (next > (now_ns + longest_ns) / tick_ns_) return longest_ns;
    return next * tick_ns_ > now_ns ? next * tick_ns_ - now_ns : 0;
  }

 private:
  uint64_t tick_ns_;
  TimerWheel wheel_;
};

}  // namespace sluice::perf
