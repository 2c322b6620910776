#include "core/clock.h"

#include <ctime>

namespace sluice {

namespace {

uint64_t read_clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

uint64_t monotonic_ns() {
  return read_clock_ns(CLOCK_MONOTONIC);
}
uint64_t thread_cpu_ns() {
  return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
uint64_t wall_clock_ms() {
  return read_clock_ns(CLOCK_REALTIME) / 1'000'000;
}

}  // namespace sluice
