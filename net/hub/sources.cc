#include "net/hub/sources.h"

#include <utility>

#include "net/hub/hubs.h"
#include "net/hub/local_hub.h"

namespace sluice {

namespace {

constexpr uint64_t kLookMs = 1000;

}  // namespace

HubSources::HubSources(WorkerContext& context, Hubs& hubs, Streams& streams)
    : context_(context), hubs_(hubs), streams_(streams), timer_(this) {
  reload();
}

HubSources::~HubSources() = default;

void HubSources::reload() {
  if (!hubs_.is_home() || stopped_) return;
  auto before = std::exchange(feeds_, {});
  for (const Route& route : context_.snapshot->routes()) {
    if (route.feeds.hub.empty()) continue;
    std::unique_ptr<SourceFeed>& feed = feeds_[route.path];
    if (auto there = before.find(route.path); there != before.end()) {
      feed = std::move(there->second);
      feed->reload(route);
      before.erase(there);
    } else {
      feed = std::make_unique<SourceFeed>(context_, streams_, hubs_, route);
      hubs_.hub(route.feeds.hub).set_source_watcher(this);
    }
  }
  // Their turns may not be over yet, so they go later.
  for (auto& [path, feed] : before) {
    feed->stop();
    removed_.push_back(std::move(feed));
  }
  if (feeds_.empty() && removed_.empty()) return;
  look();
  context_.loop.timers().schedule(timer_, context_.loop.now_ms() + kLookMs);
}

void HubSources::look() {
  for (const auto& [path, feed] : feeds_) feed->look();
}

void HubSources::on_timer() {
  removed_.clear();
  look();
  if (!feeds_.empty()) context_.loop.timers().schedule(timer_, context_.loop.now_ms() + kLookMs);
}

void HubSources::stop() {
  stopped_ = true;
  context_.loop.timers().cancel(timer_);
  for (const auto& [path, feed] : feeds_) feed->stop();
}

std::vector<HubSourceCounts> HubSources::counts() const {
  std::vector<HubSourceCounts> all;
  for (const auto& [path, feed] : feeds_) all.push_back(feed->counts());
  return all;
}

}  // namespace sluice
