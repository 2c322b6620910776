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

UpstreamPool* Endpoint::find_pool(const ConnectionSettings& settings) {
  for (auto& pool : pools_)
    if (pool->settings() == settings) return pool.get();
  return nullptr;
}

UpstreamPool& Endpoint::pool(const ConnectionSettings& settings) {
  if (UpstreamPool* pool = find_pool(settings)) return *pool;
  return *pools_.emplace_back(std::make_unique<UpstreamPool>(shared_, upstream_, settings));
}

void Endpoint::retire_pools() {
  for (auto& pool : pools_) pool->set_retired(true);
}

void Endpoint::close_retired() {
  for (auto& pool : pools_)
    if (pool->retired()) pool->close_idle();
}

bool Endpoint::shrink() {
  std::erase_if(pools_, [](const auto& pool) { return pool->retired() && pool->empty(); });
  return pools_.empty();
}

void Endpoint::close_idle() {
  for (auto& pool : pools_) pool->close_idle();
}

}  // namespace sluice
