#include "tests/sim/upstream.h"

#include <algorithm>
#include <utility>

#include "tests/sim/judge.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kRoomPollNs = 5 * kMillisecond;

std::string garbage(Random& random) {
  static constexpr const char* kKinds[] = {
      "garbage\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 99 Low\r\n\r\n",
      "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
  };
  return kKinds[random.between(0, std::size(kKinds) - 1)];
}

}  // namespace

UpstreamPeer::UpstreamPeer(Scene& scene, const UpstreamTraits& traits,
                           std::shared_ptr<Connection> connection)
    : scene_(scene), traits_(traits), connection_(std::move(connection)) {
  connection_->peer = this;
  reader_.begin(false);
}

void UpstreamPeer::close() {
  if (std::exchange(closed_, true)) return;
  connection_->close_peer_end();
}

void UpstreamPeer::reset() {
  if (std::exchange(closed_, true)) return;
  connection_->reset_peer_end();
}

Exchange* UpstreamPeer::exchange() const {
  if (!checked_ || !script_ || script_ == &unknown_) return nullptr;
  Exchange& of = scene_.exchanges[script_->id];
  return of.upstream == connection_ ? &of : nullptr;
}

void UpstreamPeer::note_cut() {
  if (Exchange* of = exchange()) of->cut_ns = scene_.world.now_ns();
}

void UpstreamPeer::on_change() {
  if (closed_ || scene_.frozen) return;
  if (stands_still()) {
    // What it does not read it does not see the end of, but for a connection that is gone.
    if (connection_->gateway_end_closed()) close();
    return;
  }
  if (traits_.read_max == SIZE_MAX) {
    read();
  } else if (!std::exchange(reading_, true)) {
    scene_.world.after(traits_.read_pause_ns, [this] {
      reading_ = false;
      if (!closed_ && !scene_.frozen && !stands_still()) read();
    });
  }
}

void UpstreamPeer::read() {
  received_ += connection_->read(traits_.read_max);
  read_request();
  if (closed_) return;
  if (connection_->to_peer.readable() > 0) {
    on_change();
  } else if (connection_->reset_at_peer() || connection_->finished_at_peer()) {
    scene_.world.trace("upstream: its client is gone");
    close();
  }
}

// A request that has come while the one before is being answered waits.
void UpstreamPeer::read_request() {
  while (!received_.empty() && !request_complete_ && !closed_) {
    size_t taken =
        reader_.feed(received_, [this](std::string_view bytes) { request_body_ += bytes; });
    received_.erase(0, taken);
    if (reader_.state() == MessageReader::State::kBroken)
      violation("an upstream was sent " + reader_.what_is_wrong());
    if (reader_.state() == MessageReader::State::kHead) return;
    if (!std::exchange(head_seen_, true)) on_request_head();
    if (checked_ && !script_->request_body.starts_with(request_body_))
      violation("a request's body is not what the client sent, script " +
                std::to_string(script_->id));
    if (reader_.state() == MessageReader::State::kComplete) {
      if (checked_ && request_body_ != script_->request_body)
        violation("a request's body ended early, script " + std::to_string(script_->id));
      on_request_complete();
    }
  }
}

void UpstreamPeer::on_request_head() {
  const MessageHead& head = reader_.head();
  if (head.find("user-agent") == "sluice-health") {
    on_probe();
    return;
  }
  ++scene_.requests_reached;
  if (!head.find("host") || !head.find("via"))
    violation("a request without Host or Via: " + head.first_line);
  checked_ = head.find("x-check").has_value();
  gone_ahead_ = false;
  std::string target = head.target();
  size_t name = target.find("s/");
  auto id =
      name != std::string::npos ? std::strtoull(target.c_str() + name + 2, nullptr, 10) : SIZE_MAX;
  script_ = id < scene_.scripts.size() ? &scene_.scripts[id] : &unknown_;
  if (script_ == &unknown_) unknown_.id = UINT32_MAX;
  scene_.world.trace("upstream: %s", head.first_line.c_str());
  if (scene_.world.random.chance(traits_.stands_still)) stand_still();
  if (checked_ && target != script_->target()) violation("a request for " + target);
  if (checked_) {
    Exchange* of = &scene_.exchanges[script_->id];
    static_cast<Played&>(*of) = {.upstream = connection_,
                                 .tries = of->tries + 1,
                                 .reached_ns = scene_.world.now_ns(),
                                 .sent = {}};
    scene_.judge->on_reached(*script_);
  }
  if (script_->goes_ahead && head.find("expect")) go_ahead();
  if (script_->answers_early) play();
}

