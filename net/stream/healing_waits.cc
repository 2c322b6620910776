#include "net/stream/healing_waits.h"

namespace sluice {

HealingWaits::Queue& HealingWaits::of(uint32_t upstream) {
  while (queues_.size() <= upstream) queues_.emplace_back();
  return queues_[upstream];
}

void HealingWaits::add(uint32_t upstream, Recovery& recovery) {
  of(upstream).push_back(recovery);
}

void HealingWaits::remove(uint32_t upstream, Recovery& recovery) {
  of(upstream).remove(recovery);
}

Stream* HealingWaits::take(uint32_t upstream) {
  Queue& queue = of(upstream);
  Recovery* first = queue.front();
  if (!first) return nullptr;
  queue.remove(*first);
  return &first->stream;
}

}  // namespace sluice
