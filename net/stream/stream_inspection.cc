// The walk over a stream's events, one by one, for all that looks at them: first the dialect and
// its gate, then usage, then filters. Each event's fields are read once for dialect and usage. A
// stream that nothing looks at passes none of this, and neither does what de-duplication has
// dropped.
#include "net/filter/filters.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"
#include "sse/events.h"

namespace sluice {

namespace {

// A parser reads beyond the end of a text: it may, within the text's slot.
bool is_padded(const Lease& lease, std::string_view bytes, size_t end) {
  if (!lease) return false;
  const char* slot_end = lease.data() + lease.size();
  return slot_end - (bytes.data() + end) >= static_cast<ptrdiff_t>(JsonCheck::kPadding);
}

}  // namespace

bool Stream::inspect(const Lease& lease, std::string_view run, uint32_t& events) {
  run = append_torn_rest(lease, run);
  if (run.empty()) return true;
  LlmWatch* its = llm();
  bool held = gate_holds();
  if (held) {
    if (!look_at_held_events(run, events)) return false;
    if (its->holds) {
      hold_events(*its, lease, run, events);
      return false;
    }
    // Whether ids count is known once the gate has opened.
    if (notes_ids_) note_ids(staged_and(run));
  }
  bool looks = !held && its && its->dialect != Dialect::kNone;
  if (!looks && !filtered() && !metered()) {
    append_whole(lease, run);
    return !aborted_ && !ended_;
  }
  return append_inspected(lease, run, looks ? &events : nullptr) && !aborted_ && !ended_;
}

// Whole events, behind what was staged of the first. Those that stay as they are pass by reference,
// together where they lie together. `events`: of the run; null where the dialect is not to look at
// it, be it that it has done so. False: none has passed.
bool Stream::append_inspected(const Lease& lease, std::string_view run, uint32_t* events) {
  size_t ahead = held();  // of the first event
  size_t passed = 0;      // what is behind it, up to `seen`, stays as it is
  size_t seen = 0;
  bool ends = false;
  EventLook* look = events || metered() ? &streams_.event_look() : nullptr;
  EventReader reader(staged_and(run));
  auto next = [&](Pieces& event) {
    return look ? look->read_next(reader, event) : reader.next(event);
  };
  for (Pieces event; !ends && next(event); ahead = 0) {
    if (events && is_late()) {
      drop_late(run, seen, *events);
      break;
    }
    size_t begin = seen;
    seen += event.size() - ahead;
    Filters::Result result;
    if (!passes_dialect_and_usage(event, events != nullptr))
      result.changed = true;  // to nothing
    else if (filtered())
      result = run_filters(event, is_padded(lease, run, seen));
    inspection_->begun = true;
    ends = result.ends;
    if (!result.changed) continue;
    if (begin > passed) append_whole(lease, run.substr(passed, begin - passed));
    if (aborted_ || ended_) return true;  // without a lease it is copied, and finds no memory
    passed = seen;
    attempt_.staged.reset();
    if (result.failure != ScriptFailure::kNone)
      fail_by_script(result.failure);
    else
      append_written(result.text);
    if (aborted_ || ended_) return true;
  }
  if (seen > passed) append_whole(lease, run.substr(passed, seen - passed));
  if (ends && !aborted_ && !ended_) end_by_filter();
  return seen > 0;
}

// It has been read, where there is anything to be asked of it.
bool Stream::passes_dialect_and_usage(const Pieces& event, bool looks) {
  if (looks) {
    EventSight sight = look_at_event(*inspection_->llm, event);
    return !metered() || !meter_event(sight);
  }
  if (!metered()) return true;
  EventLook& look = streams_.event_look();
  if (!inspection_->begun) look.read(without_mark(event));
  return !meter_event(look.sight(Dialect::kNone));
}

}  // namespace sluice
