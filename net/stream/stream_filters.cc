// Where events meet a route's filters: between what was staged and the client's outbox, behind
// de-duplication (stream_inspection.cc walks them). Ids are noted before, so that a dropped event
// counts as delivered. A stream that no filter looks at passes none of this.
#include <string>

#include "core/text.h"
#include "net/base/limits.h"
#include "net/filter/filters.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

// False: the request has been refused.
bool Stream::choose_filters(const Head& head, std::string_view path) {
  if (!route_->filters) return true;
  Filters::Chosen chosen = route_->filters->choose(head, path, context().number);
  if (chosen == 0) return true;
  if (!inspection_) inspection_ = std::make_unique<Inspection>();
  inspection_->filters = chosen;
  return (chosen & route_->filters->scripts()) == 0 || open_scripts(head);
}

// No filter can read it.
bool Stream::refused_as_encoded() {
  if (settings().on_encoded != OnEncoded::kPass) {
    fail(Ending::kUpstreamBadResponse, "encoded");
    return true;
  }
  ++context().metrics.unfiltered_streams;
  std::string& warning = context().scratch();
  warning += "an event stream is encoded, so it passes unfiltered: upstream ";
  warning += upstream_url();
  warning += ", request ";
  append_json_escaped(warning, request_id());
  context().warn(warning);
  return false;
}

Filters::Result Stream::run_filters(const Pieces& event, bool padded) {
  FilterBench& bench = streams_.filter_bench();
  bench.rules = snapshot_->config().filters;
  bench.scripts = inspection_->scripts.get();
  return route_->filters->run(bench, inspection_->filters, event, /*first=*/!inspection_->begun,
                              padded, settings().on_invalid);
}

// Without the end of an event that was cut through, which no filter has seen from its begin.
std::string_view Stream::append_torn_rest(const Lease& lease, std::string_view run) {
  if (!attempt_.torn) return run;
  size_t size = torn_rest(run);
  if (metered()) meter_torn(run.substr(0, size), /*begins=*/false);
  if (!attempt_.withheld) append_response(lease, run.substr(0, size));
  attempt_.torn = attempt_.withheld = false;
  if (is_over() && llm()->end_due_ms == 0) await_end_behind_last_event();
  return run.substr(size);
}

// It lies in a slot of the stream's own, densely, behind what was written before.
void Stream::append_written(std::string_view text) {
  if (text.empty()) return;
  if (tapped()) copy_own_to_taps(text);
  if (!response_.append_written(text)) fail(Ending::kOverloaded);
}

// An event that is too long to be held whole. False: it passes, unseen.
bool Stream::withhold_held() {
  OnUnseen what = settings().on_oversize;
  ++context().metrics.oversize_events[static_cast<unsigned>(what)];
  if (what == OnUnseen::kPass) return false;
  attempt_.staged.reset();
  attempt_.withheld = true;
  if (what == OnUnseen::kEnd) end_by_filter();
  return true;
}

// A clean end for the client, behind what it has; the upstream is told that nobody listens.
void Stream::end_by_filter() {
  reason_ = "ended_by_filter";
  let_go_of_upstream(Ending::kComplete);
  discard_unfinished();
  response_.finish();
  set_phase(Phase::kDraining);
  client_->response_ready();
}

}  // namespace sluice
