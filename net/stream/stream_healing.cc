// What a stream remembers of the events that it delivers, and what it drops of those that come a
// second time. Events pass as runs; one by one they are looked at only from a resumption up to the
// first that is new.
#include <array>
#include <optional>
#include <string>

#include "core/text.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"
#include "sse/events.h"
#include "sse/fields.h"
#include "sse/id_lines.h"

namespace sluice {

namespace {

bool equal(const Pieces& value, std::string_view text) {
  if (value.size() != text.size()) return false;
  for (Pieces rest = value; !rest.empty(); rest.remove_prefix(rest.first().size()))
    if (!text.substr(text.size() - rest.size()).starts_with(rest.first())) return false;
  return true;
}

std::string_view shown(const Pieces& id, std::span<char> room) {
  return id.size() <= room.size() ? id.flat(room) : std::string_view();
}

}  // namespace

// What is staged, and bytes behind it.
Pieces Stream::staged_and(std::string_view bytes) const {
  if (!attempt_.staged) return bytes;
  std::vector<std::string_view>& pieces = streams_.pieces();
  pieces.clear();
  const Chain& chain = attempt_.staged->bytes;
  std::array<iovec, 16> some;
  for (uint64_t covered = 0; covered < chain.bytes();) {
    size_t used = chain.fill(some, covered, chain.bytes() - covered, &covered);
    for (size_t i = 0; i < used; ++i)
      pieces.emplace_back(static_cast<const char*>(some[i].iov_base), some[i].iov_len);
  }
  if (!bytes.empty()) pieces.push_back(bytes);
  return Pieces(std::span<const std::string_view>(pieces));
}

// True if there is one.
bool Stream::note_ids(const Pieces& run) {
  Pieces lines = events_ == 0 ? without_mark(run) : run;
  bool found = false;
  Field field;
  if (!lines.in_one_piece()) {
    for (FieldReader fields(lines); fields.next(field);) found |= note_field(field);
    return found;
  }
  size_t at = 0;
  for (std::string_view line; !(line = next_id_line(lines.first(), at)).empty();)
    if (FieldReader fields(line); fields.next(field)) found |= note_field(field);
  return found;
}

// True for an id.
bool Stream::note_field(const Field& field) {
  if (field.kind == FieldKind::kId) {
    note_id(field.value);
    return true;
  }
  if (field.kind == FieldKind::kRetry) {
    std::array<char, 20> room;
    recovery().retry_ms = parse_decimal(shown(field.value, room)).value_or(UINT32_MAX);
  }
  return false;
}

void Stream::note_id(const Pieces& id) {
  if (!healing()) {
    if (id.empty()) return;
    recovery().healing = std::make_unique<Healing>(context().memory_limit, settings().heal_ids);
  }
  Healing& healing = *recovery_->healing;
  // It would have been dropped if the ring reached back to where the upstream began.
  if (!healing.asked.empty() && equal(id, healing.asked)) {
    healing.asked.clear();
    healing.came_by = true;
  }
  healing.ids.remember(id);
}

// The rest of an event that was cut through, whose id was looked for then, and whole ones.
void Stream::note_ids_behind_torn(std::string_view run) {
  note_ids(run.substr(torn_rest(run)));
}

// How far the event that is cut through reaches into the run. A LF at its begin may be the second
// half of a line end that has passed already, and is no empty line then.
size_t Stream::torn_rest(std::string_view run) const {
  size_t skipped = attempt_.behind_cr && run.starts_with('\n') ? 1 : 0;
  EventReader events(run.substr(skipped));
  Pieces rest;
  return skipped + (events.next(rest) ? rest.size() : 0);
}

// The staged part of an event is about to leave. From here to its end the stream cannot be healed,
// so its id counts as delivered at once. Without one in that part it is not known.
bool Stream::may_tear() {
  Pieces part = staged_and({});
  if (resumes_) {
    resumes_ = was_delivered(part) || resumes_;
    if (resumes_) {
      fail(Ending::kUpstreamBadResponse, "too_long_to_compare");
      return false;
    }
  }
  if (!note_ids(part) && healing()) healing()->ids.lose_track();
  return true;
}

void Stream::append_resumed(const Lease& lease, std::string_view run, uint32_t events) {
  size_t ahead = held();  // of the first event
  size_t at = 0;
  EventReader reader(staged_and(run));
  for (Pieces event; resumes_ && reader.next(event); ahead = 0) {
    std::string_view part = run.substr(at, event.size() - ahead);
    if (was_delivered(event)) {
      attempt_.staged.reset();
      ++context().metrics.duplicate_events;
      if (events > 0) --events;
    } else if (resumes_) {
      uint32_t passed = 0;  // they are counted as they come
      if (!pass_on(lease, part, passed) || !hears_upstream()) return;
    } else {
      break;
    }
    at += part.size();
  }
  if (events > 0) note_events(events);
  if (at < run.size()) append_run(lease, run.substr(at), 0);
  response_grew();
}

// An event without an id belongs to the one before it: it is dropped with that, unless that is the
// last one delivered, since it may have been cut off behind it.
bool Stream::was_delivered(const Pieces& event) {
  Healing& healing = *recovery_->healing;
  std::optional<Pieces> id;
  bool says_something = false;
  Field field;
  for (FieldReader fields(event); fields.next(field);) {
    if (field.kind == FieldKind::kId) id = field.value;
    says_something |= field.kind == FieldKind::kData || field.kind == FieldKind::kEvent;
  }
  if (!id || id->empty()) return says_something && healing.dropping;
  bool delivered = healing.ids.contains(*id);
  bool is_last = equal(*id, healing.ids.last());
  note_place(*id, delivered, is_last);
  healing.dropping = delivered && !is_last;
  if (is_last) healing.asked.clear();
  if (!delivered) {
    resumes_ = false;
    healing.goes_on();
  }
  return delivered;
}

// Whether the resumed stream begins where it was asked to, as far as its ids tell.
void Stream::note_place(const Pieces& id, bool delivered, bool is_last) {
  using Place = DeliveredIds::Place;
  Healing& healing = *recovery_->healing;
  bool first = !std::exchange(healing.first_id_seen, true);
  Place place = delivered ? Place::kUnknown : healing.ids.place_of(id);
  std::array<char, limits::kHealIdBytes> room;
  if (first && (delivered ? !is_last : place == Place::kEarlier))
    tell_gap(Gap::kReplayed, shown(id, room));
  if (place == Place::kLater) tell_gap(Gap::kSkipped, shown(id, room));
}

void Stream::tell_gap(Gap gap, std::string_view first_id) {
  Healing& healing = *recovery_->healing;
  ++context().metrics.heal_gaps[static_cast<unsigned>(gap)];
  std::string facts = R"({"last_id":")";
  append_json_escaped(facts, healing.ids.last());
  facts += R"(","first_id":")";
  append_json_escaped(facts, first_id);
  facts += R"(","reason":")";
  facts += gap_name(gap);
  facts += R"(","attempts":)" + std::to_string(healing.attempts) + '}';
  std::string& warning = context().scratch();
  warning += "a resumed stream begins elsewhere: " + facts + ", upstream ";
  warning += upstream_url();
  warning += ", request ";
  append_json_escaped(warning, request_id());
  context().warn(warning);
  if (!settings().gap_event) return;
  std::string event = "event: sluice.gap\ndata: " + facts + "\n\n";
  response_.append_own(event);
  if (tapped()) copy_own_to_taps(event);
}

}  // namespace sluice
