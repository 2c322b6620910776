// Random input that can be had again: the seed comes from SLUICE_SEED or from the system, and
// belongs in a SCOPED_TRACE, so that a failure names it.
#pragma once

#include <cstdlib>
#include <random>
#include <string>

#include "core/text.h"

namespace sluice::test {

class RandomSource {
 public:
  RandomSource() : seed_(choose_seed()), engine_(seed_) {}

  // Uniform in [low, high].
  size_t between(size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(engine_);
  }

  std::string trace() const { return "to repeat: SLUICE_SEED=" + std::to_string(seed_); }

 private:
  static uint32_t choose_seed() {
    const char* forced = std::getenv("SLUICE_SEED");
    return forced ? static_cast<uint32_t>(parse_decimal(forced, UINT32_MAX).value())
                  : std::random_device{}();
  }

  uint32_t seed_;
  std::mt19937 engine_;
};

}  // namespace sluice::test
