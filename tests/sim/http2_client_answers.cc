#include <algorithm>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"
#include "tests/sim/http2_client.h"
#include "tests/sim/http2_words.h"
#include "tests/sim/judge.h"

namespace sluice::sim {

// --- what comes ---

void Http2Client::on_change() {
  if (done_ || scene_.frozen || std::exchange(reading_, true)) return;
  uint64_t pause_ns = traits_.read_pause_ns;
  if (heard_ && traits_.stands_still_ns > 0) {
    pause_ns += std::exchange(traits_.stands_still_ns, 0);
    left_ = true;
  }
  if (pause_ns == 0)
    read();
  else
    later(pause_ns, &Http2Client::read);
}

void Http2Client::read() {
  reading_ = false;
  const uint64_t connection = connections_;
  in_ += connection_->read(traits_.read_max);
  for (const SeenFrame& seen : test::take_frames(in_)) {
    on_frame(seen);
    if (done_ || connection != connections_) return;
  }
  if (in_.size() > kHeaderBytes + kFrameBytesMax) violation("a client was sent a frame too large");
  if (connection_->to_peer.readable() > 0)
    on_change();
  else if (connection_->reset_at_peer())
    on_end(true);
  else if (connection_->finished_at_peer())
    on_end(false);
}

void Http2Client::on_frame(const SeenFrame& seen) {
  if (seen.payload.size() > kFrameBytesMax) violation("a client was sent a frame too large");
  if (!std::exchange(heard_, true) && seen.type != kSettings)
    violation("a connection that does not begin with SETTINGS");
  if (block_of_ != 0 && (seen.type != kContinuation || seen.id != block_of_))
    violation("a frame within a field block");
  switch (seen.type) {
    case kSettings:
      return on_settings(seen);
    case kWindowUpdate:
      return on_window_update(seen);
    case kGoAway:
      return on_goaway(seen);
    case kPing:
      if ((seen.flags & kAck) == 0)
        say(frame(kPing, kAck, 0, seen.payload));
      else if (pings_-- == 0 || seen.payload != "a ping..")
        violation("the answer to a PING that there was not");
      return;
    default:
      break;
  }
  Ask* ask = find(seen.id);
  if (!ask) violation("a frame of stream " + std::to_string(seen.id) + ", which is none");
  switch (seen.type) {
    case kResetStream:
      return on_reset(*ask, number_at(seen.payload, 0));
    case kHeaders:
      block_.clear();
      block_ends_ = (seen.flags & kEndStream) != 0;
      [[fallthrough]];
    case kContinuation:
      block_ += seen.payload;
      block_of_ = (seen.flags & kEndHeaders) != 0 ? 0 : seen.id;
      if (block_of_ == 0) on_fields(*ask, block_ends_);
      return;
    case kData:
      return on_data(*ask, seen);
    default:
      violation("a client was sent a frame of type " + std::to_string(seen.type));
  }
}

void Http2Client::on_settings(const SeenFrame& seen) {
  if ((seen.flags & kAck) != 0) {
    // What was framed before it was of the larger windows.
    if (++acknowledged_ == 2)
      for (auto& [id, ask] : asks_)
        if (id < shrinks_before_) ask.window -= shrinks_by_;
    return;
  }
  for (size_t at = 0; at + 6 <= seen.payload.size(); at += 6) {
    uint32_t value = number_at(seen.payload, at + 2);
    if (seen.payload[at + 1] == 1) fields_->limit_table(value);
    if (seen.payload[at + 1] != 4) continue;
    for (auto& [id, ask] : asks_) ask.upload_window += int64_t{value} - upload_window_first_;
    upload_window_first_ = value;
  }
  say(frame(kSettings, kAck, 0, ""));
}

// Nothing is given back that was not sent.
void Http2Client::on_window_update(const SeenFrame& seen) {
  auto bytes = int64_t{number_at(seen.payload, 0)};
  Ask* ask = find(seen.id);
  if (seen.id != 0 && !ask) violation("a window of a stream that is none");
  int64_t& window = seen.id == 0 ? upload_window_ : ask->upload_window;
  window += bytes;
  if (window > (seen.id == 0 ? upload_window_most_ : upload_window_first_))
    violation("a window of " + std::to_string(window) + " bytes, beyond what was sent");
  if (!std::exchange(writing_, true)) write();
}

void Http2Client::on_goaway(const SeenFrame& seen) {
  uint32_t last = number_at(seen.payload, 0);
  uint32_t code = number_at(seen.payload, 4);
  scene_.world.trace("client: is told of the end, %u, behind stream %u", code, last);
  ++scene_.goaways_seen;
  // Where there is no room for what a client makes us keep, its connection ends.
  bool room = !scene_.scarce && scene_.ample && !scene_.kernel.ran_dry();
  if (code != kNoError && room && scene_.punctual)
    violation("a connection is ended with code " + std::to_string(code));
  scene_.scarce |= code != kNoError && !room;
  goes_away_ = end_announced_ = true;
  for (auto& [id, ask] : asks_)
    if (id > last && !ask.over) again(ask);
  later(0, &Http2Client::next);
}

void Http2Client::on_reset(Ask& ask, uint32_t code) {
  scene_.world.trace("client: stream %u is reset, %u", ask.id, code);
  ++scene_.resets_seen;
  ask.end_written = true;
  ask.rest = {};
  if (ask.over) return;
  switch (code) {
    case kInternalError:
      if (ask.head_seen)
        on_aborted(ask, /*by_end_of_connection=*/false);
      else
        again(ask);
      return;
    case kCancel:
      if (exchange_of(ask).prompt && scene_.punctual)
        wrong(ask, "is given up as one that takes nothing, and takes all");
      on_aborted(ask, /*by_end_of_connection=*/false);
      return;
    case kRefusedStream:
      // Or there was no place for a client: a connection's first request has one, and a later one
      // asks as often as it takes, since the gateway may know longer of those before it.
      if (!end_announced_ && ask.id == 1) wrong(ask, "is refused before the end is announced");
      if (!end_announced_) {
        --attempts_[ask.request];
        asks_again_ns_ =
            scene_.world.now_ns() + scene_.world.random.magnitude(kMillisecond, 5 * kSecond);
      }
      again(ask);
      return;
    default:
      wrong(ask, "is reset with code " + std::to_string(code));
  }
}

void Http2Client::on_data(Ask& ask, const SeenFrame& seen) {
  if (ask.ended) wrong(ask, "is sent more behind its end");
  if (!ask.head_seen && !ask.over) wrong(ask, "is sent a body without a head");
  auto size = static_cast<int64_t>(seen.payload.size());
  window_ -= size;
  ask.window -= size;
  if (size > 0 && (window_ < 0 || ask.window < 0))
    wrong(ask, "is sent more than its window allows");
  if (traits_.wide && window_ < kWideOpen / 2) open_window(0, kWideOpen / 2);
  if (!traits_.wide && size > 0) {
    if (owed_ == 0)
      later(scene_.world.random.magnitude(1, 100 * kMillisecond),
            &Http2Client::give_connection_back);
    owed_ += static_cast<uint64_t>(size);
  }
  if (ask.opens == Opens::kTrickle && size > 0) {
    ask.owed += static_cast<uint64_t>(size);
    give_back(ask.id);
  }
  ask.ended = (seen.flags & kEndStream) != 0;
  if (ask.over) return;
  ask.body_bytes += seen.payload.size();
  if (!ask.check) {
    ask.problem += seen.payload;
  } else {
    BodyCheck::Fed fed = ask.check->feed(seen.payload);
    exchange_of(ask).seen = ask.check->at();
    if (fed.heartbeats || fed.others)
      scene_.judge->on_output(script_of(ask), !fed.others, ask.check->at_boundary());
  }
  if (ask.ended) on_complete(ask);
}

void Http2Client::on_fields(Ask& ask, bool ends) {
  FieldList fields = fields_->unpack(block_);
  if (ask.ended) wrong(ask, "is sent more behind its end");
  ask.ended = ends;
  if (ask.over) return;
  if (ask.head_seen) wrong(ask, "is sent a second head, or trailers");
  if (fields.empty() || fields[0].first != ":status") wrong(ask, "has an answer without a status");
  for (const auto& [name, value] : fields) {
    bool upper = std::ranges::any_of(name, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (upper || name == "connection" || name == "transfer-encoding" || name == "keep-alive")
      wrong(ask, "is sent the field " + name);
  }
  on_head(ask, fields);
  if (ends && ask.head_seen) on_complete(ask);
}

void Http2Client::on_head(Ask& ask, const FieldList& fields) {
  const Script& script = script_of(ask);
  int status = static_cast<int>(parse_decimal(fields[0].second).value_or(0));
  scene_.world.trace("client: script %u, stream %u: %d", script.id, ask.id, status);
  if (status < 200) {
    bool go_ahead = status == 100;
    if (go_ahead ? !script.goes_ahead : ++ask.interim_heads > script.interim_heads)
      wrong(ask, "is sent an interim response that is not the upstream's");
    if (ask.ended) wrong(ask, "ends with an interim response");
    if (go_ahead) go_on(ask.id);
    return;
  }
  ask.head_seen = true;
  ask.status = status;
  statuses_[ask.request] = status;
  if (auto length = value_of(fields, "content-length")) ask.length = parse_decimal(*length);
  auto id = value_of(fields, "x-script");
  bool ours = !id && !value_of(fields, "via");
  bool early = ours && status == 200;
  Exchange& of = exchange_of(ask);
  of.early_head = early;
  bool told = end_announced_ || of.begun_ns() <= scene_.says_close_ns + kToldLateNs;
  scene_.judge->on_head(script, status, ours, told);
  if (id) {
    if (parse_decimal(*id) != script.id) wrong(ask, "has the answer to another request");
    if (status != script.status) wrong(ask, "has a status that is not the upstream's");
    if (ours) wrong(ask, "has a response without Via");
  }
  if (id || early) ask.check.emplace(script, scene_.config->routes[script.route].settings, early);
}

void Http2Client::on_complete(Ask& ask) {
  const Script& script = script_of(ask);
  bool to_head = script.method == "HEAD";
  if (ask.length && !to_head && *ask.length != ask.body_bytes)
    wrong(ask, "ended cleanly, with another length than its head says");
  if (ask.check && !to_head) {
    if (!ask.check->complete())
      wrong(ask, "ended cleanly after " + std::to_string(ask.check->at()) + " bytes of " +
                     std::to_string(script.body.size()));
    if (!script.sound()) wrong(ask, "was cut, and ended cleanly");
  }
  if (!ask.check) scene_.judge->on_refused(script, ask.status, ask.problem);
  settle(ask, ask.check ? Outcome::kComplete : Outcome::kRefused);
}

// Behind its head, and otherwise than by its end.
void Http2Client::on_aborted(Ask& ask, bool by_end_of_connection) {
  const Script& script = script_of(ask);
  const StreamSettings& settings = scene_.config->routes[script.route].settings;
  const Exchange& of = exchange_of(ask);
  bool whole_events = script.event_stream && settings.framing == EventFraming::kEvent &&
                      !scene_.torn && scene_.world.now_ns() < scene_.ends_ns &&
                      !script.too_long(settings);
  bool delivered = !by_end_of_connection && of.prompt && ask.check.has_value();
  if (delivered && whole_events && !ask.check->at_boundary())
    wrong(ask, "was cut inside an event, at byte " + std::to_string(ask.check->at()));
  size_t whole = of.sent.empty() ? 0 : of.sent.back().body_bytes;
  deprived_[ask.request] = delivered && script.event_stream && !ask.check->complete_up_to(whole);
  if (ask.check) scene_.judge->on_aborted(script, ask.check->at_boundary());
  settle(ask, Outcome::kAborted);
}

void Http2Client::on_end(bool reset) {
  scene_.world.trace("client: the connection ends%s", reset ? " by a reset" : "");
  connection_->close_peer_end();
  goes_away_ = true;
  for (auto& [id, ask] : asks_) {
    if (ask.over) continue;
    if (ask.head_seen)
      on_aborted(ask, /*by_end_of_connection=*/true);
    else
      again(ask);
  }
  if (!done_) reconnect(kMillisecond);
}

// --- what becomes of it ---

void Http2Client::settle(Ask& ask, Outcome outcome) {
  outcomes_[ask.request] = outcome;
  exchange_of(ask).over = true;
  ask.over = true;
  --active_;
  later(0, &Http2Client::next);
}

// A connection may end just when a request goes out.
void Http2Client::again(Ask& ask) {
  if (++attempts_[ask.request] >= kAttemptsMax) {
    settle(ask, Outcome::kNone);
    return;
  }
  // Nobody waits for an answer meanwhile.
  exchange_of(ask).asked_ns = exchange_of(ask).head_written_ns = 0;
  pending_.push_back(ask.request);
  ask.over = true;
  --active_;
  later(0, &Http2Client::next);
}

void Http2Client::next() {
  if (active_ > 0) {
    ask_more();
    return;
  }
  // The reset of the last one is to be heard.
  bool resets =
      std::ranges::any_of(out_, [](const Frame& queued) { return queued.kind == Kind::kReset; });
  if (resets)
    later(kRoomPollNs, &Http2Client::next);
  else if (pending_.empty() || goes_away_)
    reconnect(scene_.world.random.magnitude(1, 50 * kMillisecond));
  else
    ask_more();
}

// For what has not been asked for, if there is any.
void Http2Client::reconnect(uint64_t after_ns) {
  connection_->close_peer_end();
  ++connections_;
  if (pending_.empty())
    done_ = true;
  else
    scene_.world.after(after_ns, [this] { connect(); });
}

}  // namespace sluice::sim
