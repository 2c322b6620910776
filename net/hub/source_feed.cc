#include "net/hub/source_feed.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "core/clock.h"
#include "net/base/limits.h"
#include "net/http/head_builder.h"
#include "net/http/semantics.h"
#include "net/hub/hubs.h"
#include "net/hub/local_hub.h"
#include "net/hub/names.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

namespace {

constexpr unsigned kBatchesATurn = 4;
// Before a stream that has ended in order is asked for again, where it names no time (`retry:`).
constexpr uint64_t kEndedLeastMs = 1'000;
constexpr uint64_t kEndedMostMs = 2'000;
// After an answer that the next attempt will get as well, most likely.
constexpr uint64_t kRefusedLeastMs = 1'000;
// Until a hub is asked again that has not taken a batch.
constexpr uint64_t kBusyMs = 50;
constexpr uint64_t kStoreMs = 1'000;
constexpr uint64_t kNoRoomMs = 5'000;
// Among which the last id is looked for that came before this process, or before a reload.
constexpr size_t kRestoredEvents = 256;

}  // namespace

WrittenHead SourceFeed::Answer::write_head(const Head& head, const ResponseRewrite& rewrite,
                                           std::string&) const {
  feed_.on_answer(head, rewrite.event_stream);
  return {};
}

SourceFeed::SourceFeed(WorkerContext& context, Streams& streams, Hubs& hubs, const Route& route)
    : context_(context),
      streams_(streams),
      hubs_(hubs),
      hub_(hubs.hub(route.feeds.hub)),
      path_(route.path),
      feeds_(route.feeds),
      url_(route.upstreams.front().url),
      writer_(*this),
      timer_(this),
      reader_(context.memory_limit, route.settings.heal_ids) {
  reload(route);
  const LogStream* stream = hub_.log().stream(feeds_.stream);
  size_t held = stream ? stream->events.size() : 0;
  std::string restored = hub_.take_stored_origin(feeds_.stream);
  for (size_t i = held; i > 0 && held - i < kRestoredEvents; --i) {
    const Log::Entry* entry = hub_.log().at(stream->events[i - 1]);
    if (!entry || entry->block->origin_id().empty()) continue;
    restored = entry->block->origin_id();
    break;
  }
  if (!restored.empty()) reader_.restore(restored);
}

SourceFeed::~SourceFeed() {
  if (asked_) asked_->asker = nullptr;
}

void SourceFeed::reload(const Route& route) {
  const std::string& url = route.upstreams.front().url;
  if (url != url_ || route.feeds.target != feeds_.target) {
    close();
    url_ = url;
    feeds_ = route.feeds;
    is_another_ = true;
    told_open_ = told_lost_ = false;
  }
  event_bytes_max_ = route.settings.hub_event_size;
  linger_ms_ = route.settings.hub_source_linger_ms;
  always_ = route.settings.hub_source_open == HubSourceOpen::kAlways;
}

HubSourceCounts SourceFeed::counts() const {
  return {.hub = feeds_.hub,
          .stream = feeds_.stream,
          .up = stream_ && brings_events_,
          .attempts = attempts_,
          .events = events_,
          .duplicates = reader_.duplicates(),
          .refused = reader_.refused()};
}

uint64_t SourceFeed::now_ms() const {
  return context_.loop.now_ms();
}

void SourceFeed::tell(LogLevel level, std::string_view what) const {
  if (!context_.messages.on(level)) return;
  std::string text = "hub " + feeds_.hub + ": the source of " + feeds_.stream + ", " + url_ + ", ";
  context_.messages.write(level, now_ms(), text.append(what));
}

// --- when it is read ---

bool SourceFeed::wanted() const {
  if (always_) return true;
  HubPresence& presence = hub_.exchange().presence;
  return presence.of("s" + feeds_.stream) > 0 ||
         presence.of("c" + std::string(category_of(feeds_.stream))) > 0;
}

void SourceFeed::look() {
  if (stopped_) return;
  if (wanted()) {
    unwanted_since_ms_ = 0;
    if (state_ == State::kClosed) await(0);
    return;
  }
  if (state_ == State::kClosed) return;
  if (unwanted_since_ms_ == 0) unwanted_since_ms_ = now_ms();
  if (now_ms() - unwanted_since_ms_ >= linger_ms_) close();
}

