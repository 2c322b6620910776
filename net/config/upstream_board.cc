#include "net/config/upstream_board.h"

#include <algorithm>
#include <memory>

namespace sluice {

const char* eject_reason_name(EjectReason reason) {
  constexpr const char* kNames[kEjectReasons] = {"connect", "tls", "timeout", "broken", "status"};
  return kNames[static_cast<unsigned>(reason)];
}

const char* upstream_state_name(UpstreamState state) {
  constexpr const char* kNames[kUpstreamStates] = {"closed", "open", "half_open", "unhealthy",
                                                   "drained"};
  return kNames[static_cast<unsigned>(state)];
}

uint64_t UpstreamHealth::take_reconnect(uint64_t rate, uint64_t now_ms, uint64_t too_late_ms) {
  if (rate == 0) return now_ms;
  uint64_t next_us = next_reconnect_us.load(std::memory_order_relaxed);
  while (true) {
    uint64_t at_us = std::max(next_us, now_ms * 1000);
    bool taken = at_us / 1000 >= too_late_ms ||
                 next_reconnect_us.compare_exchange_weak(next_us, at_us + 1'000'000 / rate,
                                                         std::memory_order_relaxed);
    if (taken) return at_us / 1000;
  }
}

UpstreamState UpstreamHealth::state(uint64_t now_ms) const {
  if (drained.load(std::memory_order_relaxed)) return UpstreamState::kDrained;
  if (unhealthy_since_ms.load(std::memory_order_relaxed) != 0) return UpstreamState::kUnhealthy;
  uint64_t until_ms = ejected_until_ms.load(std::memory_order_relaxed);
  if (until_ms == 0) return UpstreamState::kClosed;
  return now_ms < until_ms ? UpstreamState::kOpen : UpstreamState::kHalfOpen;
}

uint64_t UpstreamHealth::since_ms(uint64_t now_ms) const {
  uint32_t noted = ejections_noted.load(std::memory_order_acquire);
  switch (state(now_ms)) {
    case UpstreamState::kDrained:
      return drained_ms;
    case UpstreamState::kUnhealthy:
      return unhealthy_since_ms;
    case UpstreamState::kOpen:
      return noted == 0 ? 0 : last[(noted - 1) % kEjectionsKept].at_ms.load();
    case UpstreamState::kHalfOpen:
      return ejected_until_ms;
    case UpstreamState::kClosed:
      break;
  }
  return returned_ms;
}

void UpstreamHealth::drain(uint64_t now_ms) {
  if (!drained.exchange(true)) drained_ms = now_ms;
}

void UpstreamHealth::undrain(uint64_t now_ms) {
  if (drained.exchange(false)) returned_ms = now_ms;
}

void UpstreamHealth::set_unhealthy(uint64_t now_ms) {
  unhealthy_since_ms = now_ms;
  ++probes.times_unhealthy;
}

void UpstreamHealth::set_healthy(uint64_t now_ms) {
  returned_ms = now_ms;
  unhealthy_since_ms = 0;
}

bool UpstreamHealth::end_ejection_early(uint64_t now_ms) {
  uint64_t until_ms = ejected_until_ms.load();
  return until_ms > now_ms && ejected_until_ms.compare_exchange_strong(until_ms, now_ms);
}

bool UpstreamPlaces::enter(std::atomic<uint64_t>& count, uint64_t most) {
  uint64_t before = count.load(std::memory_order_relaxed);
  while (before < most)
    if (count.compare_exchange_weak(before, before + 1, std::memory_order_relaxed)) return true;
  return false;
}

void UpstreamPlaces::claim(uint64_t mine) {
  uint64_t now = turn.load(std::memory_order_relaxed);
  while ((now == 0 || mine < now) &&
         !turn.compare_exchange_weak(now, mine, std::memory_order_relaxed)) {
  }
}

void UpstreamPlaces::disclaim(uint64_t mine) {
  turn.compare_exchange_strong(mine, 0, std::memory_order_relaxed);
}

UpstreamBoard::~UpstreamBoard() {
  for (auto& row : rows_) delete row.load(std::memory_order_relaxed);
}

void UpstreamBoard::reserve(size_t upstreams) {
  for (uint32_t id = 0; id < upstreams; ++id) {
    (void)health_.at(id);
    (void)places_.at(id);
  }
}

// A row is made by its worker, so that it lies where that worker runs.
std::atomic<uint32_t>& UpstreamBoard::own_count(unsigned worker, uint32_t id) {
  Row* row = rows_[worker].load(std::memory_order_relaxed);
  if (!row) {
    row = new Row;
    rows_[worker].store(row, std::memory_order_release);
    unsigned before = workers_.load(std::memory_order_relaxed);
    while (before <= worker && !workers_.compare_exchange_weak(before, worker + 1)) {
    }
  }
  return row->at(id / Line::kCounts).counts[id % Line::kCounts];
}

void UpstreamBoard::forget(uint32_t id) {
  UpstreamHealth* health = health_.find(id);
  std::destroy_at(health);
  std::construct_at(health);
  UpstreamPlaces* places = places_.find(id);
  std::destroy_at(places);
  std::construct_at(places);
}

void UpstreamBoard::attempt_begun(unsigned worker, uint32_t id) {
  std::atomic<uint32_t>& count = own_count(worker, id);
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void UpstreamBoard::attempt_ended(unsigned worker, uint32_t id) {
  std::atomic<uint32_t>& count = own_count(worker, id);
  count.store(count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

uint64_t UpstreamBoard::outstanding(uint32_t id) const {
  uint64_t total = 0;
  unsigned workers = workers_.load(std::memory_order_acquire);
  for (unsigned worker = 0; worker < workers; ++worker) {
    const Row* row = rows_[worker].load(std::memory_order_acquire);
    const Line* line = row ? row->find(id / Line::kCounts) : nullptr;
    if (line) total += line->counts[id % Line::kCounts].load(std::memory_order_relaxed);
  }
  return total;
}

}  // namespace sluice
