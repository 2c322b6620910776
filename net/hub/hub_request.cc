// A hub's request: how it arrives, what answers it in one piece, and how it ends.
#include "net/hub/hub_request.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/text.h"
#include "net/filter/json_check.h"
#include "net/http/problem.h"
#include "net/hub/answer_text.h"
#include "net/hub/hubs.h"
#include "net/hub/local_hub.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

constexpr std::string_view kEventStream = "text/event-stream";
constexpr uint64_t kRetryLeastMs = 1'000;
constexpr uint64_t kRetryMostMs = 10'000;

// Of all that a publisher has asked for: what the body means depends on what is said beside it.
uint64_t fingerprint_of(const HubCall& call, std::string_view body) {
  uint64_t print = hash_text(body);
  for (const std::string* part : {&call.type, &call.message_id})
    print = mix(print) ^ hash_text(*part);
  print = mix(print) ^ static_cast<uint64_t>(call.form);
  return mix(print) ^ static_cast<uint64_t>(call.expected_version.value_or(INT64_MIN));
}

}  // namespace

HubRequest::HubRequest(Hubs& hubs, LocalHub& hub, Stream& stream, std::unique_ptr<HubCall> call,
                       bool has_body)
    : hubs_(hubs), hub_(hub), stream_(&stream), call_(std::move(call)), has_body_(has_body) {}

HubRequest::~HubRequest() {
  if (call_) hubs_.give_back(std::move(call_));
}

void HubRequest::begin() {
  in_read_ = true;  // nothing is answered before the stream awaits it
  stream_->on_upstream(*this, /*reused=*/false);
  stream_->on_upstream_connected();
  in_read_ = false;
  if (call_->awaits_go_ahead && call_->status == 0) {
    Head go_ahead;
    HeadBuilder(go_ahead, 100);
    stream_->on_response_head(go_ahead);
  }
  if (stream_) request_ready();
}

// --- the request arrives ---

void HubRequest::request_ready() {
  if (state_ != State::kArriving || in_read_) return;
  in_read_ = true;
  read_body();
  in_read_ = false;
  if (!stream_) return;
  bool whole = stream_->request_arrived() && stream_->request_backlog() == 0;
  // A fault with a body need not be waited for: what still comes is dropped.
  bool faulty = call_->status != 0 && has_body_;
  if (whole || faulty) dispatch();
}

HomeCall& HubRequest::asks() {
  if (!asks_) asks_ = hub_.new_call();
  return *asks_;
}

