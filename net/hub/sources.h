// All sources of a worker's hubs (net/hub/source_feed.h): those of the configuration, where this
// worker is the hubs' home, and none elsewhere. Owned by the gateway, used on its worker's thread;
// goes before its streams and hubs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/base/hub_counts.h"
#include "net/hub/source_feed.h"

namespace sluice {

class HubSources final : public FlushTask, public TimerOwner {
 public:
  HubSources(WorkerContext& context, Hubs& hubs, Streams& streams);
  ~HubSources() override;
  HubSources(const HubSources&) = delete;
  HubSources& operator=(const HubSources&) = delete;

  // The configuration is another one from here on; the hubs have it. At the turn's end.
  void reload();
  // Nothing is read any more.
  void stop();
  std::vector<HubSourceCounts> counts() const;

  // A stream has its first subscriber.
  void on_flush() override { look(); }
  // Now and then: who has no subscriber any more is closed.
  void on_timer() override;

 private:
  void look();

  WorkerContext& context_;
  Hubs& hubs_;
  Streams& streams_;
  Timer timer_;
  std::map<std::string, std::unique_ptr<SourceFeed>> feeds_;  // by the path of their route
  std::vector<std::unique_ptr<SourceFeed>> removed_;
  bool stopped_ = false;
};

}  // namespace sluice
