#include "tests/sim/client.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace sluice::sim {

namespace {

constexpr std::string_view kHeartbeat = ": heartbeat\n\n";
constexpr unsigned kAttemptsMax = 4;
constexpr uint64_t kRoomPollNs = 5 * kMillisecond;

void mutate(std::string& bytes, Random& random) {
  static constexpr const char* kTokens[] = {"\r\n",
                                            "\n",
                                            "\r",
                                            " ",
                                            ":",
                                            "\0x",
                                            "content-length: 5\r\n",
                                            "transfer-encoding: chunked\r\n",
                                            "GET ",
                                            "HTTP/1.1",
                                            "0\r\n\r\n",
                                            "ffffffffffffffff",
                                            "connection: close\r\n"};
  for (size_t changes = random.magnitude(1, 8); changes > 0 && !bytes.empty(); --changes) {
    size_t at = random.between(0, bytes.size() - 1);
    switch (random.between(0, 3)) {
      case 0:
        bytes[at] = static_cast<char>(random.next());
        break;
      case 1:
        bytes.insert(at, kTokens[random.between(0, std::size(kTokens) - 1)]);
        break;
      case 2:
        bytes.erase(at, random.magnitude(1, 20));
        break;
      default: {
        size_t from = random.between(0, at);
        bytes.insert(at, bytes.substr(from, random.magnitude(1, 50)));
        break;
      }
    }
  }
}

}  // namespace

// --- BodyCheck ---

// A line ends with its CR; a LF may still follow (html.spec.whatwg.org 9.2.6).
bool BodyCheck::at_boundary() const {
  const std::vector<size_t>& ends = script_.boundaries;
  const bool before_lf = at_ > 0 && at_ < script_.body.size() && script_.body[at_ - 1] == '\r' &&
                         script_.body[at_] == '\n';
  return heartbeat_ == 0 && (std::binary_search(ends.begin(), ends.end(), at_) ||
                             (before_lf && std::binary_search(ends.begin(), ends.end(), at_ + 1)));
}

bool BodyCheck::complete_up_to_cut() const {
  const std::vector<size_t>& ends = script_.boundaries;
  return at_ >= *(std::upper_bound(ends.begin(), ends.end(), script_.cut) - 1);
}

void BodyCheck::feed(std::string_view bytes) {
  for (char c : bytes) {
    bool may_beat = framed_ && (heartbeat_ > 0 || at_boundary());
    if (may_beat && c == kHeartbeat[heartbeat_]) {
      heartbeat_ = (heartbeat_ + 1) % kHeartbeat.size();
      continue;
    }
    if (heartbeat_ > 0) own_comment();
    if (heartbeat_ > 0 || at_ == script_.body.size() || script_.body[at_] != c)
      violation("script " + std::to_string(script_.id) + ": byte " + std::to_string(at_) + " of " +
                std::to_string(script_.body.size()) + " is not the upstream's");
    ++at_;
  }
}

// What began like a heartbeat was a comment of the script's, if there is one here.
void BodyCheck::own_comment() {
  if (script_.body.compare(at_, heartbeat_, kHeartbeat, 0, heartbeat_) != 0) return;
  at_ += heartbeat_;
  heartbeat_ = 0;
}

// --- ClientPeer ---

ClientPeer::ClientPeer(Scene& scene, int listener, const ClientTraits& traits,
                       std::vector<unsigned> scripts)
    : scene_(scene),
      listener_(listener),
      traits_(traits),
      scripts_(std::move(scripts)),
      outcomes_(scripts_.size()),
      statuses_(scripts_.size()),
      deprived_(scripts_.size()) {}

void ClientPeer::start() {
  connect();
  if (traits_.kind == ClientKind::kVanishing || hostile())
    scene_.world.after(traits_.leaves_after_ns, [this] { leave(); });
}

