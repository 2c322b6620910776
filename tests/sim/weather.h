// What a simulation is made of beside its peers' scripts: the liberties that its kernel takes, how
// its upstreams behave, the gateway's configuration. Made up from the seed, at first and at once.
// Each kind of thing that may go wrong does so in some simulations only, so that others show what
// must then work.
#pragma once

#include <cstdint>
#include <vector>

#include "core/features.h"
#include "net/config/config.h"
#include "tests/sim/kernel.h"
#include "tests/sim/random.h"
#include "tests/sim/scene.h"

namespace sluice::sim {

// An upstream's port, or the number at the end of its socket's path.
inline constexpr uint16_t kFirstPort = 9000;

struct Weather {
  Liberties kernel;
  std::vector<UpstreamTraits> upstreams;
  bool freezes = false;
  // Many clients, most of which stand still, and few slots.
  bool crowded = false;
  // The process ends in the middle of it.
  bool drains = false;
};

Weather make_weather(Random& random);

// Several routes, each with settings and some of the upstreams of its own, the one of "/" last.
Config make_config(Random& random, const Weather& weather);
// How its groups choose, and what they bear of their upstreams.
void vary_groups(Config& config, Random& random);
// Which of its routes pack what leaves, and how; what all clients say that they accept.
std::string vary_codings(Config& config, Random& random);
// Which of its routes have their upstreams probed, and how.
void vary_health(Config& config, Random& random);
// The same as far as requests can tell: other routes beside those, another order, and connections
// to upstreams that are made otherwise, so that those from before are of no more use.
Config reloaded(const Config& config, Random& random);
Features make_features(Random& random);

}  // namespace sluice::sim
