#include "net/hub/source_reader.h"

#include <array>
#include <utility>

#include "core/text.h"
#include "core/utf8.h"
#include "net/base/limits.h"
#include "net/hub/home.h"
#include "net/hub/publish_body.h"
#include "sse/events.h"
#include "sse/fields.h"

namespace sluice {

namespace {

constexpr size_t kIdleInputBytes = 64UL * 1024;
// Beside the data of an event: its other fields, and the names of all.
constexpr size_t kFieldBytes = 4096;

// Only what can be nothing else counts as JSON: a text may be a number by chance.
bool may_be_json(std::string_view data) {
  return data.starts_with('{') || data.starts_with('[');
}

}  // namespace

std::vector<EventDraft> SourceBatch::drafts() const {
  std::vector<EventDraft> drafts;
  drafts.reserve(events.size());
  for (const Event& event : events) {
    EventDraft& draft = drafts.emplace_back();
    draft.type = event.type;
    draft.data = std::string_view(text).substr(event.begin, event.size);
    draft.origin_id = event.origin_id;
    draft.json = event.json;
  }
  return drafts;
}

void SourceReader::begin() {
  framer_ = {};
  at_start_ = true;
  skipping_ = false;
  compares_ = healing_->can_ask() && !healing_->ids.repeat() && !restored_;
  healing_->dropping = false;
}

void SourceReader::end() {
  input_.resize(whole_);
  skipping_ = false;
}

void SourceReader::append(std::string_view bytes, size_t event_bytes_max) {
  if (at_ == whole_ && at_ > 0) {
    input_.erase(0, at_);
    at_ = whole_ = 0;
    if (input_.empty() && input_.capacity() > kIdleInputBytes) input_ = {};
  }
  size_t whole = framer_.feed(bytes).whole;
  if (skipping_) skip_to_end(bytes, whole);
  if (skipping_) return;
  size_t before = input_.size();
  input_ += bytes;
  if (whole > 0) whole_ = before + whole;
  if (input_.size() - whole_ <= 2 * event_bytes_max + kFieldBytes) return;
  last_skipped_ = input_.back();
  input_.resize(whole_);
  skipping_ = true;
  refuse("it is larger than hub-event-size");
}

// What was dropped of its last line, or a line, stands in front again for the reader, to which a
// colon or a `retry` at the begin would be more than a part of this event.
void SourceReader::skip_to_end(std::string_view& bytes, size_t& whole) {
  if (whole == 0) {
    if (!bytes.empty()) last_skipped_ = bytes.back();
    return;
  }
  std::string_view before = last_skipped_ == '\n' || last_skipped_ == '\r' ? "x\n" : "x";
  // A LF may be the second half of a line end that has passed already, and is no empty line then.
  size_t skipped = last_skipped_ == '\r' && bytes.starts_with('\n') ? 1 : 0;
  std::array<std::string_view, 2> pieces{before, bytes.substr(skipped, whole - skipped)};
  EventReader events{Pieces(pieces)};
  Pieces rest;
  if (events.next(rest)) skipped += rest.size() - before.size();
  bytes.remove_prefix(skipped);
  whole -= skipped;
  skipping_ = false;
}

void SourceReader::read(SourceBatch& into, JsonCheck& check, size_t event_bytes_max) {
  std::string_view run = std::string_view(input_).substr(at_, whole_ - at_);
  if (std::exchange(at_start_, false)) {
    std::string_view marked = run;
    run = without_mark(run).first();
    at_ += marked.size() - run.size();
  }
  EventReader events(run);
  Pieces event;
  while (into.events.size() < limits::kHubBatchMax) {
    if (!events.next(event)) {
      at_ = whole_;
      return;
    }
    at_ += event.size();
    take(event.first(), into, check, event_bytes_max);
  }
}

void SourceReader::take(std::string_view event, SourceBatch& into, JsonCheck& check,
                        size_t event_bytes_max) {
  std::string& text = into.text;
  size_t begin = text.size();
  bool has_data = false;
  std::string_view type;
  std::optional<std::string_view> id;
  Field field;
  for (FieldReader fields(event); fields.next(field);) {
    std::string_view value = field.value.first();
    switch (field.kind) {
      case FieldKind::kComment:
        break;
      case FieldKind::kData:
        if (has_data) text += '\n';
        text += value;
        has_data = true;
        break;
      case FieldKind::kEvent:
        type = value;
        break;
      case FieldKind::kId:
        id = value;
        break;
      case FieldKind::kRetry:
        retry_ms_ = parse_decimal(value).value_or(UINT32_MAX);
        break;
    }
  }
  bool says_something = has_data || !type.empty();
  if (compares_ && was_delivered(id, says_something)) {
    if (has_data) ++duplicates_;
    text.resize(begin);
    return;
  }
  if (id && std::exchange(restored_, false)) healing_.emplace(memory_, ids_max_);
  if (id) healing_->ids.remember(*id);
  if (id && !id->empty()) healing_->goes_on();
  if (!has_data) return;

  std::string room;
  if (std::string_view data = as_utf8(std::string_view(text).substr(begin), room);
      data.data() == room.data())
    text.replace(begin, text.npos, room);
  SourceBatch::Event taken{.begin = begin, .size = text.size() - begin};
  taken.type = as_utf8(type, room);
  const char* fault =
      taken.size > event_bytes_max ? "it is larger than hub-event-size" : type_fault(taken.type);
  if (fault) {
    text.resize(begin);
    refuse(fault);
    return;
  }
  if (id && id->size() <= limits::kHealIdBytes) taken.origin_id = as_utf8(*id, room);
  text.reserve(text.size() + JsonCheck::kPadding);
  std::string_view data = std::string_view(text).substr(begin);
  taken.json = may_be_json(data) && data.find_first_of("\r\n") == data.npos && check.valid(data);
  into.events.push_back(std::move(taken));
}

// An event without an id belongs to the one before it: it is dropped with that, unless that is the
// last one, since the connection may have broken behind it.
bool SourceReader::was_delivered(std::optional<std::string_view> id, bool says_something) {
  if (!id || id->empty()) return says_something && healing_->dropping;
  bool delivered = healing_->ids.contains(*id);
  healing_->dropping = delivered && *id != healing_->ids.last();
  if (!delivered) compares_ = false;
  return delivered;
}

void SourceReader::refuse(const char* why) {
  ++refused_;
  refusal_ = why;
}

}  // namespace sluice
