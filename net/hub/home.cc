#include "net/hub/home.h"

#include <algorithm>
#include <unordered_set>

#include "core/text.h"

namespace sluice {

namespace {

// The part of a hub's bytes that its streams may take before those without events are forgotten.
constexpr uint64_t kStreamsShare = 2;

uint32_t upper_half(uint64_t value) {
  return static_cast<uint32_t>(value >> 32);
}

// Names of requests and of messages do not meet, nor do those of two streams.
std::string key_of(char kind, std::string_view stream, std::string_view name) {
  std::string key(1, kind);
  key.append(stream) += '\n';  // in no name of a stream
  return key.append(name);
}

}  // namespace

Home::Home(Log& log, ChangeSink& changes, BlockMemory& memory, uint64_t seed, uint32_t holders)
    : log_(log),
      changes_(changes),
      memory_(memory),
      seed_(seed),
      epoch_(upper_half(mix(seed))),
      holders_(holders) {}

uint32_t Home::epoch_of(uint64_t seed) {
  return upper_half(mix(seed));
}

// A stream that is made again has another one, since its positions begin anew.
uint32_t Home::new_epoch(std::string_view stream) const {
  if (stored_) return stored_epoch(seed_, stream);
  return upper_half(mix(seed_ ^ hash_text(stream) ^ mix(log_.next())));
}

uint32_t Home::stored_epoch(uint64_t seed, std::string_view stream) {
  return upper_half(mix(seed ^ hash_text(stream)));
}

std::string Home::request_key(std::string_view stream, std::string_view key) {
  return key_of('k', stream, key);
}

std::string Home::message_key(std::string_view stream, std::string_view id) {
  return key_of('m', stream, id);
}

void Home::use_store(bool shows_durable) {
  stored_ = true;
  shows_durable_ = shows_durable;
}

void Home::stored(Block& block) {
  bound_stream(block);
  auto ahead = ahead_.find(std::string(block.stream()));
  --ahead_events_;
  if (--ahead->second.events == 0) ahead_.erase(ahead);
}

void Home::take_back() {
  keys_.take_back(log_.next());
  ahead_.clear();
  ahead_events_ = 0;
}

PublishResult Home::publish(const PublishRequest& request, uint64_t now_ms, uint64_t wall_ms) {
  PublishResult result;
  keys_.expire(now_ms > limits_.window_ms ? now_ms - limits_.window_ms : 0);
  LogStream* stream = log_.stream(request.stream);
  auto found = ahead_.find(request.stream);
  Ahead ahead = found != ahead_.end() ? found->second : Ahead{};
  bool known_stream = stream || ahead.events > 0;
  uint64_t next = ahead.events > 0 ? ahead.next : stream ? stream->next : 0;
  result.version = static_cast<int64_t>(next) - 1;
  // Before all else: what is sent again has the answer that was given before.
  std::string key = request.key.empty() ? "" : key_of('k', request.stream, request.key);
  if (const KeyWindow::Outcome* before = key.empty() ? nullptr : keys_.find(key)) {
    bool same = before->fingerprint == request.fingerprint;
    result.status = same ? Status::kDuplicate : Status::kKeyReused;
    result.position = before->position;
    result.global = before->global;
    return result;
  }
  std::vector<bool> known = known_messages(request, result);
  uint64_t fresh = request.events.size();
  fresh -= static_cast<uint64_t>(std::ranges::count(known, true));
  if (fresh == 0) {
    result.status = Status::kDuplicate;
    return result;
  }
  if (request.expected_version && *request.expected_version != result.version) {
    result.status = Status::kWrongVersion;
    return result;
  }
  if (refusal_) {
    result.status = *refusal_;
    return result;
  }
  if (!takes(fresh, now_ms, result) || (!known_stream && !has_room_for_stream(result)))
    return result;

  last_wall_ms_ = std::max(last_wall_ms_, wall_ms);
  EventPlace place{.stream = request.stream};
  place.position = static_cast<uint64_t>(result.version + 1);
  place.time_ms = last_wall_ms_;
  place.stream_epoch = stream             ? stream->epoch
                       : ahead.events > 0 ? ahead.epoch
                                          : new_epoch(request.stream);
  place.hub_epoch = epoch_;
  for (size_t i = 0; i < request.events.size(); ++i) {
    if (!known.empty() && known[i]) continue;
    const EventDraft& draft = request.events[i];
    place.global = next_global();
    // The store holds it, too.
    Block* block = Block::make(draft, place, holders_ + (stored_ ? 1 : 0), scratch_, &memory_);
    if (!shows_durable_) bound_stream(*block);
    result.position = place.position++;
    result.global = place.global;
    ++result.count;
    if (!draft.message_id.empty())
      keys_.add(key_of('m', request.stream, draft.message_id),
                {result.position, result.global, 1, 0}, now_ms);
    changes_.append(*block, draft);
    if (shows_durable_) {
      ++ahead_events_;
      ++ahead.events;
    }
  }
  if (shows_durable_) {
    ahead.next = place.position;
    ahead.epoch = place.stream_epoch;
    ahead_[request.stream] = ahead;
  }
  result.status = Status::kAppended;
  if (!key.empty())
    keys_.add(key, {result.position, result.global, result.count, request.fingerprint}, now_ms);
  trim(now_ms, wall_ms);
  return result;
}

// What its stream may keep beside it. All before it is in the log.
void Home::bound_stream(Block& block) const {
  if (limits_.stream_events == 0 && limits_.stream_bytes == 0) return;
  const LogStream* stream = log_.stream(block.stream());
  if (!stream) return;
  uint64_t first = stream->first();
  uint64_t bytes = stream->bytes + block.bytes();
  auto over = [&] {
    return (limits_.stream_events != 0 && block.position() - first >= limits_.stream_events) ||
           (limits_.stream_bytes != 0 && bytes > limits_.stream_bytes);
  };
  for (; first < block.position() && over(); ++first)
    bytes -= log_.at(stream->events[first - stream->first()])->block->bytes();
  block.set_stream_first(first);
}

// Those of its events that have been appended within the window, or are there twice. Empty: none of
// them has an id.
std::vector<bool> Home::known_messages(const PublishRequest& request, PublishResult& result) const {
  auto has_none = [](const EventDraft& draft) { return draft.message_id.empty(); };
  if (std::ranges::all_of(request.events, has_none)) return {};
  std::vector<bool> known(request.events.size());
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < known.size(); ++i) {
    std::string_view id = request.events[i].message_id;
    if (id.empty()) continue;
    const KeyWindow::Outcome* before = keys_.find(key_of('m', request.stream, id));
    if (before) {
      result.position = before->position;
      result.global = before->global;
    }
    known[i] = before || !seen.insert(id).second;
  }
  return known;
}

