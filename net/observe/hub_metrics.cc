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

// At its home alone.
constexpr HubFamily kOfGroups[] = {
    {"sluice_hub_groups", "Groups of consumers.", &HubCounts::groups},
    {"sluice_hub_leases", "Members of groups that have an owner.", &HubCounts::leases},
};

constexpr HubFamily kCounted[] = {
    {"sluice_hub_appended_events", "Events that a hub has taken.", &HubCounts::appended},
    {"sluice_hub_duplicates", "Requests to publish that had been taken before.",
     &HubCounts::duplicates},
    {"sluice_hub_refused", "Requests to publish that a hub has refused.", &HubCounts::refused},
    {"sluice_hub_delivered_events", "Events passed on to subscribers, one for each of them.",
     &HubCounts::delivered},
    {"sluice_hub_coded_events", "Times that an event was compressed for all its subscribers.",
     &HubCounts::coded},
    {"sluice_hub_gaps", "Gaps that subscribers were told of.", &HubCounts::gaps},
    {"sluice_hub_store_failures", "Times that a hub's store has begun to take no events.",
     &HubCounts::store_failures},
    {"sluice_hub_store_pages", "Pages of history that readers have got from a hub's store.",
     &HubCounts::store_pages},
    {"sluice_hub_store_unread", "Readers ended since a hub's store gave them no page in time.",
     &HubCounts::store_unread},
    {"sluice_hub_slow_ended", "Subscribers ended since their next event was gone.",
     &HubCounts::slow_ended},
    {"sluice_hub_leases_granted", "Leases of members of groups.", &HubCounts::leases_granted},
    {"sluice_hub_leases_expired", "Leases that ended since nothing was acknowledged.",
     &HubCounts::leases_expired},
    {"sluice_hub_acks_fenced", "Acknowledgements refused: the member has had another owner since.",
     &HubCounts::acks_fenced},
};

struct SourceFamily {
  const char* name;
  const char* help;
  uint64_t HubSourceCounts::*member;
};

constexpr SourceFamily kOfSources[] = {
    {"sluice_hub_source_attempts", "Attempts at a hub's source, the first one included.",
     &HubSourceCounts::attempts},
    {"sluice_hub_source_events", "Events that a hub has taken from a source.",
     &HubSourceCounts::events},
    {"sluice_hub_source_duplicate_events", "Events that a source has sent again.",
     &HubSourceCounts::duplicates},
    {"sluice_hub_source_refused_events", "Events of a source that a hub cannot take.",
     &HubSourceCounts::refused},
};

// One worker has them.
void render_sources(Page& page, const Workers& workers) {
  auto add = [&](auto value_of) {
    for (const WorkerSnapshot& worker : workers)
      for (const HubSourceCounts& source : worker.hub_sources)
        page.add(value_of(source), {{"hub", source.hub}, {"stream", source.stream}});
  };
  page.gauge("sluice_hub_source_up", "1 while a hub's source is connected.");
  add([](const HubSourceCounts& source) { return source.up ? 1 : 0; });
  for (const SourceFamily& family : kOfSources) {
    page.counter(family.name, family.help);
    add([&family](const HubSourceCounts& source) { return source.*family.member; });
  }
}

}  // namespace

void render_hubs(Page& page, const Workers& workers) {
  std::map<std::string, HubCounts> total;
  for (const WorkerSnapshot& worker : workers) {
    for (const HubCounts& hub : worker.hubs) {
      HubCounts& sum = total[hub.name];
      for (const HubFamily& family : kOfTheLog)
        sum.*family.member = std::max(sum.*family.member, hub.*family.member);
      for (const HubFamily& family : kOfGroups) sum.*family.member += hub.*family.member;
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
  for (const HubFamily& family : kOfGroups) {
    page.gauge(family.name, family.help);
    add(family.member);
  }
  page.gauge("sluice_hub_subscribers", "Subscribers of a hub.");
  add(&HubCounts::subscribers);
  for (const HubFamily& family : kCounted) {
    page.counter(family.name, family.help);
    add(family.member);
  }
  render_sources(page, workers);
}

}  // namespace sluice
