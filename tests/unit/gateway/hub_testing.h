// For tests of a hub in a worker.
#pragma once

#include "net/config/config.h"

namespace sluice::test {

// The hub "main" at /hub.
inline Config hub_config() {
  Config config;
  config.routes.push_back({.path = "/hub", .upstreams = {}, .settings = {}});
  Route& route = config.routes.back();
  route.hub = "main";
  route.upstreams.push_back({.url = "hub:main", .host = "main", .address = {}});
  route.settings.heal = Heal::kOff;
  return config;
}

}  // namespace sluice::test
