// The one source of chance of a simulation: the same seed gives the same run, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // splitmix64, whose every seed is a good one.
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // Uniform in [low, high].
  uint64_t between(uint64_t low, uint64_t high) { return low + next() % (high - low + 1); }
  // As between(), but small values are as likely as large ones.
  uint64_t magnitude(uint64_t low, uint64_t high) {
    uint64_t top = high;
    while (top > low && chance(0.5)) top /= 2;
    return between(low, top < low ? low : top);
  }
  bool chance(double probability) {
    return static_cast<double>(next() >> 11) < probability * 9007199254740992.0;  // 2^53
  }

 private:
  uint64_t state_;
};

}  // namespace sluice::sim
