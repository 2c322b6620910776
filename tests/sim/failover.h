// One seed of groups whose upstreams fail: routes with groups, weights and backups, servers whose
// moods change, and clients whose requests go to another upstream where one fails. What clients
// were answered, what servers were sent and what the breakers let through is judged
// (failover_judge.h). A violation ends the program.
#pragma once

#include "tests/sim/simulation.h"

namespace sluice::sim {

SimulationReport simulate_failover(uint64_t seed, bool traced);

}  // namespace sluice::sim
