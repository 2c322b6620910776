// A simulation's time and what is yet to happen in it, and the two ways to speak: the trace, and
// the violation that ends a run. One thread. Nothing here knows the gateway.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/random.h"

namespace sluice::sim {

inline constexpr uint64_t kMicrosecond = 1000;
inline constexpr uint64_t kMillisecond = 1000 * kMicrosecond;
inline constexpr uint64_t kSecond = 1000 * kMillisecond;
inline constexpr uint64_t kNever = UINT64_MAX;

class World {
 public:
  World(uint64_t seed, bool traced) : random(seed), traced_(traced) {}

  uint64_t now_ns() const { return now_ns_; }
  // Events of the same time happen in the order in which they were announced.
  void after(uint64_t delay_ns, std::function<void()> happens) {
    events_.push({now_ns_ + delay_ns, announced_++, std::move(happens)});
  }
  uint64_t next_ns() const { return events_.empty() ? kNever : events_.top().at_ns; }
  // Everything due by then happens.
  void advance_to(uint64_t at_ns);

  bool traced() const { return traced_; }
  [[gnu::format(printf, 2, 3)]] void trace(const char* format, ...) const;

  Random random;

 private:
  struct Event {
    uint64_t at_ns;
    uint64_t number;
    std::function<void()> happens;

    bool operator<(const Event& other) const {
      return at_ns != other.at_ns ? at_ns > other.at_ns : number > other.number;
    }
  };

  std::priority_queue<Event> events_;
  uint64_t now_ns_ = 1000 * kSecond;
  uint64_t announced_ = 0;
  bool traced_;
};

// What must never happen has: prints it and aborts, which names the seed (main.cc).
[[noreturn]] void violation(const std::string& what);

}  // namespace sluice::sim
