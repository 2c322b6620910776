// The clock of the load tools: CLOCK_MONOTONIC in nanoseconds, the same in every process of this
// machine, so that a time stamp written by the origin can be compared with the load's.
#pragma once

#include <cstdint>
#include <ctime>

namespace sluice::perf {

inline constexpr uint64_t kNsPerMs = 1'000'000;
inline constexpr uint64_t kNsPerS = 1'000'000'000;

inline uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNsPerS + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace sluice::perf
