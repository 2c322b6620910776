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
constexpr size_t kMessagesBytes = 8UL * 1024;  // put together before they are passed on

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
  Subscriptions from(subscriptions_.get(), sources_);
  const LogStream* only = call.single() ? hub_.log().stream(call.sources.front().name) : nullptr;
  bool whole = cursor_.begin(call.start, hub_.log(), from, hub_.epoch(), only);
  if (call.filter.member || !call.filter.correlation.empty())
    cursor_.filter(std::make_unique<EventFilter>(std::move(call.filter)));
  form_ = !subscribes     ? Form::kMessage
          : call.single() ? (call.poke ? Form::kPoke : Form::kEvent)
                          : (call.poke ? Form::kEnvelopePoke : Form::kEnvelope);
  bool gap = subscribes && call.resumes && !whole;
  std::string told;
  if (gap) {
    ++hub_.counts().gaps;
    go_to_next();
    told = gap_text(only);
    if (call.require_complete) {
      problem(412, "The hub does not hold all that is wanted.", {{"Sluice-Replay", "gap"}});
      return;
    }
  }
  slow_ = call.slow;
  Fields fields{{"Cache-Control", subscribes ? "no-cache" : "no-store"}};
  std::string lease_field = lease_ ? lease_fields() : "";
  if (lease_) fields.emplace_back("Sluice-Lease", lease_field);
  if (subscribes && call.resumes) fields.emplace_back("Sluice-Replay", gap ? "gap" : "complete");
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
  if (subscribes && !write(text_of_place(only))) return;
  if (hubs_.context().draining) on_drain();
  pump();
}

// So that a gap is told with the event that follows, and not with a place where others have theirs.
void HubRequest::go_to_next() {
  const Log::Entry* event = nullptr;
  (void)cursor_.next(hub_.log(), {subscriptions_.get(), sources_}, &event);
}

// An id without an event. EventSource keeps it, so a client that is cut before its first event
// comes back to where it was.
std::string HubRequest::text_of_place(const LogStream* stream) const {
  HubId behind = next_id(stream);
  if (behind.position == 0) return "";  // there is nothing to be behind of
  --behind.position;
  std::string text = "id: ";
  append_hub_id(text, behind);
  return text += "\n\n";
}

// Of the first event at the cursor or behind it, which may be yet to come.
HubId HubRequest::next_id(const LogStream* stream) const {
  bool single = form_ == Form::kEvent || form_ == Form::kPoke;
  if (!single) return {hub_.epoch(), cursor_.at()};
  if (!stream) return {0, 0};
  return {stream->epoch, stream->first() + stream->events.find(cursor_.at())};
}

std::string HubRequest::gap_text(const LogStream* stream) const {
  HubId got = next_id(stream);
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
  append_hub_id(text, got);
  text += "\",\"epoch\":\"";
  append_epoch(text, got.epoch);
  return text += "\"}\n\n";
}

std::string_view HubRequest::form_of(const Block& block) const {
  switch (form_) {
    case Form::kEvent:
      return block.event();
    case Form::kPoke:
      return block.poke();
    case Form::kEnvelope:
      return block.envelope_event();
    case Form::kEnvelopePoke:
      return block.envelope_poke();
    case Form::kMessage:
      break;
  }
  return block.message();
}

void HubRequest::pump() {
  if (state_ != State::kReading || !stream_) return;
  if (form_ == Form::kMessage) {
    read_messages();
    return;
  }
  for (unsigned i = 0; i < kEventsATurn; ++i) {
    const Log::Entry* event = nullptr;
    switch (cursor_.next(hub_.log(), {subscriptions_.get(), sources_}, &event)) {
      case Cursor::Step::kEvent:
        if (stream_->response_credit() == 0) return;
        cursor_.advance();
        ++hub_.counts().delivered;
        if (lease_) lease_->delivered = event->block->global();
        stream_->on_response_body(event->lease, form_of(*event->block));
        if (!stream_) return;
        break;
      case Cursor::Step::kLost:
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
  if (slow_ == SlowPolicy::kDisconnect) {
    ++hub_.counts().slow_ended;
    finish();
    return false;
  }
  ++hub_.counts().gaps;
  Subscriptions from(subscriptions_.get(), sources_);
  cursor_.skip_lost(hub_.log(), from);
  cursor_.only_newest(slow_ == SlowPolicy::kCoalesce);
  go_to_next();
  const Topic& topic = *from.front().topic;
  return write(gap_text(topic.is_category ? nullptr : hub_.log().stream(topic.name)));
}

// An array of messages, in pieces.
void HubRequest::read_messages() {
  while (stream_->response_credit() > 0) {
    std::string text;
    if (!std::exchange(begun_, true)) text = "[";
    bool over = left_ == 0;
    while (!over && text.size() < kMessagesBytes) {
      const Log::Entry* event = nullptr;
      Cursor::Step step = cursor_.next(hub_.log(), {subscriptions_.get(), sources_}, &event);
      if (step == Cursor::Step::kMore) {
        if (write(text)) hub_.wake(*this);
        return;
      }
      if (step == Cursor::Step::kLost)
        cursor_.skip_lost(hub_.log(), {subscriptions_.get(), sources_});
      over = step == Cursor::Step::kEnd;
      if (step != Cursor::Step::kEvent) continue;
      cursor_.advance();
      if (std::exchange(separate_, true)) text += ',';
      text += event->block->message();
      over = --left_ == 0;
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
