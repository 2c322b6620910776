#include "core/clock.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace sluice {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Between two looks at the same clock of the standard library.
TEST(Clock, MonotonicIsCountedInNanoseconds) {
  auto look = [] {
    auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(duration_cast<nanoseconds>(since).count());
  };
  uint64_t before = look();
  uint64_t now = monotonic_ns();
  EXPECT_GE(now, before);
  EXPECT_LE(now, look());
}

TEST(Clock, WallClockIsCountedInMillisecondsSince1970) {
  auto look = [] {
    auto since = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<uint64_t>(duration_cast<milliseconds>(since).count());
  };
  uint64_t before = look();
  uint64_t now = wall_clock_ms();
  EXPECT_GE(now, before);
  EXPECT_LE(now, look());
}

TEST(Clock, MonotonicGoesForwardAndNeverBack) {
  uint64_t first = monotonic_ns();
  uint64_t last = first;
  while (last == first) {
    uint64_t now = monotonic_ns();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, TheThreadsOwnTimeGrowsWithItsWork) {
  uint64_t begin_ns = thread_cpu_ns();
  uint64_t until_ns = begin_ns + 2'000'000;
  while (thread_cpu_ns() < until_ns) {
  }
  // Time that another thread spends is not ours.
  uint64_t before_ns = thread_cpu_ns();
  uint64_t others_ns = 0;
  std::thread other([&others_ns] {
    while (thread_cpu_ns() < 20'000'000) {
    }
    others_ns = thread_cpu_ns();
  });
  other.join();
  EXPECT_LT(thread_cpu_ns() - before_ns, others_ns);
}

}  // namespace
}  // namespace sluice
