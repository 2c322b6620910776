#include "net/observe/filter_metrics.h"

#include <array>
#include <map>
#include <string>

namespace sluice {

void render_filters(Page& page, const ConfigSnapshot& snapshot, const Workers& workers) {
  auto total = [&workers](uint32_t id, unsigned deed) {
    return sum(workers, [=](const WorkerSnapshot& w) {
      return id < w.metrics.filters.size() ? w.metrics.filters[id].events[deed] : 0;
    });
  };
  page.counter("sluice_filter_events", "Events that a filter has acted on, by what it did.");
  for (const FilterRule& rule : snapshot.config().filters)
    for (unsigned deed = 0; deed < kFilterDeedNames.size(); ++deed)
      page.add(total(rule.id, deed), {{"filter", rule.name}, {"action", kFilterDeedNames[deed]}});
  page.counter("sluice_filter_oversize_events",
               "Events too long for filters to see, by what became of them.");
  constexpr std::array<const char*, 3> kUnseen = {"pass", "drop", "end"};
  for (unsigned i = 0; i < kUnseen.size(); ++i)
    page.add(sum(workers, [=](const WorkerSnapshot& w) { return w.metrics.oversize_events[i]; }),
             {{"action", kUnseen[i]}});
  page.counter("sluice_unfiltered_streams",
               "Event streams of routes with filters that passed encoded.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.unfiltered_streams; }));
}

// Of one name, filter and label over all workers.
void render_scripts(Page& page, const Workers& workers) {
  auto total = [&](uint64_t ScriptMetrics::*member) {
    return sum(workers, [=](const WorkerSnapshot& w) { return w.metrics.scripts.*member; });
  };
  page.gauge("sluice_script_states", "States of Lua: one a worker and configuration in use.");
  page.add(total(&ScriptMetrics::states));
  page.gauge("sluice_script_memory_bytes", "Their memory.");
  page.add(total(&ScriptMetrics::memory_bytes));
  page.counter("sluice_script_lines_dropped", "Lines that scripts logged beyond their rate.");
  page.add(total(&ScriptMetrics::messages_dropped));
  std::map<std::array<std::string, 3>, uint64_t> counts;
  for (const WorkerSnapshot& worker : workers)
    for (const ScriptCount& one : worker.metrics.scripts.counts)
      if (one.count > 0) counts[{one.filter, one.name, one.label}] += one.count;
  page.counter("sluice_script_count", "What scripts have counted.");
  for (const auto& [key, count] : counts)
    page.add(count, {{"filter", key[0]}, {"counter", key[1]}, {"label", key[2]}});
}

}  // namespace sluice