void SourceFeed::stop() {
  stopped_ = true;
  close();
  context_.loop.timers().cancel(timer_);
  if (asked_) std::exchange(asked_, nullptr)->asker = nullptr;
}

void SourceFeed::close() {
  if (stream_) {
    while (take()) {
    }
    let_go_of_stream();
    context_.loop.flush_later(*this);
  }
  state_ = State::kClosed;
}

// The next attempt begins then, once the hub has all of the one before.
void SourceFeed::await(uint64_t due_ms) {
  state_ = State::kWaiting;
  due_ms_ = due_ms;
  context_.loop.timers().schedule_earlier(timer_, due_ms);
}

void SourceFeed::open() {
  state_ = State::kOpen;
  status_ = 0;
  retry_after_ms_.reset();
  brings_events_ = aborted_ = dropped_ = false;
  ++attempts_;
  if (std::exchange(is_another_, false)) reader_.forget();
  reader_.begin();
  std::unique_ptr<Head> head = context_.heads.acquire();
  HeadBuilder builder(*head, "GET", feeds_.target);
  builder.field("Accept", "text/event-stream");
  builder.field("Accept-Encoding", "identity");
  builder.field("Cache-Control", "no-cache");
  builder.field("User-Agent", "sluice-hub");
  if (reader_.healing().can_ask()) builder.field("Last-Event-ID", reader_.healing().ids.last());
  stream_ = streams_.make(*this);
  stream_->on_request_head(std::move(head), /*keep_alive=*/true);
  stream_->on_request_end();
}

// --- what it brings ---

// The stream is in the midst of something, here and in the next two.
void SourceFeed::response_ready() {
  context_.loop.flush_later(*this);
}

void SourceFeed::response_aborted() {
  aborted_ = true;
  context_.loop.flush_later(*this);
}

void SourceFeed::drop() {
  dropped_ = true;
  context_.loop.flush_later(*this);
}

void SourceFeed::on_flush() {
  pump();
  if (stream_is_over()) on_attempt_over();
}

void SourceFeed::on_timer() {
  pump();
  if (stream_is_over()) on_attempt_over();
  if (ask_again_ms_ > now_ms()) context_.loop.timers().schedule_earlier(timer_, ask_again_ms_);
  if (state_ != State::kWaiting) return;
  bool ready = batch_.empty() && !reader_.has_events();
  if (ready && now_ms() >= due_ms_)
    open();
  else if (ready)
    context_.loop.timers().schedule_earlier(timer_, due_ms_);
}

void SourceFeed::on_answer(const Head& head, bool event_stream) {
  status_ = head.status();
  brings_events_ = status_ == 200 && event_stream;
  if (!brings_events_) {
    retry_after_ms_ = retry_after_ms(head, wall_clock_ms());
    return;
  }
  reader_.healing().resumes(now_ms());
  if (!told_open_ || told_lost_) tell(LogLevel::kInfo, told_lost_ ? "is read again" : "is read");
  told_open_ = true;
  told_lost_ = false;
}

bool SourceFeed::take() {
  Outbox& response = stream_->response();
  std::array<iovec, 16> pieces;
  size_t used = response.build(pieces);
  size_t bytes = 0;
  for (const iovec& piece : std::span(pieces).first(used)) {
    bytes += piece.iov_len;
    if (brings_events_)
      reader_.append({static_cast<const char*>(piece.iov_base), piece.iov_len}, event_bytes_max_);
  }
  if (bytes == 0) return false;
  uint64_t body_bytes = response.sent(bytes);
  if (!dropped_) stream_->on_client_sent(body_bytes);
  return true;
}

// As much as the hub takes, in several turns where it is much.
void SourceFeed::pump() {
  if (stopped_ || now_ms() < ask_again_ms_) return;
  pumping_ = true;
  for (unsigned batches = 0; !asked_ && ask_again_ms_ <= now_ms();) {
    if (batch_.empty()) {
      if (!reader_.has_events() && !(stream_ && take())) break;
      reader_.read(batch_, hubs_.json_check(), event_bytes_max_);
      if (batch_.empty()) continue;
    }
    if (++batches > kBatchesATurn) {
      context_.loop.timers().schedule_earlier(timer_, now_ms());
      break;
    }
    if (!publish()) break;
  }
  pumping_ = false;
  if (reader_.refused() > told_refused_) {
    if (told_refused_ == 0)
      tell(LogLevel::kWarn,
           "has brought an event that the hub does not take: " + std::string(reader_.refusal()));
    told_refused_ = reader_.refused();
  }
}

