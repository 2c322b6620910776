#include "net/upstream/endpoints.h"

#include <algorithm>

namespace sluice {

namespace {

ConnectionSettings connections_of(const Stream& stream) {
  return ConnectionSettings::of(stream.settings());
}

}  // namespace

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
  ConnectionSettings settings = connections_of(stream);
  UpstreamPool* pool = chosen.find_pool(settings);
  if (!pool) {
    pool = &chosen.pool(settings);
    pool->set_retired(!in_use(chosen.id(), settings));
  }
  chosen.attempt_begun();
  pool->acquire(stream, fresh);
}

void Endpoints::forget(Stream& stream) {
  endpoint(stream.upstream()).pool(connections_of(stream)).forget(stream);
}

void Endpoints::attempt_ended(const Stream& stream, const AttemptOutcome& outcome) {
  endpoint(stream.upstream()).attempt_ended(outcome);
}

Endpoint& Endpoints::endpoint(const Upstream& upstream) {
  if (endpoints_.size() <= upstream.id) endpoints_.resize(upstream.id + 1);
  std::unique_ptr<Endpoint>& place = endpoints_[upstream.id];
  if (!place) place = std::make_unique<Endpoint>(shared_, upstream);
  return *place;
}

bool Endpoints::in_use(uint32_t id, const ConnectionSettings& settings) const {
  return std::ranges::any_of(shared_.context.snapshot->routes(), [&](const Route& route) {
    return std::ranges::count(route.upstreams, id, &Upstream::id) > 0 &&
           ConnectionSettings::of(route.settings) == settings;
  });
}

void Endpoints::reload() {
  for (auto& endpoint : endpoints_)
    if (endpoint) endpoint->retire_pools();
  for (const Route& route : shared_.context.snapshot->routes()) {
    ConnectionSettings settings = ConnectionSettings::of(route.settings);
    for (const Upstream& upstream : route.upstreams) {
      if (upstream.id >= endpoints_.size() || !endpoints_[upstream.id]) continue;
      if (UpstreamPool* pool = endpoints_[upstream.id]->find_pool(settings))
        pool->set_retired(false);
    }
  }
  for (auto& endpoint : endpoints_)
    if (endpoint) endpoint->close_retired();
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
