#include "tests/sim/healing_peers.h"

#include <algorithm>
#include <utility>

namespace sluice::sim {

namespace {

// For connections, latencies and the clock of the gateway's timers.
constexpr uint64_t kSlackNs = 3 * kSecond;

double some(Random& random, double chance, double most) {
  return random.chance(chance) ? most * static_cast<double>(random.between(1, 100)) / 100 : 0;
}

}  // namespace

HealedTraits make_traits(Random& random) {
  return {.refuses = some(random, 0.5, 0.6),
          .ignores = some(random, 0.2, 0.2),
          .fails = some(random, 0.4, 0.6),
          .never = some(random, 0.2, 0.2),
          .cuts = some(random, 0.9, 1),
          .replays = some(random, 0.4, 0.6),
          .skips = some(random, 0.2, 0.5),
          .cleanly = some(random, 0.3, 0.3)};
}

HealedUpstream::HealedUpstream(HealedScene& scene, std::shared_ptr<Connection> connection)
    : scene_(scene), connection_(std::move(connection)) {
  connection_->peer = this;
  reader_.begin(false);
}

void HealedUpstream::close(bool reset) {
  if (std::exchange(closed_, true)) return;
  if (reset)
    connection_->reset_peer_end();
  else
    connection_->close_peer_end();
}

void HealedUpstream::on_change() {
  if (closed_) return;
  std::string bytes = connection_->read(SIZE_MAX);
  if (!answering_ && !bytes.empty()) {
    reader_.feed(bytes, [](std::string_view) {});
    if (reader_.state() == MessageReader::State::kBroken)
      violation("an upstream was sent " + reader_.what_is_wrong());
    if (reader_.state() == MessageReader::State::kComplete) answer();
  }
  if (connection_->reset_at_peer() || connection_->finished_at_peer()) close(false);
}

void HealedUpstream::answer() {
  answering_ = true;
  Random& random = scene_.world.random;
  const HealedTraits& traits = scene_.traits;
  std::string target = reader_.head().target();
  HealedScript& script = scene_.scripts[std::stoul(target.substr(1))];
  scene_.world.trace("upstream: %s, last-event-id %s", target.c_str(),
                     reader_.head().find("last-event-id").value_or("-").c_str());
  if (random.chance(traits.never)) {
    wire_ = random.chance(0.5) ? "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"
                               : "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"
                                 "content-length: 2\r\n\r\nno";
  } else if (random.chance(traits.fails)) {
    wire_ = head_of_failure();
    end_ = random.chance(0.2) ? End::kSilence : random.chance(0.5) ? End::kReset : End::kClose;
  } else {
    size_t first = first_event(script);
    if (first == script.events.size() && reader_.head().find("last-event-id"))
      wire_ = "HTTP/1.1 204 No Content\r\n\r\n";
    else
      wire_ = stream_from(script, first);
  }
  scene_.world.after(random.magnitude(1, 200 * kMillisecond), [this] { step(); });
}

std::string HealedUpstream::head_of_failure() {
  static constexpr const char* kAnswers[] = {
      "",
      "garbage\r\n\r\n",
      "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
      "HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
      "HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stre",
  };
  return kAnswers[scene_.world.random.between(0, std::size(kAnswers) - 1)];
}

size_t HealedUpstream::first_event(HealedScript& script) {
  Random& random = scene_.world.random;
  auto last = reader_.head().find("last-event-id");
  if (!last) return 0;
  auto found = std::find(script.ids.begin(), script.ids.end(), *last);
  if (found == script.ids.end()) violation("asked to go on behind " + *last);
  auto next = static_cast<size_t>(found - script.ids.begin()) + 1;
  if (random.chance(scene_.traits.replays)) {
    // What its ring holds is dropped, without a trace.
    uint64_t back = random.chance(0.5) ? next : random.between(0, next);
    auto begin = script.ids.begin() + static_cast<ptrdiff_t>(next - back);
    auto named = back - static_cast<uint64_t>(std::count(begin, found + 1, ""));
    script.repeats |= !script.consecutive && named > scene_.settings.heal_ids;
    // Of an event that is cut through the id may not have been seen.
    script.repeats |= std::ranges::any_of(script.events, [this](const std::string& event) {
      return event.size() > scene_.settings.event_hold;
    });
    return next - back;
  }
  if (script.consecutive && next > 1 && next < script.ids.size() &&
      random.chance(scene_.traits.skips)) {
    script.skips = true;
    return random.between(next + 1, script.ids.size());
  }
  return next;
}

// Cut somewhere, or to its end.
std::string HealedUpstream::stream_from(HealedScript& script, size_t first) {
  Random& random = scene_.world.random;
  script.answered_ns = scene_.world.now_ns();
  std::string body;
  if (random.chance(0.3)) body = "retry: " + std::to_string(random.magnitude(1, 2000)) + "\n\n";
  for (size_t i = first; i < script.events.size(); ++i) {
    if (random.chance(0.1)) body += ": note\n\n";
    body += script.events[i];
  }
  bool cut = random.chance(scene_.traits.cuts);
  bool cleanly =
      cut && scene_.settings.heal == Heal::kAlways && random.chance(scene_.traits.cleanly);
  script.ended = cleanly;
  if (cut) body.resize(random.between(0, body.size()));
  std::string wire =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
      "transfer-encoding: chunked\r\n\r\n";
  for (size_t at = 0; at < body.size();) {
    size_t size = random.magnitude(1, body.size() - at);
    wire += chunk_size_line(size) + body.substr(at, size) + "\r\n";
    at += size;
  }
  if (!cut || cleanly) wire += "0\r\n\r\n";
  if (cut && !cleanly) {
    end_ = random.chance(0.3) ? End::kSilence : random.chance(0.5) ? End::kReset : End::kClose;
    if (random.chance(0.3))
      wire.resize(wire.size() - random.between(0, std::min<size_t>(wire.size() - 1, 3)));
  }
  return wire;
}

void HealedUpstream::step() {
  if (closed_) return;
  Random& random = scene_.world.random;
  size_t size = random.magnitude(1, 5000);
  written_ += connection_->write(std::string_view(wire_).substr(written_, size));
  if (written_ < wire_.size()) {
    scene_.world.after(random.magnitude(1, 100 * kMillisecond), [this] { step(); });
    return;
  }
  if (end_ == End::kSilence) return;
  scene_.world.trace("upstream: ends a connection");
  close(end_ == End::kReset);
}

HealedClient::HealedClient(HealedScene& scene, Kernel& kernel, int listener, size_t script)
    : scene_(scene), number_(script), began_ns_(scene.world.now_ns()) {
  Random& random = scene.world.random;
  connection_ = std::make_shared<Connection>(scene.world, random.magnitude(1, 10 * kMillisecond),
                                             random.magnitude(2000, 200'000));
  connection_->peer = this;
  reader_.begin(false);
  kernel.connect_client(listener, connection_);
  connection_->write("GET /" + std::to_string(script) +
                     " HTTP/1.1\r\nHost: sim\r\nAccept: text/event-stream\r\n\r\n");
}

void HealedClient::wrong(const std::string& what) const {
  violation("healed stream " + std::to_string(number_) + ": " + what);
}

void HealedClient::on_change() {
  if (over_ || std::exchange(reading_, true)) return;
  scene_.world.after(scene_.world.random.magnitude(1, 20 * kMillisecond), [this] { read(); });
}

void HealedClient::read() {
  reading_ = false;
  if (over_) return;
  std::string bytes = connection_->read(SIZE_MAX);
  for (std::string_view rest = bytes; !rest.empty();) {
    rest.remove_prefix(reader_.feed(rest, [this](std::string_view body) { body_ += body; }));
    if (reader_.state() == MessageReader::State::kBroken)
      wrong("its client was sent " + reader_.what_is_wrong());
    if (reader_.state() == MessageReader::State::kHead) break;
    bool stream = reader_.head().status() == 200 &&
                  reader_.head().find("content-type") == "text/event-stream";
    if (stream) on_blocks();
    if (reader_.state() != MessageReader::State::kComplete) continue;
    if (stream) on_end(true);
    over_ = true;
    connection_->close_peer_end();
    return;
  }
  bool ended = connection_->reset_at_peer() || connection_->finished_at_peer();
  if (!ended) return;
  over_ = true;
  on_end(false);
  connection_->close_peer_end();
}

void HealedClient::on_blocks() {
  for (size_t end; (end = body_.find("\n\n")) != body_.npos;) {
    on_block(body_.substr(0, end + 2));
    body_.erase(0, end + 2);
  }
}

// Comments and retry lines pass on their own: what follows the line may come from another attempt.
void HealedClient::on_block(std::string block) {
  while (block.starts_with(":") || block.starts_with("retry: "))
    block.erase(0, block.find('\n') + 1);
  if (block == "\n") return;
  if (block.starts_with("event: sluice.gap\ndata: {\"last_id\":\"")) {
    ++gaps_;
    return;
  }
  const HealedScript& script = scene_.scripts[number_];
  auto found = std::find(script.events.begin(), script.events.end(), block);
  if (found == script.events.end()) wrong("no event of the upstream's: " + block.substr(0, 100));
  auto index = static_cast<size_t>(found - script.events.begin());
  if (!script.ids[index].empty()) on_event(index);
}

void HealedClient::on_event(size_t index) {
  const HealedScript& script = scene_.scripts[number_];
  while (next_ < script.ids.size() && script.ids[next_].empty()) ++next_;
  if (index < next_) {
    ++repeats_;
    if (!script.repeats && !script.skips) wrong("an event comes twice: " + script.ids[index]);
  }
  if (index > next_) {
    ++missing_;
    if (!script.skips && !script.repeats) wrong("an event is lost before " + script.ids[index]);
  }
  next_ = index + 1;
}

// What could be told has been told, unless the client can see that something is wrong.
void HealedClient::on_end(bool cleanly) {
  const HealedScript& script = scene_.scripts[number_];
  scene_.world.trace("client: script %zu ends%s, %zu gaps", number_, cleanly ? "" : " by an abort",
                     gaps_);
  complete_ = cleanly;
  if (!cleanly) return;
  if (script.ended) return;  // as its upstream said
  if (!body_.empty()) wrong("it ends within an event");
  // Where what came before came again, neither its order nor its end can be told.
  if (script.repeats) return;
  while (next_ < script.ids.size() && script.ids[next_].empty()) ++next_;
  if (next_ < script.ids.size() && !script.skips) wrong("it ends cleanly and is not complete");
  if (repeats_ + missing_ > 0 && gaps_ == 0) wrong("a gap is not told");
}

void HealedClient::check_deadline() const {
  const HealedScript& script = scene_.scripts[number_];
  const StreamSettings& settings = scene_.settings;
  if (over_ || script.answered_ns == 0 || !reader_.started()) return;
  uint64_t most_ms = settings.stream_idle_timeout_ms + settings.heal_for_ms +
                     settings.connect_timeout_ms + settings.first_byte_timeout_ms;
  if (scene_.world.now_ns() >
      script.answered_ns + most_ms * kMillisecond + 2 * kSlackNs + kSecond * 100)
    wrong("is kept though its upstream is gone");
}

}  // namespace sluice::sim
