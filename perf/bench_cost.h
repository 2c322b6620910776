// What one unit of a benchmark's work (an event, a head, a slot) costs, as a counter in plain
// nanoseconds: CPU time of the benchmark's thread, so that a neighbour on the machine disturbs it
// less than the wall clock. Made right before the loop, reported right after it; averaged where
// there are several threads.
#pragma once

#include <cstdint>

#include <benchmark/benchmark.h>

#include "core/clock.h"

namespace sluice::perf {

class CostCounter {
 public:
  void report(benchmark::State& state, const char* name, uint64_t units) const {
    const uint64_t spent_ns = thread_cpu_ns() - started_ns_;
    state.counters[name] =
        benchmark::Counter(static_cast<double>(spent_ns) / static_cast<double>(units),
                           benchmark::Counter::kAvgThreads);
  }

 private:
  uint64_t started_ns_ = thread_cpu_ns();
};

}  // namespace sluice::perf
