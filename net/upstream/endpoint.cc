#include "net/upstream/endpoint.h"

namespace sluice {

void Endpoint::attempt_begun() {
  ++metrics().begun;
  board().attempt_begun(shared_.context.number, id());
}

void Endpoint::attempt_ended(const AttemptOutcome& outcome) {
  ++metrics().ended[static_cast<unsigned>(outcome.ending)];
  board().attempt_ended(shared_.context.number, id());
}

UpstreamPool* Endpoint::find_pool(const Upstream& upstream,
                                  const ConnectionSettings& settings) const {
  for (const auto& pool : pools_)
    if (pool->settings() == settings && pool->address() == upstream.address) return pool.get();
  return nullptr;
}

UpstreamPool& Endpoint::pool_of(const Stream& stream) {
  ConnectionSettings settings = ConnectionSettings::of(stream.settings());
  const bool current = &stream.snapshot() == &*shared_.context.snapshot;
  if (UpstreamPool* pool = find_pool(stream.upstream(), settings)) {
    if (current) pool->set_retired(false);
    return *pool;
  }
  auto& pool = pools_.emplace_back(
      std::make_unique<UpstreamPool>(shared_, *this, queue_, stream.upstream(), settings));
  // A stream of a former configuration may be the only one to want such connections.
  pool->set_retired(!current);
  return *pool;
}

void Endpoint::acquire(Stream& stream, bool fresh) {
  pool_of(stream).acquire(stream, fresh);
}

void Endpoint::limit(uint64_t connections_max) {
  queue_.connections_max = connections_max;
  place_is_free();
}

void Endpoint::place_is_free() {
  while (queue_.room() && !queue_.waiting.empty()) {
    Stream& stream = *queue_.waiting.front();
    queue_.waiting.remove(stream);
    pool_of(stream).open_for(stream);
  }
}

void Endpoint::make_room(const UpstreamPool& for_pool) {
  for (auto& pool : pools_)
    if (pool.get() != &for_pool && pool->close_one_idle()) return;
}

bool Endpoint::belongs_to(const Stream& stream, const UpstreamPool& pool) const {
  return pool.address() == stream.upstream().address &&
         pool.settings() == ConnectionSettings::of(stream.settings());
}

void Endpoint::retire_pools() {
  for (auto& pool : pools_) pool->set_retired(true);
}

void Endpoint::close_retired(uint64_t& at_us) {
  for (auto& pool : pools_)
    if (pool->retired()) pool->close_idle_from(at_us);
}

bool Endpoint::shrink() {
  std::erase_if(pools_, [](const auto& pool) { return pool->retired() && pool->empty(); });
  return pools_.empty() && queue_.waiting.empty();
}

void Endpoint::close_idle() {
  for (auto& pool : pools_) pool->close_idle();
}

}  // namespace sluice
