#include "net/config/health_check.h"

namespace sluice {

std::vector<HealthCheck> health_checks(const ConfigSnapshot& snapshot) {
  std::vector<HealthCheck> checks(snapshot.upstream_urls().size());
  for (const Route& route : snapshot.routes()) {
    if (route.settings.health.empty()) continue;
    for (const Upstream& upstream : route.upstreams)
      if (!checks[upstream.id]) checks[upstream.id] = {&upstream, &route.settings};
  }
  return checks;
}

}  // namespace sluice
