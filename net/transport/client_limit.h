// How many clients the whole process may have at once, and how many it has: one count for all
// workers, so that none pauses while there is room anywhere. Owned by the server, used by every
// worker's gateway. It is the one thing that workers write in common, and they write it only when a
// connection comes or goes, never for an event. A single accept reserves nothing: each listener may
// have one armed when the last place goes, so clients may pass the limit by the number of
// listeners. A multishot accept takes its whole backlog before anybody has counted, and reserves
// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/socket.h>

namespace sluice {

class ClientLimit {
 public:
  explicit ClientLimit(uint64_t most) : most_(most) {}

  uint64_t most() const { return most_.load(std::memory_order_relaxed); }
  // A reload may leave more or less room for them.
  void set_most(uint64_t most) { most_.store(most, std::memory_order_relaxed); }
  // Clients, and backlogs that are reserved.
  uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  bool full() const { return taken() >= most(); }
  void enter() { taken_.fetch_add(1, std::memory_order_relaxed); }
  void leave() { taken_.fetch_sub(1, std::memory_order_relaxed); }

  // For a multishot accept. It is to end, and give its backlog back, once another one would not
  // fit: before the others' single accepts find no room for it.
  bool reserve_backlog() {
    uint64_t taken = taken_.load(std::memory_order_relaxed);
    while (taken + 2 * kBacklog < most())
      if (taken_.compare_exchange_weak(taken, taken + kBacklog, std::memory_order_relaxed))
        return true;
    return false;
  }
  bool backlogs_fit() const { return taken() + kBacklog < most(); }
  void return_backlog() { taken_.fetch_sub(kBacklog, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kBacklog = SOMAXCONN;

  std::atomic<uint64_t> most_;
  std::atomic<uint64_t> taken_{0};
};

}  // namespace sluice
