// How the upstreams of a configuration are to be probed: one check for each url, however many
// routes name it. Where routes that ask for a check of the same upstream differ, the first one in
// the order of paths ("/" comes first) has all the say: a path goes with the statuses and times
// that were meant for it. A pure function of the snapshot, valid as long as that is held.
#pragma once

#include <string>
#include <vector>

#include "net/config/snapshot.h"

namespace sluice {

struct HealthCheck {
  const Upstream* upstream = nullptr;  // null: no route asks for a check
  const StreamSettings* settings = nullptr;

  explicit operator bool() const { return upstream != nullptr; }
  // The same question, and the same answers are good ones.
  bool asks_as(const HealthCheck& other) const {
    return settings->health == other.settings->health &&
           settings->health_status == other.settings->health_status;
  }
};

// By the upstreams' numbers, also of those that only former snapshots had.
std::vector<HealthCheck> health_checks(const ConfigSnapshot& snapshot);

}  // namespace sluice
