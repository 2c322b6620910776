// Chance that can be had again: the same seed gives the same numbers, on every machine (splitmix64,
// whose every seed is a good one). For jitter, choices and simulations; not for secrets. Owned by
// one thread.
#pragma once

#include <cstdint>

namespace sluice {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // Uniform in [low, high].
  uint64_t between(uint64_t low, uint64_t high) { return low + next() % (high - low + 1); }

 private:
  uint64_t state_;
};

}  // namespace sluice