// Answered as chance has it; nobody checks that.
void UpstreamPeer::on_probe() {
  Random& random = scene_.world.random;
  if (!reader_.head().find("host")) violation("a probe without Host");
  unknown_ = {};
  unknown_.id = UINT32_MAX;
  unknown_.head =
      random.chance(0.6) ? Script::Head::kPrompt : static_cast<Script::Head>(random.between(1, 4));
  if (unknown_.head == Script::Head::kInterim)
    unknown_.interim_heads = static_cast<unsigned>(random.magnitude(1, 20));
  if (unknown_.head == Script::Head::kLate) unknown_.wait_ns = random.magnitude(1, 4 * kSecond);
  unknown_.status = random.chance(0.6) ? 200 : 503;
  unknown_.body = std::string(random.magnitude(0, 20'000), 'x');
  unknown_.framing = static_cast<Script::Framing>(random.between(0, 2));
  unknown_.ending = static_cast<Script::Ending>(random.between(0, 3));
  unknown_.cut = random.between(0, unknown_.body.size());
  unknown_.write_max = random.magnitude(1, 1'000);
  unknown_.pause_ns_max = random.magnitude(kMicrosecond, 300 * kMillisecond);
  script_ = &unknown_;
  scene_.world.trace("upstream: a probe");
  if (random.chance(traits_.stands_still)) stand_still();
}

void UpstreamPeer::go_ahead() {
  static constexpr std::string_view kGoAhead = "HTTP/1.1 100 Continue\r\n\r\n";
  if (connection_->to_gateway.room() < kGoAhead.size()) return;
  connection_->write(kGoAhead);
  gone_ahead_ = true;
}

void UpstreamPeer::stand_still() {
  uint64_t ns = scene_.world.random.magnitude(kMillisecond, 100 * kSecond);
  reads_from_ns_ = scene_.world.now_ns() + ns;
  scene_.world.trace("upstream: stands still");
  scene_.world.after(ns, [this] { on_change(); });
}

void UpstreamPeer::on_request_complete() {
  request_complete_ = true;
  const MessageHead& head = reader_.head();
  bool once = checked_ && head.method() == "POST" &&
              !scene_.config->routes[script_->route].settings.retry_non_idempotent;
  if (std::optional<std::string> attempt = head.find("x-attempt");
      attempt && once && !scene_.executed.insert(*attempt).second)
    violation("a POST was executed twice, script " + std::to_string(script_->id));
  // Behind a go-ahead it would not pass for a connection that had ended before.
  if (served_ > 0 && !playing_ && !gone_ahead_ && scene_.world.random.chance(traits_.hangs_up)) {
    scene_.world.trace("upstream: hangs up on script %u", script_->id);
    if (scene_.world.random.chance(0.5))
      reset();
    else
      close();
  } else if (!playing_) {
    play();
  }
}

void UpstreamPeer::play() {
  playing_ = true;
  written_ = 0;
  wire_ = wire_of(*script_);
  if (script_->head == Script::Head::kMissing) return;
  scene_.world.after(script_->wait_ns, [this] { step(); });
}

// The interim heads, and the final one.
void UpstreamPeer::add_heads(const Script& script, std::string& wire) {
  Random& random = scene_.world.random;
  for (unsigned i = 0; i < script.interim_heads; ++i) {
    wire += random.chance(0.5) ? "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
                               : "HTTP/1.1 102 Processing\r\n\r\n";
    if (script.wait_ns > 0) waits_at_.push_back(wire.size());
  }
  wire += "HTTP/1.1 " + std::to_string(script.status) +
          " As It Is\r\nx-script: " + std::to_string(script.id) + "\r\n";
  wire +=
      script.event_stream ? "content-type: text/event-stream\r\n" : "content-type: text/plain\r\n";
  says_close_ = script.framing == Script::Framing::kUntilClose || random.chance(traits_.says_close);
  if (says_close_) wire += "connection: close\r\n";
  if (script.framing == Script::Framing::kLength)
    wire += "content-length: " + std::to_string(script.body.size()) + "\r\n";
  if (script.framing == Script::Framing::kChunked) wire += "transfer-encoding: chunked\r\n";
  wire += "\r\n";
  head_end_ = wire.size();
}

// Everything that the script sends, up to where it ends.
std::string UpstreamPeer::wire_of(const Script& script) {
  Random& random = scene_.world.random;
  runs_.clear();
  waits_at_.clear();
  run_ = 0;
  head_end_ = SIZE_MAX;
  if (script.head == Script::Head::kGarbage) return garbage(random);
  bool to_head = reader_.head().method() == "HEAD";
  bool whole = script.ending == Script::Ending::kComplete;
  std::string_view body = std::string_view(script.body).substr(0, whole ? SIZE_MAX : script.cut);
  std::string wire;
  add_heads(script, wire);
  if (to_head) return wire;
  if (script.framing != Script::Framing::kChunked) {
    runs_.push_back({wire.size(), 0});
    return wire += body;
  }
  for (size_t at = 0; !body.empty();) {
    size_t size = random.magnitude(1, body.size());
    wire += chunk_size_line(size);
    runs_.push_back({wire.size(), at});
    at += size;
    wire += body.substr(0, size);
    wire += "\r\n";
    body.remove_prefix(size);
  }
  if (whole) wire += "0\r\n\r\n";
  return wire;
}

void UpstreamPeer::step() {
  if (closed_ || scene_.frozen) return;
  Random& random = scene_.world.random;
  size_t size = random.magnitude(1, std::max<size_t>(script_->write_max, 1));
  bool waits_there = !waits_at_.empty();
  if (waits_there) size = std::min(size, waits_at_.front() - written_);
  size_t taken = connection_->write(std::string_view(wire_).substr(written_, size));
  written_ += taken;
  if (taken > 0) note_sent();
  if (waits_there && written_ == waits_at_.front()) {
    waits_at_.erase(waits_at_.begin());
    scene_.world.after(script_->wait_ns, [this] { step(); });
    return;
  }
  bool waits = script_->sound() && !script_->hangs_up_early && !request_complete_;
  if (written_ == wire_.size() && !waits)
    end_of_script();
  else
    scene_.world.after(taken == 0
                           ? kRoomPollNs
                           : random.magnitude(1, std::max<uint64_t>(script_->pause_ns_max, 1)),
                       [this] { step(); });
}

void UpstreamPeer::note_sent() {
  Exchange* of = exchange();
  if (!of) return;
  uint64_t now_ns = scene_.world.now_ns();
  of->last_sent_ns = now_ns;
  if (written_ >= head_end_ && of->answered_ns == 0) of->answered_ns = of->progress_ns = now_ns;
  while (run_ + 1 < runs_.size() && runs_[run_ + 1].at < written_) ++run_;
  if (runs_.empty() || runs_[run_].at >= written_) return;
  size_t end = run_ + 1 < runs_.size() ? runs_[run_ + 1].body_at : script_->sent_bytes();
  size_t sent = std::min(runs_[run_].body_at + written_ - runs_[run_].at, end);
  if (!of->sent.empty() && of->sent.back().body_bytes == sent) return;
  of->sent_gap_ns = std::max(of->sent_gap_ns, now_ns - of->progress_ns);
  of->progress_ns = now_ns;
  of->sent.push_back({sent, sent - std::min(sent, of->seen), now_ns});
}

void UpstreamPeer::end_of_script() {
  const Script& script = *script_;
  ++served_;
  if (script.head == Script::Head::kGarbage) return;  // whatever the gateway does now
  switch (script.ending) {
    case Script::Ending::kSilence:
      return;
    case Script::Ending::kTruncated:
      scene_.world.trace("upstream: truncates script %u", script.id);
      note_cut();
      close();
      return;
    case Script::Ending::kReset:
      scene_.world.trace("upstream: resets script %u", script.id);
      note_cut();
      reset();
      return;
    case Script::Ending::kComplete:
      break;
  }
  scene_.world.trace("upstream: has completed script %u", script.id);
  if (Exchange* of = exchange()) of->ended_ns = scene_.world.now_ns();
  bool closes = says_close_ || !request_complete_;
  script_ = nullptr;
  playing_ = request_complete_ = head_seen_ = false;
  request_body_.clear();
  reader_.begin(false);
  if (closes) {
    close();
    return;
  }
  Random& random = scene_.world.random;
  if (random.chance(traits_.closes_idle)) {
    scene_.world.after(random.magnitude(1, kSecond), [this, served = served_] {
      if (served == served_ && !head_seen_ && !scene_.frozen) close();
    });
  }
  read_request();
}

Kernel::Answer UpstreamServer::connect() {
  World& world = scene_.world;
  Random& random = world.random;
  if (scene_.frozen || random.chance(traits_.ignores)) return {nullptr, true};
  if (random.chance(traits_.refuses)) return {};
  uint64_t latency_ns = random.magnitude(1, traits_.local ? 50 * kMicrosecond : 20 * kMillisecond);
  size_t capacity = random.magnitude(1, 200'000);
  auto connection = std::make_shared<Connection>(world, latency_ns, capacity);
  connection->local = traits_.local;
  peers_.push_back(std::make_unique<UpstreamPeer>(scene_, traits_, connection));
  return {connection, false};
}

bool UpstreamServer::plays(unsigned script) const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [script](const auto& peer) { return peer->plays(script); });
}

}  // namespace sluice::sim
