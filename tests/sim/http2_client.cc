#include "tests/sim/http2_client.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"
#include "tests/sim/http2_words.h"
#include "tests/sim/judge.h"

namespace sluice::sim {

Http2Traits make_http2_traits(Random& random, bool crowded) {
  Http2Traits traits;
  traits.streams_max = random.between(1, 10);
  traits.wide = random.chance(0.7);
  constexpr uint32_t kWindows[] = {0, 1, 1000, 65535, 1U << 20U};
  traits.window = random.chance(0.5) ? 65535 : kWindows[random.between(0, 4)];
  if (random.chance(0.4)) traits.trickles = 0.4;
  if (random.chance(0.4)) traits.shuts = 0.3;
  if (random.chance(0.4)) traits.leaves = 0.3;
  if (random.chance(0.1)) traits.goes_away_after_ns = random.magnitude(1, 5 * kSecond);
  if (random.chance(0.15)) traits.vanishes_after_ns = random.magnitude(1, 3 * kSecond);
  if (random.chance(0.2)) traits.resizes_after_ns = random.magnitude(1, 3 * kSecond);
  traits.chatters = random.chance(0.3);
  if (random.chance(crowded ? 0.7 : 0.2)) {
    traits.read_max = random.magnitude(500, 20'000);
    traits.read_pause_ns = random.magnitude(kMillisecond, 200 * kMillisecond);
    if (crowded || random.chance(0.3))
      traits.stands_still_ns = random.magnitude(kSecond, 100 * kSecond);
  }
  if (random.chance(0.3)) {
    traits.write_max = random.magnitude(1, 500);
    traits.write_pause_ns = random.magnitude(1, 2 * kMillisecond);
  }
  if (random.chance(0.1)) traits.rests_ns = random.magnitude(100 * kMillisecond, 10 * kSecond);
  return traits;
}

Http2Client::Http2Client(Scene& scene, int listener, const Http2Traits& traits,
                         std::vector<unsigned> scripts)
    : Asker(scene, std::move(scripts)),
      listener_(listener),
      traits_(traits),
      attempts_(scripts_.size()) {
  for (size_t i = 0; i < scripts_.size(); ++i) pending_.push_back(i);
}

bool Http2Client::stays() const {
  return traits_.vanishes_after_ns == 0 && traits_.rests_ns == 0 && !left_;
}

void Http2Client::wrong(const Ask& ask, const std::string& what) const {
  violation("script " + std::to_string(script_of(ask).id) + " on stream " + std::to_string(ask.id) +
            ": " + what);
}

void Http2Client::start() {
  connect();
  if (traits_.vanishes_after_ns > 0)
    scene_.world.after(traits_.vanishes_after_ns, [this] { vanish(); });
}

// On this connection, if it is there still.
void Http2Client::later(uint64_t delay_ns, void (Http2Client::*what)()) {
  scene_.world.after(delay_ns, [this, what, name = connections_] {
    if (name == connections_ && !done_ && !scene_.frozen) (this->*what)();
  });
}

// --- what leaves ---

void Http2Client::connect() {
  if (done_ || scene_.frozen) return;
  World& world = scene_.world;
  Random& random = world.random;
  size_t capacity = random.chance(0.7) ? random.between(kAmpleRoom, 4 * kAmpleRoom)
                                       : random.magnitude(1, kAmpleRoom);
  connection_ =
      std::make_shared<Connection>(world, random.magnitude(1, 20 * kMillisecond), capacity);
  connection_->peer = this;
  ++connections_;
  fields_ = std::make_unique<Http2Fields>();
  asks_.clear();
  out_.clear();
  in_.clear();
  active_ = 0;
  next_id_ = 1;
  block_of_ = 0;
  window_ = upload_window_ = upload_window_first_ = 65535;
  upload_window_most_ = Config{}.http2_connection_window;
  stream_window_ = traits_.window;
  owed_ = 0;
  shrinks_by_ = shrinks_before_ = acknowledged_ = pings_ = 0;
  heard_ = goes_away_ = end_announced_ = writing_ = reading_ = false;
  scene_.kernel.connect_client(listener_, connection_);
  std::string settings = setting(2, 0);
  if (stream_window_ != 65535) settings += setting(4, stream_window_);
  if (random.chance(0.2)) settings += setting(1, static_cast<uint32_t>(random.between(0, 4096)));
  say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, settings));
  if (traits_.wide) open_window(0, kWideOpen);
  if (traits_.goes_away_after_ns > 0) later(traits_.goes_away_after_ns, &Http2Client::go_away);
  if (traits_.resizes_after_ns > 0) later(traits_.resizes_after_ns, &Http2Client::resize);
  if (traits_.chatters) later(random.magnitude(1, kSecond), &Http2Client::chatter);
  ask_more();
}

