// The upstreams of the running configuration as /upstreams lists them: how healthy each is, how
// much it has to do, and how its attempts have ended. A pure function of what workers and the board
// tell; used on the admin port's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/config/snapshot.h"
#include "net/context/metrics.h"

namespace sluice {

// `now_ms`: of the monotonic clock, as the board's times.
std::string render_upstreams(const ConfigSnapshot& snapshot,
                             const std::vector<WorkerSnapshot>& workers, uint64_t now_ms);

}  // namespace sluice
