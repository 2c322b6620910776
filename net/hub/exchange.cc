#include "net/hub/exchange.h"

#include <map>
#include <utility>

#include "core/clock.h"
#include "net/config/snapshot.h"
#include "net/hub/hub_store.h"

namespace sluice {

// All that is not named here begins anew, so that nothing of one request can get into another.
void HomeCall::clear() {
  HomeCall kept;
  if (body.capacity() <= limits::kHubKeptBodyBytes) kept.body = std::move(body);
  if (publish.events.capacity() <= limits::kHubKeptEvents)
    kept.publish.events = std::move(publish.events);
  kept.publish.stream = std::move(publish.stream);
  kept.body.clear();
  kept.publish.events.clear();
  kept.publish.stream.clear();
  *this = std::move(kept);
}

int64_t HubPresence::add(const std::string& key, int64_t change) {
  std::lock_guard lock(mutex_);
  total_ += change;
  auto [entry, is_new] = counts_.try_emplace(key, 0);
  int64_t count = entry->second += change;
  if (count == 0) counts_.erase(entry);
  return count;
}

uint64_t HubPresence::of(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto found = counts_.find(key);
  return found == counts_.end() ? 0 : static_cast<uint64_t>(found->second);
}

uint64_t HubPresence::total() {
  std::lock_guard lock(mutex_);
  return static_cast<uint64_t>(total_);
}

HubExchange::HubExchange(std::string its_name, unsigned workers, unsigned home, uint64_t its_seed,
                         const HubLaneSizes& its_sizes)
    : name(std::move(its_name)), seed(its_seed), sizes(its_sizes), lanes(workers) {
  for (unsigned worker = 0; worker < workers; ++worker)
    if (workers > 1 && worker != home) lanes[worker] = std::make_unique<Lane>(sizes);
}

// What was on its way when the workers stopped.
HubExchange::~HubExchange() {
  for (const std::unique_ptr<Lane>& lane : lanes) {
    if (!lane) continue;
    for (HubChange change; lane->down.pop(change);) {
      if (change.kind == HubChange::Kind::kAppend) change.block->let_go();
      if (change.kind == HubChange::Kind::kAnswer) delete change.call;
    }
    for (HomeCall* call; lane->up.pop(call);) delete call;
  }
}

HubProcess::HubProcess(unsigned workers, unsigned home, const HubLaneSizes& sizes)
    : workers_(workers), home_(home), sizes_(sizes), awake_(new std::atomic<bool>[workers]) {
  for (unsigned i = 0; i < workers; ++i) awake_[i].store(false, std::memory_order_relaxed);
}

HubExchange& HubProcess::hub(const std::string& name, uint64_t seed) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<HubExchange>& hub = hubs_[name];
  if (!hub) hub = std::make_unique<HubExchange>(name, workers_, home_, seed, sizes_);
  return *hub;
}

std::string HubProcess::open_stores(const ConfigSnapshot& snapshot, Opened& into) {
  std::map<std::string, const Route*> first;  // of each hub, by path
  std::map<std::string, std::vector<std::string>> fed;
  for (const Route& route : snapshot.routes()) {
    if (!route.hub.empty()) first.try_emplace(route.hub, &route);
    if (!route.feeds.hub.empty()) fed[route.feeds.hub].push_back(route.feeds.stream);
  }
  for (const auto& [name, route] : first) {
    std::lock_guard lock(mutex_);
    auto there = hubs_.find(name);
    if (there != hubs_.end()) {
      const HubStore* store = there->second->store.get();
      if ((store ? store->file() : "") != route->hub_store)
        return "hub-store of hub " + name + ": another one takes a restart";
      continue;
    }
    if (route->hub_store.empty()) continue;
    auto store = std::make_unique<HubStore>(
        route->settings, route->hub_store, workers_,
        [this](std::optional<unsigned> worker) { (void)wake(worker.value_or(home_)); });
    std::string error = store->load(route->settings, wall_clock_ms(), std::move(fed[name]));
    if (!error.empty()) return error.insert(0, "hub-store of hub " + name + ": ");
    auto hub = std::make_unique<HubExchange>(name, workers_, home_, store->history().seed, sizes_);
    hub->next.store(store->history().next, std::memory_order_relaxed);
    hub->store = std::move(store);
    into.emplace(name, std::move(hub));
  }
  return "";
}

void HubProcess::add(Opened& opened) {
  std::lock_guard lock(mutex_);
  hubs_.merge(opened);
}

void HubProcess::silence_stores() {
  std::lock_guard lock(mutex_);
  for (const auto& [name, hub] : hubs_)
    if (hub->store) hub->store->silence();
}

void HubProcess::set_waker(std::function<bool(unsigned)> waker) {
  waker_ = std::move(waker);
  has_waker_.store(true, std::memory_order_release);
  (void)wake(home_);
}

void HubProcess::join(unsigned worker) {
  if (worker != home_) askers_.fetch_add(1, std::memory_order_relaxed);
}

void HubProcess::leave(unsigned worker) {
  if (worker == home_) return;
  if (askers_.fetch_sub(1, std::memory_order_acq_rel) == 1) (void)wake(home_);
}

bool HubProcess::may_end(unsigned worker) const {
  return worker != home_ || askers_.load(std::memory_order_acquire) == 0;
}

bool HubProcess::wake(unsigned worker) {
  if (!has_waker_.load(std::memory_order_acquire)) return false;
  if (awake_[worker].exchange(true, std::memory_order_acq_rel)) return true;
  if (waker_(worker)) return true;
  awake_[worker].store(false, std::memory_order_release);
  return false;
}

}  // namespace sluice
