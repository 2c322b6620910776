#include "net/observe/hub_metrics.h"

#include <algorithm>
#include <map>
#include <string>

namespace sluice {

namespace {

struct HubFamily {
  const char* name;
  const char* help;
  uint64_t HubCounts::*member;
};

// Each worker has the whole log, at most a moment apart.
constexpr HubFamily kOfTheLog[] = {
    {"sluice_hub_streams", "Streams that a hub knows.", &HubCounts::streams},
    {"sluice_hub_events", "Events in a hub's history.", &HubCounts::events},
    {"sluice_hub_bytes", "Bytes of a hub's history.", &HubCounts::bytes},
    {"sluice_hub_global_position", "Position of a hub's last event.", &HubCounts::global_position},
    {"sluice_hub_store_waiting_events", "Events that a hub's store has not made durable yet.",
     &HubCounts::store_waiting},
    {"sluice_hub_store_failing", "1 while a hub's store takes no events: full, failing, broken.",
     &HubCounts::store_failing},
};

constexpr HubFamily kCounted[] = {
    {"sluice_hub_appended_events", "Events that a hub has taken.", &HubCounts::appended},
    {"sluice_hub_duplicates", "Requests to publish that had been taken before.",
     &HubCounts::duplicates},
    {"sluice_hub_refused", "Requests to publish that a hub has refused.", &HubCounts::refused},
    {"sluice_hub_delivered_events", "Events passed on to subscribers, one for each of them.",
     &HubCounts::delivered},
    {"sluice_hub_gaps", "Gaps that subscribers were told of.", &HubCounts::gaps},
    {"sluice_hub_store_failures", "Times that a hub's store has begun to take no events.",
     &HubCounts::store_failures},
    {"sluice_hub_store_pages", "Pages of history that readers have got from a hub's store.",
     &HubCounts::store_pages},
    {"sluice_hub_store_unread", "Readers ended since a hub's store gave them no page in time.",
     &HubCounts::store_unread},
    {"sluice_hub_slow_ended", "Subscribers ended since their next event was gone.",
     &HubCounts::slow_ended},
};

}  // namespace

void render_hubs(Page& page, const Workers& workers) {
  std::map<std::string, HubCounts> total;
  for (const WorkerSnapshot& worker : workers) {
    for (const HubCounts& hub : worker.hubs) {
      HubCounts& sum = total[hub.name];
      for (const HubFamily& family : kOfTheLog)
        sum.*family.member = std::max(sum.*family.member, hub.*family.member);
      for (const HubFamily& family : kCounted) sum.*family.member += hub.*family.member;
      sum.subscribers += hub.subscribers;
    }
  }
  auto add = [&](uint64_t HubCounts::*member) {
    for (const auto& [name, hub] : total) page.add(hub.*member, {{"hub", name}});
  };
  for (const HubFamily& family : kOfTheLog) {
    page.gauge(family.name, family.help);
    add(family.member);
  }
  page.gauge("sluice_hub_subscribers", "Subscribers of a hub.");
  add(&HubCounts::subscribers);
  for (const HubFamily& family : kCounted) {
    page.counter(family.name, family.help);
    add(family.member);
  }
}

}  // namespace sluice
