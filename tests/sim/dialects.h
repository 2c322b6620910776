// One seed of streams in a dialect of language models: upstreams that break off, fail within a 200,
// forget their last event or say more behind it, with and without a content gate. Some pack what
// they say, some clients take it packed, some leave; routes may have filters and count usage. Every
// client checks what it is told against what the upstreams said, and what filters should make of
// that. A violation ends the program.
#pragma once

#include "tests/sim/simulation.h"

namespace sluice::sim {

SimulationReport simulate_dialects(uint64_t seed, bool traced);

}  // namespace sluice::sim
