// How many clients the whole process may have at once, and how many it has: one count for all
// workers, so that none pauses while there is room anywhere. Owned by the server, used by every
// worker's gateway. It is the one thing that workers write in common, and they write it only when a
// connection comes or goes, never for an event. Each listener of each worker may have one accept
// armed when the last place goes, so the count may pass the limit by the number of listeners.
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/socket.h>

namespace sluice {

class ClientLimit {
 public:
  // `listeners`: those of all workers together.
  ClientLimit(uint64_t most, uint64_t listeners) : most_(most), backlogs_(listeners * SOMAXCONN) {}

  uint64_t most() const { return most_; }
  uint64_t clients() const { return clients_.load(std::memory_order_relaxed); }
  bool full() const { return clients() >= most_; }
  // A multishot accept takes a whole backlog before anybody has counted, and so may every other
  // listener's at the same time.
  bool room_for_backlogs() const { return clients() + backlogs_ < most_; }

  void enter() { clients_.fetch_add(1, std::memory_order_relaxed); }
  void leave() { clients_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  uint64_t most_;
  uint64_t backlogs_;
  std::atomic<uint64_t> clients_{0};
};

}  // namespace sluice