void ClientPeer::connect() {
  if (done_ || scene_.frozen) return;
  World& world = scene_.world;
  uint64_t latency_ns = world.random.magnitude(1, 20 * kMillisecond);
  size_t capacity = world.random.magnitude(1, 100'000);
  connection_ = std::make_shared<Connection>(world, latency_ns, capacity);
  connection_->peer = this;
  ++connections_;
  reading_ = writing_ = false;
  out_.clear();
  requested_ = 0;
  scene_.kernel.connect_client(listener_, connection_);
  next_request();
}

std::string ClientPeer::request_for(const Script& script) {
  Random& random = scene_.world.random;
  std::string text =
      script.method + " " + script.target() + (traits_.http10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  text += "Host: sim\r\n";
  if (!hostile())
    text += "X-Check: yes\r\nX-Attempt: " + std::to_string(scene_.attempts++) + "\r\n";
  if (script.event_stream) text += "Accept: text/event-stream\r\n";
  bool chunked = script.request_chunked && !traits_.http10;
  if (script.request_body.empty()) {
    text += "\r\n";
  } else if (!chunked) {
    text += "Content-Length: " + std::to_string(script.request_body.size()) + "\r\n\r\n";
    text += script.request_body;
  } else {
    text += "Transfer-Encoding: chunked\r\n\r\n";
    std::string_view body = script.request_body;
    while (!body.empty()) {
      size_t size = random.magnitude(1, body.size());
      char line[24];
      std::snprintf(line, sizeof(line), "%zX\r\n", size);
      text += line;
      text += body.substr(0, size);
      text += "\r\n";
      body.remove_prefix(size);
    }
    text += "0\r\n\r\n";
  }
  if (hostile()) mutate(text, random);
  return text;
}

// Writes the next request, or all of them.
void ClientPeer::next_request() {
  reader_.begin(asked().method == "HEAD");
  head_seen_ = false;
  check_.reset();
  size_t until = traits_.kind == ClientKind::kPipelining ? scripts_.size() : at_ + 1;
  for (size_t i = at_ + requested_; i < until; ++i, ++requested_)
    out_ += request_for(scene_.scripts[scripts_[i]]);
  if (!std::exchange(writing_, true)) write();
}

void ClientPeer::write() {
  if (done_ || scene_.frozen || !connection_) return;
  Random& random = scene_.world.random;
  size_t size = traits_.write_max == SIZE_MAX ? SIZE_MAX : random.magnitude(1, traits_.write_max);
  size_t taken = connection_->write(std::string_view(out_).substr(0, size));
  out_.erase(0, taken);
  if (out_.empty()) {
    writing_ = false;
    return;
  }
  uint64_t pause_ns =
      taken == 0 ? kRoomPollNs
                 : random.magnitude(1, std::max(traits_.write_pause_ns, 10 * kMicrosecond));
  scene_.world.after(pause_ns, [this, name = connections_] {
    if (name == connections_) write();
  });
}

void ClientPeer::on_change() {
  if (done_ || scene_.frozen || std::exchange(reading_, true)) return;
  uint64_t pause_ns = traits_.read_pause_ns;
  if (head_seen_ && traits_.stands_still_ns > 0) {
    pause_ns += std::exchange(traits_.stands_still_ns, 0);
    stood_still_ = true;
  }
  scene_.world.after(pause_ns, [this, name = connections_] { read(name); });
}

void ClientPeer::read(uint64_t connection) {
  if (done_ || scene_.frozen || connection != connections_) return;
  reading_ = false;
  std::string bytes = connection_->read(traits_.read_max);
  consume(bytes);
  if (done_ || connection != connections_) return;
  if (connection_->to_peer.readable() > 0)
    on_change();
  else if (connection_->reset_at_peer())
    on_end(true);
  else if (connection_->finished_at_peer())
    on_end(false);
}

// What a hostile client gets depends on what the gateway made of its request; the upstream checks
// that this was one request.
void ClientPeer::consume(std::string_view bytes) {
  if (hostile()) return;
  const uint64_t connection = connections_;
  while (!bytes.empty() && !done_) {
    if (requested_ == 0)
      violation("a response that nobody asked for: " + std::string(bytes.substr(0, 60)));
    size_t taken = reader_.feed(bytes, [this](std::string_view body) {
      if (!head_seen_) on_response_head();
      if (check_) check_->feed(body);
    });
    bytes.remove_prefix(taken);
    if (reader_.state() == MessageReader::State::kBroken)
      violation("a client was sent " + reader_.what_is_wrong());
    if (reader_.state() == MessageReader::State::kHead) return;
    if (!head_seen_) on_response_head();
    if (reader_.state() != MessageReader::State::kComplete) continue;
    // Who is refused before the request's method is known gets a body, even where that was HEAD.
    const bool to_head = asked().method == "HEAD";
    on_response_complete();
    if (connection == connections_) continue;
    if (!bytes.empty() && !to_head) violation("bytes behind the last response");
    return;
  }
}

void ClientPeer::on_response_head() {
  head_seen_ = true;
  const MessageHead& head = reader_.head();
  scene_.world.trace("client: script %u: %s", asked().id, head.first_line.c_str());
  auto id = head.find("x-script");
  if (head.status() < 200) return;
  statuses_[at_] = head.status();
  if (!id) return;  // the gateway's own
  size_t number = std::strtoull(id->c_str(), nullptr, 10);
  if (number != asked().id) violation("the answer to another request");
  if (head.find("via") == std::nullopt) violation("a response without Via");
  check_.emplace(asked(), asked().event_stream);
}

void ClientPeer::on_response_complete() {
  int status = reader_.head().status();
  if (status < 200) {
    reader_.begin(asked().method == "HEAD");
    head_seen_ = false;
    return;
  }
  if (check_ && asked().method != "HEAD") {
    if (!check_->complete())
      violation("script " + std::to_string(asked().id) + " ended cleanly after " +
                std::to_string(check_->at()) + " bytes of " + std::to_string(asked().body.size()));
    if (!asked().sound())
      violation("script " + std::to_string(asked().id) + " was cut, and ended cleanly");
  }
  answered(check_ ? Outcome::kComplete : Outcome::kRefused);
}

void ClientPeer::on_end(bool reset) {
  scene_.world.trace("client: the connection ends%s", reset ? " by a reset" : "");
  if (hostile()) {
    answered(Outcome::kNone);
    return;
  }
  if (!reset && reader_.started() && reader_.finish()) {
    connection_->close_peer_end();
    on_response_complete();
    return;
  }
  if (check_ && !reset && asked().event_stream && !check_->at_boundary() && !scene_.torn)
    violation("script " + std::to_string(asked().id) + " was cut inside an event, at byte " +
              std::to_string(check_->at()) + ": ..." +
              asked().body.substr(check_->at() < 30 ? 0 : check_->at() - 30, 60));
  deprived_[at_] = check_ && !reset && asked().event_stream && !check_->complete_up_to_cut();
  connection_->close_peer_end();
  bool begun = reader_.started();
  requested_ = 0;
  // A connection may end just when the next request goes out.
  if (!begun && ++attempts_ < kAttemptsMax) {
    ++connections_;
    scene_.world.after(kMillisecond, [this] { connect(); });
    return;
  }
  answered(begun ? Outcome::kAborted : Outcome::kNone);
}

void ClientPeer::answered(Outcome outcome) {
  outcomes_[at_] = outcome;
  attempts_ = 0;
  bool ended = requested_ == 0 || reader_.until_close() || traits_.http10 || hostile() ||
               reader_.head().find("connection").value_or("") == "close";
  if (requested_ > 0) --requested_;
  ++at_;
  if (at_ == scripts_.size()) {
    finish();
    return;
  }
  if (!ended) {
    next_request();
    return;
  }
  connection_->close_peer_end();
  ++connections_;
  scene_.world.after(scene_.world.random.magnitude(1, 50 * kMillisecond), [this] { connect(); });
}

void ClientPeer::leave() {
  if (done_ || scene_.frozen) return;
  scene_.world.trace("client: leaves");
  if (requested_ > 0 && !hostile() && on_left) on_left(asked().id);
  if (scene_.world.random.chance(0.5))
    connection_->reset_peer_end();
  else
    connection_->close_peer_end();
  done_ = true;
}

void ClientPeer::finish() {
  done_ = true;
  connection_->close_peer_end();
}

}  // namespace sluice::sim