// A second's worth may come at once. A batch that is larger makes the next one wait for longer.
bool Home::takes(uint64_t events, uint64_t now_ms, PublishResult& result) {
  if (limits_.rate == 0) return true;
  auto rate = static_cast<int64_t>(limits_.rate);
  int64_t full = rate * 1000;
  bool first = allowance_ms_ == 0;
  auto passed_ms = static_cast<int64_t>(now_ms - allowance_ms_);
  allowance_ =
      first ? full : std::min(full, allowance_ + std::min<int64_t>(passed_ms, 3'600'000) * rate);
  allowance_ms_ = now_ms;
  int64_t needed = std::min(static_cast<int64_t>(events), rate) * 1000;
  if (allowance_ < needed) {
    result.status = Status::kTooFast;
    result.retry_ms = static_cast<uint64_t>((needed - allowance_) / rate + 1);
    return false;
  }
  allowance_ -= static_cast<int64_t>(events) * 1000;
  return true;
}

bool Home::has_room_for_stream(PublishResult& result) {
  if (log_.streams() < limits_.streams) return true;
  // A store goes on with a stream's positions, however old it is.
  if (stored_ || !log_.longest_empty()) {
    result.status = Status::kTooManyStreams;
    return false;
  }
  changes_.forget();
  return true;
}

bool Home::over_bytes() const {
  if (limits_.history_bytes == 0) return false;
  uint64_t bytes = log_.bytes() + (holders_ - 1) * log_.index_bytes();
  // Streams that stay for good would leave no room for events in the end.
  if (stored_) bytes -= holders_ * log_.stream_bytes();
  if (more_bytes_) bytes += more_bytes_->load(std::memory_order_relaxed);
  return bytes > limits_.history_bytes;
}

// To have room for events. Below that, a stream goes on with its positions however old it is.
bool Home::may_forget() const {
  return !stored_ && log_.longest_empty() &&
         holders_ * log_.stream_bytes() > limits_.history_bytes / kStreamsShare;
}

bool Home::over_limits(uint64_t wall_ms) const {
  if (limits_.history_events != 0 && log_.events() > limits_.history_events) return true;
  if (log_.holes() > limits_.holes) return true;
  if (over_bytes()) return true;
  if (limits_.history_age_ms == 0) return false;
  const Log::Entry* oldest = log_.at(log_.first());
  return oldest && oldest->block->time_ms() + limits_.history_age_ms < wall_ms;
}

void Home::trim(uint64_t now_ms, uint64_t wall_ms) {
  keys_.expire(now_ms > limits_.window_ms ? now_ms - limits_.window_ms : 0);
  for (;;) {
    if (over_bytes() && may_forget()) {
      changes_.forget();
      continue;
    }
    // What a stream has evicted by itself leaves holes, which go with what lies before them.
    bool goes = log_.first() < log_.next() && (over_limits(wall_ms) || !log_.at(log_.first()));
    if (!goes) return;
    changes_.evict_through(log_.first());
  }
}

std::optional<uint64_t> Home::consumer(const std::string& id) const {
  auto found = consumers_.find(id);
  if (found == consumers_.end()) return std::nullopt;
  return found->second;
}

void Home::take_back_consumer(const std::string& id, std::optional<uint64_t> before) {
  if (before)
    consumers_[id] = *before;
  else
    consumers_.erase(id);
}

bool Home::set_consumer(const std::string& id, uint64_t position) {
  auto found = consumers_.find(id);
  if (found != consumers_.end()) {
    found->second = position;
    return true;
  }
  return consumers_.size() < limits::kHubConsumersMax && consumers_.emplace(id, position).second;
}

}  // namespace sluice
