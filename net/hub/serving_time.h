// Whether serving readers takes most of a worker's time. Sends are done with when the kernel has
// been entered, so what a turn has for readers takes until the next turn begins. Pure; owned by a
// worker's part of a hub.
#pragma once

#include <cstdint>

namespace sluice {

class ServingTime {
 public:
  // Readers are served in the turn that began then.
  void begin(uint64_t now_ns) {
    see(now_ns);
    since_ns_ = now_ns;
  }
  // In each turn.
  void see(uint64_t now_ns) {
    if (since_ns_ == 0 || since_ns_ == now_ns) return;
    took_ns_ = now_ns - since_ns_;
    until_ns_ = now_ns;
    since_ns_ = 0;
  }
  // The last time took longer than has passed since.
  bool is_most(uint64_t now_ns) {
    see(now_ns);
    return now_ns - until_ns_ < took_ns_;
  }

 private:
  uint64_t since_ns_ = 0;  // 0: none are being served
  uint64_t took_ns_ = 0;
  uint64_t until_ns_ = 0;
};

}  // namespace sluice
