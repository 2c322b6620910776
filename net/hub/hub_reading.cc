// A hub's request that reads: a subscriber, or one who asks for messages.
#include <utility>

#include "core/text.h"
#include "net/filter/json_text.h"
#include "net/hub/hub_request.h"
#include "net/hub/hubs.h"
#include "net/hub/local_hub.h"

namespace sluice {

namespace {

// Of one reader in one turn.
constexpr unsigned kEventsATurn = 256;

}  // namespace

void HubRequest::start_reading() {
  HubCall& call = *call_;
  bool subscribes = call.what == HubCall::What::kSubscribe;
  subscriptions_ = std::make_unique<Subscription[]>(call.sources.size());
  bool counted = subscribes && !stream_->method_is_head();
  for (const HubCall::Source& source : call.sources) {
    subscriptions_[sources_].reader = this;
    hub_.join(subscriptions_[sources_++], source, counted);
  }
  stays_ = counted;
  if (counted) ++hub_.counts().subscribers;
  form_ = !subscribes     ? BlockForm::kMessage
          : call.single() ? (call.poke ? BlockForm::kPoke : BlockForm::kEvent)
                          : (call.poke ? BlockForm::kEnvelopePoke : BlockForm::kEnvelope);
  bool whole = cursor_.begin(call.start, hub_.log(), from(), hub_.epoch(), only_stream(),
                             /*has_store=*/hub_.pages() != nullptr);
  if (call.filter.member || !call.filter.correlation.empty())
    cursor_.filter(std::make_unique<EventFilter>(std::move(call.filter)));
  if (cursor_.awaits_page())
    hub_.pages()->ask(*this);
  else
    begin_in_log(whole);
}

void HubRequest::begin_in_log(bool whole) {
  bool gap = tells_gaps() && !whole;
  begin_reading(gap, gap ? go_to_next() : next_id());
  pump();
}

void HubRequest::begin_reading(bool gap, HubId next) {
  HubCall& call = *call_;
  bool subscribes = call.what == HubCall::What::kSubscribe;
  std::string told;
  if (gap) {
    ++hub_.counts().gaps;
    told = gap_text(next);
    if (call.require_complete) {
      problem(412, "The hub does not hold all that is wanted.", {{"Sluice-Replay", "gap"}});
      return;
    }
  }
  slow_ = call.slow;
  Fields fields;
  std::string lease_field = lease_ ? lease_fields() : "";
  if (lease_) fields.emplace_back("Sluice-Lease", lease_field);
  if (tells_gaps()) fields.emplace_back("Sluice-Replay", gap ? "gap" : "complete");
  if (state_ != State::kStandby)
    head(200, subscribes ? "text/event-stream" : "application/json", BodyKind::kChunked, 0, fields);
  if (!stream_) return;
  if (stream_->method_is_head()) {
    finish();
    return;
  }
  if (!subscribes) {
    cursor_.end_at(hub_.log().next());
    left_ = call.batch.value_or(UINT64_MAX);
  }
  call_.reset();
  state_ = State::kReading;
  if (lease_ && !write(lease_event())) return;
  if (gap && !write(told)) return;
  if (subscribes && !write(text_of_place(next))) return;
  if (hubs_.context().draining) on_drain();
}

// Subscribers that have said where to begin are told of what is missing.
bool HubRequest::tells_gaps() const {
  return call_->what == HubCall::What::kSubscribe && call_->resumes;
}

// So that a gap is told with the event that follows, and not with a place where others have theirs.
HubId HubRequest::go_to_next() {
  const Log::Entry* event = nullptr;
  (void)cursor_.next(hub_.log(), from(), &event);
  return next_id();
}

// An id without an event. EventSource keeps it, so a client that is cut before its first event
// comes back to where it was.
std::string HubRequest::text_of_place(HubId next) {
  if (next.position == 0) return "";  // there is nothing to be behind of
  --next.position;
  std::string text = "id: ";
  append_hub_id(text, next);
  return text += "\n\n";
}

const LogStream* HubRequest::only_stream() const {
  const Topic& topic = *subscriptions_[0].topic;
  return sources_ > 1 || topic.is_category ? nullptr : hub_.log().stream(topic.name);
}

// Of the first event at the cursor or behind it, which may be yet to come.
HubId HubRequest::next_id() const {
  bool single = form_ == BlockForm::kEvent || form_ == BlockForm::kPoke;
  if (!single) return {hub_.epoch(), cursor_.at()};
  const LogStream* stream = only_stream();
  if (!stream) return {0, 0};
  return {stream->epoch, stream->first() + stream->events.find(cursor_.at())};
}

std::string HubRequest::gap_text(HubId next) const {
  std::string text = "event: sluice.gap\ndata: {\"wanted\":";
  if (!call_) {
    text += "null";
  } else if (call_->start.at == Start::At::kId) {
    text += '"';
    append_escaped(text, call_->start.id);
    text += '"';
  } else {
    append_number(text, call_->start.number);
  }
  text += ",\"got\":\"";
  append_hub_id(text, next);
  text += "\",\"epoch\":\"";
  append_epoch(text, next.epoch);
  return text += "\"}\n\n";
}

void HubRequest::deliver(const Log::Entry& event) {
  std::string_view text = event.block->form(form_);
  if (!stream_->takes_coded()) {
    stream_->on_response_event(event.lease, text);
    return;
  }
  EventCoder::Coded coded = hub_.coder().code(event, {form_, stream_->coded_before()});
  stream_->on_coded_events(coded.lease, coded.text, text, /*events=*/1, event.block->global());
}

void HubRequest::pump() {
  if (state_ != State::kReading || !stream_ || page_wait != PageWait::kNone) return;
  if (form_ == BlockForm::kMessage) {
    read_messages();
    return;
  }
  for (unsigned i = 0; i < kEventsATurn; ++i) {
    const Log::Entry* event = nullptr;
    switch (cursor_.next(hub_.log(), from(), &event)) {
      case Cursor::Step::kEvent:
        if (stream_->response_credit() == 0) return;
        cursor_.advance();
        ++hub_.counts().delivered;
        if (lease_) lease_->delivered = event->block->global();
        deliver(*event);
        if (!stream_) return;
        break;
      case Cursor::Step::kLost:
        if (hub_.pages()) {
          if (stream_->response_credit() > 0) hub_.pages()->ask(*this);
          return;
        }
        // It is told once, when it reads again.
        if (slow_ != SlowPolicy::kDisconnect && stream_->response_credit() == 0) return;
        if (!on_lost()) return;
        break;
      case Cursor::Step::kEnd:
        cursor_.only_newest(false);
        return;
      case Cursor::Step::kMore:
        hub_.wake(*this);
        return;
    }
  }
  hub_.wake(*this);
}

// False: it has ended.
bool HubRequest::on_lost() {
  if (!goes_on_behind_gap()) return false;
  cursor_.skip_lost(from());
  return write(gap_text(go_to_next()));
}

// False: it has ended.
bool HubRequest::goes_on_behind_gap() {
  if (slow_ == SlowPolicy::kDisconnect) {
    ++hub_.counts().slow_ended;
    finish();
    return false;
  }
  ++hub_.counts().gaps;
  cursor_.only_newest(slow_ == SlowPolicy::kCoalesce);
  return true;
}

void HubRequest::append_message(std::string& text, const Block& block) {
  if (!std::exchange(begun_, true)) text += '[';
  if (std::exchange(separate_, true)) text += ',';
  text += block.message();
  --left_;
}

// An array of messages, in pieces.
void HubRequest::read_messages() {
  while (stream_->response_credit() > 0) {
    std::string text;
    if (!std::exchange(begun_, true)) text += '[';
    bool over = left_ == 0;
    while (!over && text.size() < limits::kHubTextBytes) {
      const Log::Entry* event = nullptr;
      Cursor::Step step = cursor_.next(hub_.log(), from(), &event);
      if (step == Cursor::Step::kMore) {
        if (write(text)) hub_.wake(*this);
        return;
      }
      if (step == Cursor::Step::kLost && hub_.pages()) {
        if (write(text)) hub_.pages()->ask(*this);
        return;
      }
      if (step == Cursor::Step::kLost) cursor_.skip_lost(from());
      over = step == Cursor::Step::kEnd;
      if (step != Cursor::Step::kEvent) continue;
      cursor_.advance();
      append_message(text, *event->block);
      over = left_ == 0;
    }
    if (over) text += "]\n";
    if (!write(text)) return;
    if (over) {
      finish();
      return;
    }
  }
}

}  // namespace sluice