void Http2Client::ask_more() {
  if (goes_away_ || pending_.empty() || active_ >= traits_.streams_max) return;
  if (uint64_t now_ns = scene_.world.now_ns(); active_ > 0 && now_ns < asks_again_ns_) {
    later(asks_again_ns_ - now_ns, &Http2Client::ask_more);
    return;
  }
  size_t request = pending_.front();
  pending_.pop_front();
  ask(request);
  later(scene_.world.random.magnitude(1, 100 * kMillisecond), &Http2Client::ask_more);
}

FieldList Http2Client::fields_for(const Script& script, bool waits) {
  FieldList fields = {{":method", script.method}, {":scheme", "http"}, {":path", script.target()}};
  fields.insert(fields.begin() + 2, {":authority", "sim"});
  fields.emplace_back("x-check", "yes");
  fields.emplace_back("x-attempt", std::to_string(scene_.attempts++));
  if (script.wants_events) fields.emplace_back("accept", "text/event-stream");
  if (waits) fields.emplace_back("expect", "100-continue");
  if (!script.request_body.empty() && !script.request_chunked)
    fields.emplace_back("content-length", std::to_string(script.request_body.size()));
  return fields;
}

void Http2Client::ask(size_t request) {
  Random& random = scene_.world.random;
  const Script& script = scene_.scripts[scripts_[request]];
  Ask& ask =
      asks_.try_emplace(next_id_, Ask{.request = request, .id = next_id_, .window = stream_window_})
          .first->second;
  next_id_ += 2;
  ++active_;
  ask.upload_window = upload_window_first_;
  ask.rest = script.request_body;
  ask.end_written = ask.rest.empty();
  ask.waits = script.expects && !ask.rest.empty();
  if (random.chance(traits_.trickles)) ask.opens = Opens::kTrickle;
  if (random.chance(traits_.shuts)) ask.opens = Opens::kShut;
  scene_.world.trace("client: asks for script %u on stream %u, %s", script.id, ask.id,
                     ask.opens == Opens::kWide      ? "wide"
                     : ask.opens == Opens::kTrickle ? "in trickles"
                                                    : "shut");

  Exchange& of = exchange_of(ask);
  static_cast<Asked&>(of) = {.client = connection_};
  static_cast<Answered&>(of) = {};
  of.tries = 0;
  of.upstream = nullptr;
  of.prompt = traits_.wide && ask.opens == Opens::kWide && traits_.read_max == SIZE_MAX &&
              connection_->to_peer.room() >= kAmpleRoom;
  of.trickles = traits_.write_max != SIZE_MAX;
  of.header_timeout_ms = scene_.config->defaults.header_timeout_ms;

  std::string block = fields_->pack(fields_for(script, ask.waits));
  const uint8_t end = ask.end_written ? kEndStream : 0;
  std::string bytes;
  if (random.chance(0.1)) {
    size_t size = random.between(0, block.size());
    bytes = frame(kHeaders, end, ask.id, std::string_view(block).substr(0, size)) +
            frame(kContinuation, kEndHeaders, ask.id, std::string_view(block).substr(size));
  } else {
    bytes = frame(kHeaders, end | kEndHeaders, ask.id, block);
  }
  push(Kind::kHead, request, std::move(bytes));
  uint32_t id = ask.id;
  if (ask.opens == Opens::kWide) {
    open_window(id, kWideOpen);
  } else if (ask.opens == Opens::kTrickle) {
    ask.owed = random.magnitude(1, 100'000);
    give_back(id);
  } else if (random.chance(0.7)) {
    scene_.world.after(random.magnitude(kSecond, 100 * kSecond), [this, id, name = connections_] {
      if (name == connections_ && !done_) open_window(id, kWideOpen);
    });
  }
  if (ask.waits)
    scene_.world.after(random.between(kSecond, kGoAheadNsMax), [this, id, name = connections_] {
      if (name == connections_) go_on(id);
    });
  if (random.chance(traits_.leaves))
    scene_.world.after(random.magnitude(1, 5 * kSecond), [this, id, name = connections_] {
      if (name == connections_) leave(id);
    });
}

void Http2Client::go_on(uint32_t id) {
  find(id)->waits = false;
  if (!std::exchange(writing_, true)) write();
}

void Http2Client::push(Kind kind, size_t request, std::string bytes) {
  out_.push_back({kind, request, std::move(bytes)});
  if (!std::exchange(writing_, true)) later(0, &Http2Client::write);
}

void Http2Client::write() {
  Random& random = scene_.world.random;
  if (out_.empty()) frame_body();
  if (out_.empty()) {
    writing_ = false;
    return;
  }
  Frame& front = out_.front();
  if (front.kind == Kind::kBody && traits_.rests_ns > 0 && random.chance(0.5)) {
    scene_.world.trace("client: rests");
    later(std::exchange(traits_.rests_ns, 0), &Http2Client::write);
    return;
  }
  size_t size = traits_.write_max == SIZE_MAX ? SIZE_MAX : random.magnitude(1, traits_.write_max);
  size_t taken = connection_->write(std::string_view(front.bytes).substr(front.written, size));
  front.written += taken;
  if (taken > 0) note_written(front);
  bool paced = front.written < front.bytes.size() || traits_.write_max != SIZE_MAX;
  if (front.written == front.bytes.size()) out_.pop_front();
  later(taken == 0 ? kRoomPollNs
        : paced    ? random.magnitude(1, std::max(traits_.write_pause_ns, 10 * kMicrosecond))
                   : 0,
        &Http2Client::write);
}

void Http2Client::note_written(const Frame& front) {
  if (front.kind == Kind::kOther) return;
  bool whole = front.written == front.bytes.size();
  unsigned script = scripts_[front.request];
  Exchange& of = scene_.exchanges[script];
  if (front.kind == Kind::kReset) {
    if (!whole) return;
    ++scene_.resets_written;
    if (on_left && connection_->accepted_ns != 0 && !scene_.scarce) on_left(script);
    return;
  }
  // What was under way when its request was refused.
  if (of.head_written_ns == 0 && front.kind != Kind::kHead) return;
  uint64_t now_ns = scene_.world.now_ns();
  if (of.asked_ns == 0) of.asked_ns = now_ns;
  if (of.head_written_ns != 0)
    of.write_gap_ns = std::max(of.write_gap_ns, now_ns - of.last_written_ns);
  if (whole && of.head_written_ns == 0) of.head_written_ns = now_ns;
  of.last_written_ns = now_ns;
}

// The next piece of an upload that the gateway's windows have room for.
void Http2Client::frame_body() {
  Random& random = scene_.world.random;
  std::vector<Ask*> ready;
  for (auto& [id, ask] : asks_) {
    bool may = ask.rest.empty() || std::min(upload_window_, ask.upload_window) > 0;
    if (!ask.end_written && !ask.waits && may) ready.push_back(&ask);
  }
  if (ready.empty()) return;
  Ask& ask = *ready[random.between(0, ready.size() - 1)];
  auto room =
      static_cast<size_t>(std::max<int64_t>(std::min(upload_window_, ask.upload_window), 0));
  room = std::min(room, kFrameBytesMax);
  size_t size = ask.rest.empty() ? 0 : random.magnitude(1, std::min(ask.rest.size(), room));
  size_t padding = random.chance(0.1) ? random.between(0, 50) : 0;
  bool padded = padding > 0 && size + padding + 1 <= room;
  std::string payload;
  if (padded) payload += static_cast<char>(padding);
  payload += ask.rest.substr(0, size);
  if (padded) payload.append(padding, '\0');
  ask.rest.remove_prefix(size);
  upload_window_ -= static_cast<int64_t>(payload.size());
  ask.upload_window -= static_cast<int64_t>(payload.size());
  ask.end_written = ask.rest.empty() && random.chance(0.7);
  if (size == 0) ask.end_written = true;
  uint8_t flags = (ask.end_written ? kEndStream : 0) | (padded ? kPadded : 0);
  out_.push_back({Kind::kBody, ask.request, frame(kData, flags, ask.id, payload)});
  if (took_too_much(ask)) check_upload(ask.id);
}

// The gateway has let this client send more than a window that its upstream has not been sent. (It
// drops what nobody wants any more, so there must be no answer yet.)
bool Http2Client::took_too_much(const Ask& ask) {
  const Exchange& of = exchange_of(ask);
  uint64_t sent = script_of(ask).request_body.size() - ask.rest.size();
  return of.prompt && !ask.head_seen && !ask.over && of.upstream && of.answered_ns == 0 &&
         of.tries == 1 && of.cut_ns == 0 && sent > of.upstream->sent_bytes + limits::kRequestWindow;
}

// An answer may be on its way.
void Http2Client::check_upload(uint32_t id) {
  scene_.world.after(kAnswersWithinNs, [this, id, name = connections_] {
    if (name != connections_ || done_ || scene_.frozen || !scene_.punctual) return;
    Ask& ask = *find(id);
    if (took_too_much(ask)) wrong(ask, "may send more than a window ahead of its upstream");
  });
}

void Http2Client::open_window(uint32_t id, uint64_t bytes) {
  if (id == 0) {
    window_ += static_cast<int64_t>(bytes);
  } else {
    Ask* ask = find(id);
    if (ask->over) return;
    ask->window += static_cast<int64_t>(bytes);
  }
  say(window_update(id, bytes));
}

// A little at a time, and all in the end.
void Http2Client::give_back(uint32_t id) {
  Ask& ask = *find(id);
  if (ask.owed == 0 || ask.over || std::exchange(ask.pauses, true)) return;
  Random& random = scene_.world.random;
  scene_.world.after(random.magnitude(10 * kMillisecond, 500 * kMillisecond),
                     [this, id, name = connections_] {
                       if (name != connections_ || done_) return;
                       Ask& to = *find(id);
                       to.pauses = false;
                       uint64_t bytes = scene_.world.random.magnitude(1, to.owed);
                       to.owed -= bytes;
                       open_window(id, bytes);
                       give_back(id);
                     });
}

void Http2Client::give_connection_back() {
  if (owed_ > 0) open_window(0, std::exchange(owed_, 0));
}

// Streams that begin have another window; those that are there have it changed by as much.
void Http2Client::resize() {
  auto window = static_cast<uint32_t>(scene_.world.random.magnitude(0, 200'000));
  int64_t by = int64_t{window} - stream_window_;
  stream_window_ = window;
  if (by >= 0) {
    for (auto& [id, ask] : asks_) ask.window += by;
  } else {
    shrinks_by_ = static_cast<uint32_t>(-by);
    shrinks_before_ = next_id_;
  }
  say(frame(kSettings, 0, 0, setting(4, window)));
}

void Http2Client::chatter() {
  Random& random = scene_.world.random;
  switch (random.between(0, 2)) {
    case 0:
      ++pings_;
      say(frame(kPing, 0, 0, "a ping.."));
      break;
    case 1:
      say(frame(kPriorityUpdate, 0, 0, number(1) + "u=5, i"));
      break;
    default:
      say(frame(static_cast<uint8_t>(random.between(17, 255)), 0, 0,
                std::string(random.magnitude(1, 100), 'x')));
  }
  later(random.magnitude(100 * kMillisecond, 5 * kSecond), &Http2Client::chatter);
}

// It asks for nothing more on this connection, and waits for what it has asked for.
void Http2Client::go_away() {
  scene_.world.trace("client: GOAWAY");
  goes_away_ = true;
  say(frame(kGoAway, 0, 0, number(0) + number(0)));
  later(kMillisecond, &Http2Client::next);
}

void Http2Client::leave(uint32_t id) {
  Ask& ask = *find(id);
  if (done_ || scene_.frozen || ask.over) return;
  scene_.world.trace("client: resets stream %u", id);
  left_ = true;
  exchange_of(ask).left = true;
  ask.end_written = true;
  std::erase_if(out_, [&](const Frame& queued) {
    bool its = queued.kind == Kind::kBody && queued.request == ask.request && queued.written == 0;
    if (its) upload_window_ += static_cast<int64_t>(queued.bytes.size() - kHeaderBytes);
    return its;
  });
  push(Kind::kReset, ask.request, frame(kResetStream, 0, id, number(kCancel)));
  settle(ask, Outcome::kNone);
}

void Http2Client::vanish() {
  if (done_ || scene_.frozen) return;
  scene_.world.trace("client: vanishes");
  bool accepted = connection_->accepted_ns != 0 && !scene_.scarce;
  for (auto& [id, ask] : asks_) {
    if (ask.over) continue;
    exchange_of(ask).left = true;
    if (on_left && accepted) on_left(scripts_[ask.request]);
  }
  if (scene_.world.random.chance(0.5))
    connection_->reset_peer_end();
  else
    connection_->close_peer_end();
  done_ = true;
}

}  // namespace sluice::sim
