#include "net/observe/llm_metrics.h"

#include "net/base/dialects.h"

namespace sluice {

void render_dialects(Page& page, const Workers& workers) {
  auto by_dialect = [&](std::array<uint64_t, kDialects> Metrics::*counts) {
    for (unsigned i = 1; i < kDialects; ++i)
      page.add(sum(workers, [=](const WorkerSnapshot& w) { return (w.metrics.*counts)[i]; }),
               {{"dialect", std::string(dialect_name(static_cast<Dialect>(i)))}});
  };
  page.counter("sluice_dialect_streams", "Event streams in a dialect of language models.");
  by_dialect(&Metrics::dialect_streams);
  page.counter("sluice_error_events", "Aborted streams whose client was told in their dialect.");
  by_dialect(&Metrics::error_events);
  page.counter("sluice_late_events", "Events behind the last one of a dialect, dropped.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.late_events; }));
  page.counter("sluice_content_gates", "Content gates, by what they ended with.");
  for (unsigned i = 0; i < kGateOutcomeNames.size(); ++i)
    page.add(sum(workers, [=](const WorkerSnapshot& w) { return w.metrics.gates[i]; }),
             {{"outcome", std::string(kGateOutcomeNames[i])}});
}

}  // namespace sluice
