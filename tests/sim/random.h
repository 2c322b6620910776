// The one source of chance of a simulation: the same seed gives the same run, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/random.h"

namespace sluice::sim {

class Random : public sluice::Random {
 public:
  using sluice::Random::Random;

  // As between(), but small values are as likely as large ones.
  uint64_t magnitude(uint64_t low, uint64_t high) {
    uint64_t top = high;
    while (top > low && chance(0.5)) top /= 2;
    return between(low, top < low ? low : top);
  }
  bool chance(double probability) {
    return static_cast<double>(next() >> 11) < probability * 9007199254740992.0;  // 2^53
  }
};

}  // namespace sluice::sim
