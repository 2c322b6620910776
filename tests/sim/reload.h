// Seeds of reloads: routes go and come back, get other upstreams and other limits, under requests
// of all ages. Each request is answered as a configuration says that was there between its first
// byte and its answer, by an upstream or by an error; what has begun goes on to its end.
#pragma once

#include "tests/sim/simulation.h"

namespace sluice::sim {

SimulationReport simulate_reload(uint64_t seed, bool traced);

}  // namespace sluice::sim
