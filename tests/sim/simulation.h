// One seed: a gateway with a configuration, a kernel with its liberties, upstreams and clients, all
// of it made up from the seed; run until every client has what it came for, checked after every
// turn of the loop, and then until nothing is left. A violation ends the program.
#pragma once

#include <cstdint>

namespace sluice::sim {

struct SimulationReport {
  uint64_t turns = 0;
  uint64_t requests = 0;
  uint64_t complete = 0;
  uint64_t aborted = 0;
  uint64_t refused = 0;
  uint64_t healed = 0;  // or at least tried to
};

SimulationReport simulate(uint64_t seed, bool traced);
// With health checks, which draw from the same source; so a seed is another one.
SimulationReport simulate_probed(uint64_t seed, bool traced);
// With clients that speak HTTP/2, beside some that do not.
SimulationReport simulate_http2(uint64_t seed, bool traced);

}  // namespace sluice::sim