// False: it cannot be asked now.
bool SourceFeed::publish() {
  std::unique_ptr<HomeCall> call = hub_.new_call();
  call->publish.stream = feeds_.stream;
  call->publish.events =
      batch_.drafts();  // the home is here, and is done with them when it returns
  call->asker = this;
  asked_ = call.get();
  if (hub_.ask(std::move(call))) return true;
  asked_ = nullptr;
  wait_for_hub(kBusyMs);
  return false;
}

void SourceFeed::on_home_answer(HomeCall& call) {
  using Status = PublishResult::Status;
  asked_ = nullptr;
  switch (call.result.status) {
    case Status::kAppended:
    case Status::kDuplicate:
      events_ += call.result.count;
      batch_.clear();
      ask_again_ms_ = 0;
      if (std::exchange(told_waiting_, false)) tell(LogLevel::kInfo, "is read on");
      break;
    case Status::kTooFast:
      wait_for_hub(std::max<uint64_t>(call.result.retry_ms, 1));
      break;
    case Status::kStoreFull:
      wait_for_hub(kStoreMs, "the hub's disk is full");
      break;
    case Status::kStoreFailed:
      wait_for_hub(kStoreMs, "the hub's store does not work");
      break;
    case Status::kTooManyStreams:
      wait_for_hub(kNoRoomMs, "the hub has as many streams as it may have");
      break;
    case Status::kBusy:
    case Status::kWrongVersion:
    case Status::kKeyReused:
      wait_for_hub(kBusyMs);
      break;
  }
  // The next attempt may have waited for this.
  if (state_ == State::kWaiting) context_.loop.timers().schedule_earlier(timer_, due_ms_);
  if (!pumping_) context_.loop.flush_later(*this);
}

void SourceFeed::wait_for_hub(uint64_t ms, const char* why) {
  ask_again_ms_ = now_ms() + ms;
  context_.loop.timers().schedule_earlier(timer_, ask_again_ms_);
  if (why && !std::exchange(told_waiting_, true))
    tell(LogLevel::kWarn, "waits and is not read: " + std::string(why));
}

// --- how an attempt ends ---

// What it still has is taken first, unless there is no use for it.
bool SourceFeed::stream_is_over() const {
  if (!stream_) return false;
  bool useless = status_ != 0 && !brings_events_ && status_ != 204;
  return dropped_ || useless || (aborted_ && stream_->response().backlog() == 0) ||
         stream_->response().complete();
}

void SourceFeed::let_go_of_stream() {
  Stream* stream = std::exchange(stream_, nullptr);
  bool answered = status_ != 0 && !brings_events_;
  if (stream->response().complete() && !dropped_)
    stream->on_client_done();
  else
    stream->on_client_gone(answered ? Ending::kComplete : Ending::kClientLeft);
  stream->client_released();
  reader_.end();
}

void SourceFeed::on_attempt_over() {
  while (take()) {
  }
  Ending ending = stream_->ending();
  std::string lost_by = loss(ending, stream_->reason());
  let_go_of_stream();
  if (status_ == 204) {
    state_ = State::kOver;
    tell(LogLevel::kInfo, "has ended (204)");
    return;
  }
  Healing& healing = reader_.healing();
  healing.breaks(now_ms(), ending);
  Random& random = streams_.random();
  uint64_t wait_ms = healing.wait_ms(reader_.retry_ms(), retry_after_ms_, random);
  bool in_order = brings_events_ && ending == Ending::kComplete;
  if (in_order && !reader_.retry_ms())
    wait_ms = std::max(wait_ms, random.between(kEndedLeastMs, kEndedMostMs));
  if (status_ != 0 && !brings_events_ && !retry_after_ms_)
    wait_ms = std::max(wait_ms, kRefusedLeastMs);
  if (!in_order && !std::exchange(told_lost_, true))
    tell(LogLevel::kWarn, "is lost, and asked again: " + lost_by);
  await(now_ms() + std::max<uint64_t>(wait_ms, 1));
}

std::string SourceFeed::loss(Ending ending, std::string_view reason) const {
  if (status_ != 0 && !brings_events_)
    return status_ == 200 ? "its answer is no event stream" : "status " + std::to_string(status_);
  std::string text(ending_name(ending));
  if (!reason.empty()) text.append(" (").append(reason).append(")");
  return text;
}

}  // namespace sluice
