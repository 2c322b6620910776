// Whether the gateway's counters say what its peers have seen and what its kernel has done. Asked
// once, when nothing is left: what has begun has ended then.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "net/context/metrics.h"
#include "tests/sim/kernel.h"

namespace sluice::sim {

struct Seen {
  uint64_t complete = 0;
  uint64_t requests = 0;
  uint64_t body_bytes = 0;  // of the answers that were complete
  uint64_t reached = 0;     // requests that upstreams have read the heads of
  // Answers by route and status.
  std::map<std::pair<size_t, int>, uint64_t> answers = {};
  // Every request has had an answer to its end, and nobody has asked for anything else.
  bool all = false;
  // Not all connections to upstreams were for requests.
  bool probed = false;
  // The process has stood still: what a client took then may have come too late for the gateway.
  bool stood_still = false;
};

void check_counters(const Metrics& metrics, const Kernel& kernel, const Seen& seen);

}  // namespace sluice::sim
