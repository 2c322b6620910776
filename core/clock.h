// The time, as the data path sees it. Part of the seam: a simulated kernel supplies its own.
// Callable from any thread. The loop reads the monotonic clock once a turn; everything else
// asks the loop.
#pragma once

#include <cstdint>

namespace sluice {

inline constexpr uint64_t kNsPerMs = 1'000'000;
inline constexpr uint64_t kNsPerS = 1'000'000'000;

uint64_t monotonic_ns();
uint64_t thread_cpu_ns();  // CPU time of the calling thread, kernel included; a system call
uint64_t wall_clock_ms();  // milliseconds since 1970, for log lines only

}  // namespace sluice