void HubRequest::read_body() {
  std::array<iovec, 16> pieces;
  while (stream_ && stream_->request_backlog() > 0) {
    bool wanted = call_->status == 0;
    std::string* body = wanted ? &asks().body : nullptr;
    if (wanted && body->empty()) body->reserve(stream_->request_backlog() + JsonCheck::kPadding);
    size_t used = stream_->request()->build(pieces);
    size_t bytes = 0;
    for (const iovec& piece : std::span(pieces).first(used)) {
      bytes += piece.iov_len;
      if (wanted) body->append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    if (bytes == 0) return;
    MemoryLimit& memory = hubs_.context().memory_limit;
    if (wanted && body->size() > call_->body_bytes_max) {
      call_->refuse_body();
    } else if (wanted && !memory.charge(&charged_, static_cast<uint32_t>(body->capacity()))) {
      call_->status = 503;
      call_->detail = "There is no memory for the body now.";
    }
    if (call_->status != 0) asks_.reset();
    stream_->on_request_sent(stream_->request()->sent(bytes));
  }
}

void HubRequest::dispatch() {
  state_ = State::kServing;
  if (call_->status != 0) {
    if (call_->publishes()) ++hub_.counts().refused;
    problem(call_->status, call_->detail);
    return;
  }
  switch (call_->what) {
    case HubCall::What::kPreflight:
      preflight();
      return;
    case HubCall::What::kPublish:
      publish();
      return;
    case HubCall::What::kReadConsumer:
    case HubCall::What::kStoreConsumer:
    case HubCall::What::kDeleteConsumer: {
      HomeCall& call = asks();
      call.consumer = call_->consumer;
      call.kind = call_->what == HubCall::What::kReadConsumer ? HomeCall::Kind::kReadConsumer
                                                              : HomeCall::Kind::kStoreConsumer;
      if (call_->what == HubCall::What::kStoreConsumer) {
        call.position = read_position(call.body, hubs_.json_check());
        if (!call.position) {
          problem(400, "The body is {\"position\": N}, with a whole number from 0 on.");
          return;
        }
      }
      ask_home();
      return;
    }
    case HubCall::What::kAck:
    case HubCall::What::kDeleteGroup:
      ask_of_group();
      return;
    default:
      // Who wants no more than a head has no events to acknowledge.
      if (call_->joins_group() && !stream_->method_is_head())
        ask_lease();
      else
        serve();
  }
}

void HubRequest::publish() {
  if (hub_.is_fed(call_->sources.front().name)) {
    ++hub_.counts().refused;
    problem(403, "The stream is fed from a source (hub-source), and takes no other events.");
    return;
  }
  if (call_->ack == HubAck::kDisk && !hub_.exchange().store) {
    ++hub_.counts().refused;
    problem(400, "ack=disk: this hub has no store (hub-store).");
    return;
  }
  HomeCall& call = asks();
  call.ack = call_->ack;
  PublishRequest& request = call.publish;
  request.stream = call_->sources.front().name;
  request.expected_version = call_->expected_version;
  request.key = call_->key;
  if (!request.key.empty()) request.fingerprint = fingerprint_of(*call_, call.body);
  PublishRules rules{.event_bytes_max = stream_->settings().hub_event_size,
                     .events_max = limits::kHubBatchMax,
                     .type = call_->type,
                     .message_id = call_->message_id};
  if (PublishFault fault =
          read_publish_body(call.body, call_->form, rules, hubs_.json_check(), request.events)) {
    ++hub_.counts().refused;
    problem(fault.status, fault.detail);
    return;
  }
  ask_home();
}

void HubRequest::ask_home() {
  asks().asker = this;
  asked_ = asks_.get();
  if (hub_.ask(std::move(asks_))) return;
  asked_ = nullptr;
  if (state_ == State::kStandby) {
    hub_.holders().stand_by(*this, /*soon=*/true);
    return;
  }
  problem(503, "The hub does not keep up, or is about to end.", {{"Retry-After", "1"}});
}

void HubRequest::on_home_answer(HomeCall& call) {
  asked_ = nullptr;
  if (!stream_) return;
  if (call.group) {
    on_group_answer(call);
    return;
  }
  if (call.kind == HomeCall::Kind::kPublish || call.result.is_of_store()) {
    answer_publish(call);
    return;
  }
  // Where it is now, or was last.
  std::optional<uint64_t> position = call.position ? call.position : call.before;
  if (call.kind == HomeCall::Kind::kStoreConsumer && call.position && !call.stored) {
    problem(403, "The hub has as many consumers as it may have.");
  } else if (!position) {
    problem(404, "That consumer has stored no position.");
  } else {
    std::string body = "{";
    append_member(body, "consumer", call.consumer);
    append_member(body, "position", *position);
    answer(200, body += "}\n");
  }
}

void HubRequest::answer_publish(const HomeCall& call) {
  using Status = PublishResult::Status;
  const PublishResult& result = call.result;
  bool taken = result.status == Status::kAppended || result.status == Status::kDuplicate;
  if (!taken) ++hub_.counts().refused;
  switch (result.status) {
    case Status::kAppended:
    case Status::kDuplicate: {
      std::string& body = hubs_.scratch();
      body = "{";
      append_member(body, "stream", call.publish.stream);
      append_member(body, "position", result.position);
      append_member(body, "globalPosition", result.global);
      append_member(body, "appended", result.count);
      answer(result.status == Status::kAppended ? 201 : 200, body += "}\n");
      return;
    }
    case Status::kWrongVersion:
      problem(409, "The stream's version is " + std::to_string(result.version) + ", not " +
                       std::to_string(*call.publish.expected_version) + ".");
      return;
    case Status::kKeyReused:
      problem(422, "The Idempotency-Key has been used for another request.");
      return;
    case Status::kTooManyStreams:
      problem(403, "The hub has as many streams as it may have.");
      return;
    case Status::kTooFast: {
      std::string seconds = std::to_string((result.retry_ms + 999) / 1000);
      problem(429, "The hub takes no more events now.", {{"Retry-After", seconds}});
      return;
    }
    case Status::kStoreFull:
      problem(507, "The hub's disk is full. Nothing was stored.", {{"Retry-After", "5"}});
      return;
    case Status::kStoreFailed:
      problem(503, "The hub's store does not work now.", {{"Retry-After", "5"}});
      return;
    case Status::kBusy:
      problem(503, "A worker does not keep up.", {{"Retry-After", "1"}});
      return;
  }
}

// --- answers from the worker's own log ---

// Its log may not have all that a publisher has been told of by another worker.
void HubRequest::serve() {
  if (!stream_) return;
  if (hub_.behind()) {
    waits_for_ = hub_.exchange().next.load(std::memory_order_acquire);
    hub_.wait(*this);
  } else {
    serve_now();
  }
}

// What has been appended since it came is not waited for: there may always be more.
void HubRequest::serve_now() {
  switch (call_->what) {
    case HubCall::What::kSubscribe:
    case HubCall::What::kMessages:
      start_reading();
      return;
    case HubCall::What::kLast:
      serve_last();
      return;
    case HubCall::What::kReadGroup:
      ask_of_group();
      return;
    default:
      serve_info();
  }
}

void HubRequest::serve_info() {
  Log& log = hub_.log();
  std::string body = "{";
  if (call_->what == HubCall::What::kHubInfo) {
    append_member(body, "hub", hub_.exchange().name);
    append_epoch_member(body, hub_.epoch());
    append_member(body, "streams", log.streams());
    append_member(body, "categories", log.categories());
    append_member(body, "events", log.events());
    append_member(body, "bytes", hub_.bytes());
    append_member(body, "firstGlobalPosition", log.first());
    append_member(body, "globalPosition", log.next() - 1);
    append_member(body, "subscribers", hub_.exchange().presence.total());
    answer(200, body += "}\n");
    return;
  }
  const HubCall::Source& source = call_->sources.front();
  const LogStream* stream = source.is_category ? nullptr : log.stream(source.name);
  const LogCategory* category = source.is_category ? log.category(source.name) : nullptr;
  if (call_->what == HubCall::What::kVersion) {
    append_version(body, "version", stream ? stream->next : 0);
    answer(200, body += "}\n");
    return;
  }
  uint64_t subscribers =
      hub_.exchange().presence.of((source.is_category ? 'c' : 's') + source.name);
  if (source.is_category) {
    append_member(body, "category", source.name);
    append_epoch_member(body, hub_.epoch());
    append_member(body, "streams", category ? category->streams : 0);
    append_member(body, "globalPosition",
                  category && !category->events.empty() ? category->events.back() : 0);
  } else {
    append_member(body, "stream", source.name);
    append_member(body, "category", category_of(source.name));
    if (stream) append_epoch_member(body, stream->epoch);
    append_version(body, "version", stream ? stream->next : 0);
    append_member(body, "events", stream ? stream->events.size() : 0);
    if (stream && !stream->events.empty()) append_member(body, "firstPosition", stream->first());
  }
  append_member(body, "subscribers", subscribers);
  answer(200, body += "}\n");
}

void HubRequest::serve_last() {
  Log& log = hub_.log();
  const LogStream* stream = log.stream(call_->sources.front().name);
  size_t held = stream ? stream->events.size() : 0;
  for (size_t i = held; i > 0 && held - i < limits::kHubLastScannedMax; --i) {
    const Block& block = *log.at(stream->events[i - 1])->block;
    if (!call_->type.empty() && block.type() != call_->type) continue;
    answer(200, std::string(block.message()) + "\n");
    return;
  }
  last_before_ = stream ? stream->first() : 0;
  if (hub_.pages() && last_before_ > 0 && held < limits::kHubLastScannedMax)
    hub_.pages()->ask(*this);
  else
    problem(404, held < limits::kHubLastScannedMax
                     ? "The hub holds no such message."
                     : "None of the stream's last 10,000 messages is such a one.");
}

// --- answering ---

void HubRequest::head(int status, std::string_view type, BodyKind body, uint64_t length,
                      const Fields& fields) {
  stream_->on_response_begun();
  if (!stream_) return;
  std::unique_ptr<Head> head = hubs_.context().heads.acquire();
  HeadBuilder builder(*head, status);
  if (!type.empty()) {
    builder.field("Content-Type", type);
    builder.field("Cache-Control", type == kEventStream ? "no-cache" : "no-store");
  }
  for (const auto& [name, value] : fields) builder.field(name, value);
  const Route& route = stream_->route();
  if (!call_->origin.empty()) {
    builder.field("Access-Control-Allow-Origin", call_->origin);
    builder.field("Access-Control-Expose-Headers", "Sluice-Replay, Sluice-Lease, Retry-After");
    if (stream_->settings().hub_cors_credentials)
      builder.field("Access-Control-Allow-Credentials", "true");
  }
  // Also to others: a cache must not give them an answer without these fields.
  if (!route.hub_cors.empty() && route.hub_cors.front() != "*") builder.field("Vary", "Origin");
  bool none = stream_->method_is_head() || status == 204;
  builder.body(none ? BodyKind::kNone : body, length);
  stream_->on_response_head(*head);
  hubs_.context().heads.release(std::move(head));
}

void HubRequest::answer(int status, std::string_view body, const Fields& fields,
                        std::string_view type) {
  head(status, type, BodyKind::kLength, body.size(), fields);
  if (!stream_) return;
  if (!stream_->method_is_head() && !write(body)) return;
  finish();
}

void HubRequest::problem(int status, std::string_view detail, const Fields& fields) {
  answer(status, problem_body(status, detail), fields, "application/problem+json");
}

void HubRequest::preflight() {
  Fields fields{{"Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"}};
  if (!call_->origin.empty()) {
    fields.emplace_back("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE");
    fields.emplace_back(
        "Access-Control-Allow-Headers",
        "Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID");
    fields.emplace_back("Access-Control-Max-Age", "600");
  }
  answer_empty(fields);
}

void HubRequest::answer_empty(const Fields& fields) {
  head(204, "", BodyKind::kNone, 0, fields);
  if (stream_) finish();
}

bool HubRequest::write(std::string_view text) {
  Memory& memory = hubs_.context().memory;
  SlotPool& pool = stays_ || state_ == State::kStandby ? memory.sse_event : memory.http_message;
  while (stream_ && !text.empty()) {
    Lease lease = pool.take_block(static_cast<uint32_t>(text.size()), /*ours=*/false);
    if (!lease) {
      Stream* stream = stream_;
      stream->on_upstream_lost(Ending::kOverloaded, "hub", /*nothing_sent=*/false);
      let_go();
      return false;
    }
    size_t size = std::min<size_t>(text.size(), lease.size());
    std::memcpy(lease.data(), text.data(), size);
    stream_->on_response_body(lease, {lease.data(), size});
    text.remove_prefix(size);
  }
  return stream_ != nullptr;
}

void HubRequest::finish() {
  stream_->on_response_end();
  let_go();
}

void HubRequest::on_drain() {
  bool reads = stays_ && state_ == State::kReading;
  if (!stream_ || !(reads || state_ == State::kStandby)) return;
  std::string text = "retry: ";
  append_number(text, hubs_.random().between(kRetryLeastMs, kRetryMostMs));
  if (write(text += "\n\n")) finish();
}

void HubRequest::let_go() {
  Stream* stream = std::exchange(stream_, nullptr);
  if (!stream) return;
  state_ = State::kOver;
  if (asked_) {
    asked_->asker = nullptr;
    asked_->charged = std::exchange(charged_, 0);
  }
  hub_.forget(*this);
  hub_.holders().forget(*this);
  for (size_t i = 0; i < sources_; ++i) hub_.leave(subscriptions_[i], stays_);
  if (stays_) --hub_.counts().subscribers;
  sources_ = 0;
  hubs_.context().memory_limit.charge(&charged_, 0);
  hubs_.bury(*this);
  stream->upstream_released();
}

}  // namespace sluice
