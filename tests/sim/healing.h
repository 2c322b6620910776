// A simulation of its own, for streams that are healed: upstreams that die in mid-stream, return,
// and resume rightly, from the beginning, too late, or not at all. Its property: a client sees
// every event with an id once and in order, or a gap event, or an abort, and never a part of an
// event. Beside the other one (simulation.h), so that its draws are not those of that.
#pragma once

#include "tests/sim/simulation.h"

namespace sluice::sim {

SimulationReport simulate_healing(uint64_t seed, bool traced);

}  // namespace sluice::sim
