#include "net/upstream/endpoints.h"

#include <algorithm>

namespace sluice {

bool Endpoints::choose(Stream& stream, uint64_t tried) {
  const Route& route = stream.route();
  if (turns_.size() <= route.id) turns_.resize(route.id + 1);
  for (size_t i = 0; i < route.upstreams.size(); ++i) {
    auto index = static_cast<uint32_t>(turns_[route.id]++ % route.upstreams.size());
    if ((tried >> index & 1) != 0) continue;
    stream.upstream_index = index;
    return true;
  }
  return false;
}

void Endpoints::acquire(Stream& stream, bool fresh) {
  Endpoint& chosen = endpoint(stream.upstream());
  chosen.attempt_begun();
  chosen.acquire(stream, fresh);
}

void Endpoints::forget(Stream& stream) {
  endpoint(stream.upstream()).forget(stream);
}

void Endpoints::attempt_ended(const Stream& stream, const AttemptOutcome& outcome) {
  endpoint(stream.upstream()).attempt_ended(outcome);
}

Endpoint& Endpoints::endpoint(const Upstream& upstream) {
  if (endpoints_.size() <= upstream.id) endpoints_.resize(upstream.id + 1);
  std::unique_ptr<Endpoint>& place = endpoints_[upstream.id];
  if (!place) {
    place = std::make_unique<Endpoint>(shared_, upstream);
    if (std::optional<uint64_t> limit = limits()[upstream.id]) place->limit(*limit);
  }
  return *place;
}

// Of routes that name the same upstream the strictest holds; nullopt: none names it.
std::vector<std::optional<uint64_t>> Endpoints::limits() const {
  const ConfigSnapshot& snapshot = *shared_.context.snapshot;
  std::vector<std::optional<uint64_t>> all(snapshot.upstream_urls().size());
  for (const Route& route : snapshot.routes()) {
    uint64_t limit = route.settings.upstream_max_connections;
    for (const Upstream& upstream : route.upstreams) {
      std::optional<uint64_t>& strictest = all[upstream.id];
      bool stricter = limit != 0 && (strictest.value_or(0) == 0 || limit < *strictest);
      if (!strictest || stricter) strictest = limit;
    }
  }
  return all;
}

void Endpoints::reload() {
  for (auto& endpoint : endpoints_)
    if (endpoint) endpoint->retire_pools();
  for (const Route& route : shared_.context.snapshot->routes()) {
    ConnectionSettings settings = ConnectionSettings::of(route.settings);
    for (const Upstream& upstream : route.upstreams) {
      if (upstream.id >= endpoints_.size() || !endpoints_[upstream.id]) continue;
      if (UpstreamPool* pool = endpoints_[upstream.id]->find_pool(upstream, settings))
        pool->set_retired(false);
    }
  }
  std::vector<std::optional<uint64_t>> limits = this->limits();
  uint64_t close_at_us = shared_.context.loop.now_ms() * 1000;
  for (auto& endpoint : endpoints_) {
    if (!endpoint) continue;
    endpoint->close_retired(close_at_us);
    if (limits[endpoint->id()]) endpoint->limit(*limits[endpoint->id()]);
  }
}

void Endpoints::housekeep() {
  for (auto& endpoint : endpoints_)
    if (endpoint && endpoint->shrink()) endpoint.reset();
}

void Endpoints::close_idle() {
  for (auto& endpoint : endpoints_)
    if (endpoint) endpoint->close_idle();
}

}  // namespace sluice
