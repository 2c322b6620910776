// Seeds of hubs: publishers and subscribers of a process with one to three workers, which reloads,
// drains, is killed and starts again, in memory or with a disk; what they get is compared with all
// that was ever published.
#pragma once

#include "tests/sim/simulation.h"

namespace sluice::sim {

SimulationReport simulate_hub(uint64_t seed, bool traced);
// A thousand subscribers that are cut at random for ten minutes, over reloads and restarts. A seed
// takes about a minute.
SimulationReport simulate_hub_resume(uint64_t seed, bool traced);

}  // namespace sluice::sim
