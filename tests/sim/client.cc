#include "tests/sim/client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.h"
#include "tests/sim/judge.h"

namespace sluice::sim {

namespace {

constexpr unsigned kAttemptsMax = 4;
constexpr uint64_t kRoomPollNs = 5 * kMillisecond;
// With room for so much it holds up nobody, if it reads at once.
constexpr size_t kAmpleRoom = 64 * 1024;
// It sends the body then, go-ahead or not.
constexpr uint64_t kGoAheadNsMax = 3 * kSecond;

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

ClientPeer::ClientPeer(Scene& scene, int listener, const ClientTraits& traits,
                       std::vector<unsigned> scripts)
    : Asker(scene, std::move(scripts)), listener_(listener), traits_(traits) {}

void ClientPeer::start() {
  connect();
  if (traits_.kind == ClientKind::kVanishing || hostile())
    scene_.world.after(traits_.leaves_after_ns, [this] { leave(); });
}

void ClientPeer::connect() {
  if (done_ || scene_.frozen) return;
  World& world = scene_.world;
  uint64_t latency_ns = world.random.magnitude(1, 20 * kMillisecond);
  size_t capacity = world.random.chance(0.5) ? world.random.between(kAmpleRoom, 4 * kAmpleRoom)
                                             : world.random.magnitude(1, kAmpleRoom);
  connection_ = std::make_shared<Connection>(world, latency_ns, capacity);
  connection_->peer = this;
  ++connections_;
  reading_ = writing_ = shut_ = false;
  out_.clear();
  rest_.clear();
  writes_.clear();
  bytes_written_ = 0;
  previous_route_.reset();
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
  if (script.wants_events) text += "Accept: text/event-stream\r\n";
  if (!hostile() && !scene_.accepts.empty()) text += "Accept-Encoding: " + scene_.accepts + "\r\n";
  bool chunked = script.request_chunked && !traits_.http10;
  if (script.request_body.empty()) return text += "\r\n";
  if (script.expects && !traits_.http10) text += "Expect: 100-continue\r\n";
  if (!chunked) {
    text += "Content-Length: " + std::to_string(script.request_body.size()) + "\r\n\r\n";
    return text += script.request_body;
  }
  text += "Transfer-Encoding: chunked\r\n\r\n";
  std::string_view body = script.request_body;
  while (!body.empty()) {
    size_t size = random.magnitude(1, body.size());
    text += chunk_size_line(size, /*large_letters=*/true);
    text += body.substr(0, size);
    text += "\r\n";
    body.remove_prefix(size);
  }
  return text += "0\r\n\r\n";
}

// Writes the next request, or all of them.
void ClientPeer::next_request() {
  reader_.begin(asked().method == "HEAD");
  head_seen_ = false;
  check_.reset();
  unpacks_.reset();
  interim_heads_ = 0;
  problem_.clear();
  size_t until = pipelines() ? scripts_.size() : at_ + 1;
  for (size_t i = at_ + requested_; i < until; ++i, ++requested_) {
    const Script& script = scene_.scripts[scripts_[i]];
    std::string text = request_for(script);
    size_t head = text.find("\r\n\r\n") + 4;
    size_t begins = bytes_written_ + out_.size();
    writes_.push_back({i, begins, begins + head, begins + text.size()});
    if (hostile()) mutate(text, scene_.world.random);
    Exchange& of = scene_.exchanges[script.id];
    static_cast<Asked&>(of) = {.client = connection_};
    static_cast<Answered&>(of) = {};
    of.tries = 0;
    of.upstream = nullptr;
    of.behind = i > at_;
    of.prompt = traits_.read_max == SIZE_MAX && connection_->to_peer.room() >= kAmpleRoom;
    of.trickles = traits_.write_max != SIZE_MAX;
    size_t route = i > at_ ? scene_.scripts[scripts_[i - 1]].route
                           : previous_route_.value_or(scene_.config->routes.size() - 1);
    of.header_timeout_ms = scene_.config->routes[route].settings.header_timeout_ms;
    bool waits = script.expects && !traits_.http10 && !pipelines() && !hostile() &&
                 !script.request_body.empty();
    if (waits) {
      rest_ = text.substr(head);
      text.resize(head);
      scene_.world.after(scene_.world.random.between(kSecond, kGoAheadNsMax),
                         [this, name = connections_] {
                           if (name == connections_) send_rest();
                         });
    }
    out_ += text;
  }
  if (!std::exchange(writing_, true)) write();
}

void ClientPeer::send_rest() {
  if (rest_.empty()) return;
  out_ += std::exchange(rest_, {});
  if (!std::exchange(writing_, true)) write();
}

void ClientPeer::write() {
  if (done_ || scene_.frozen || !connection_) return;
  Random& random = scene_.world.random;
  size_t size = traits_.write_max == SIZE_MAX ? SIZE_MAX : random.magnitude(1, traits_.write_max);
  bool in_body = !writes_.empty() && bytes_written_ > writes_.front().head_ends;
  if (in_body && traits_.rests_ns > 0 && random.chance(0.5)) {
    scene_.world.trace("client: rests");
    scene_.world.after(std::exchange(traits_.rests_ns, 0), [this, name = connections_] {
      if (name == connections_) write();
    });
    return;
  }
  size_t taken = connection_->write(std::string_view(out_).substr(0, size));
  out_.erase(0, taken);
  note_written(taken);
  if (out_.empty()) {
    writing_ = false;
    if (rest_.empty()) written_all();
    return;
  }
  uint64_t pause_ns =
      taken == 0 ? kRoomPollNs
                 : random.magnitude(1, std::max(traits_.write_pause_ns, 10 * kMicrosecond));
  scene_.world.after(pause_ns, [this, name = connections_] {
    if (name == connections_) write();
  });
}

void ClientPeer::note_written(size_t size) {
  if (size == 0 || hostile()) return;
  uint64_t now_ns = scene_.world.now_ns();
  bytes_written_ += size;
  for (const Written& request : writes_) {
    if (request.begins >= bytes_written_) break;
    Exchange& of = scene_.exchanges[scripts_[request.request]];
    if (of.asked_ns == 0) of.asked_ns = now_ns;
    if (of.head_written_ns != 0)
      of.write_gap_ns = std::max(of.write_gap_ns, now_ns - of.last_written_ns);
    if (of.head_written_ns == 0 && bytes_written_ >= request.head_ends) of.head_written_ns = now_ns;
    of.last_written_ns = now_ns;
  }
  while (!writes_.empty() && writes_.front().ends <= bytes_written_) writes_.pop_front();
}

// A FIN behind the last request that goes out on this connection. Where that is no good way to say
// so, it takes the request with it.
void ClientPeer::written_all() {
  if (!traits_.half_closes || hostile() || requested_ == 0 || std::exchange(shut_, true)) return;
  scene_.world.trace("client: a FIN behind script %u", asked().id);
  connection_->shut_down_writing();
  bool denied = false;
  for (size_t i = at_ + requested_; i-- > at_;) {
    const Script& script = scene_.scripts[scripts_[i]];
    denied |= !scene_.config->routes[script.route].settings.half_close;
    scene_.exchanges[script.id].fin = true;
    scene_.exchanges[script.id].denied = denied;
  }
  bool allowed = scene_.config->routes[asked().route].settings.half_close;
  if (!allowed && on_left && connection_->accepted_ns != 0) on_left(asked().id);
}

void ClientPeer::on_change() {
  if (done_ || scene_.frozen || std::exchange(reading_, true)) return;
  uint64_t pause_ns = traits_.read_pause_ns;
  if (head_seen_ && traits_.stands_still_ns > 0 && bytes_read_ >= traits_.stands_still_at) {
    pause_ns += std::exchange(traits_.stands_still_ns, 0);
    traits_.read_pause_ns += traits_.slows_by_ns;
    stood_still_ = true;
  }
  if (pause_ns == 0) {
    read(connections_);
    return;
  }
  scene_.world.after(pause_ns, [this, name = connections_] { read(name); });
}

void ClientPeer::read(uint64_t connection) {
  if (done_ || scene_.frozen || connection != connections_) return;
  reading_ = false;
  std::string bytes = connection_->read(traits_.read_max);
  bytes_read_ += bytes.size();
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
      on_body(body);
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

void ClientPeer::on_body(std::string_view bytes) {
  if (!check_) {
    problem_ += bytes;
    return;
  }
  if (!unpacks_) {
    on_plain(bytes);
    return;
  }
  exchange().packed_bytes += bytes.size();
  while (true) {
    std::array<char, 512> room;
    Decoder::Step step = unpacks_->decode(bytes, room);
    if (step.fault != DecodingFault::kNone) violation("a body that is not of its coding");
    bytes.remove_prefix(step.taken);
    on_plain({room.data(), step.written});
    if (step.written < room.size() && (bytes.empty() || step.taken == 0)) break;
  }
  if (!bytes.empty()) violation("bytes behind a packed body");
}

void ClientPeer::on_plain(std::string_view bytes) {
  BodyCheck::Fed fed = check_->feed(bytes);
  exchange().seen = check_->at();
  if (fed.heartbeats || fed.others)
    scene_.judge->on_output(asked(), !fed.others, check_->at_boundary());
}

void ClientPeer::on_coding(std::string_view coding) {
  if (scene_.accepts.find(coding) == scene_.accepts.npos)
    violation("an answer in " + std::string(coding) + ", which nobody has asked for");
  for (AppliedCoding known : {AppliedCoding::kGzip, AppliedCoding::kZstd, AppliedCoding::kBrotli})
    if (coding == coding_name(known)) unpacks_ = make_decoder(known, scene_.decoders);
  if (!unpacks_) violation("an answer in a coding that is none");
  ++scene_.packed_seen;
}

void ClientPeer::on_response_head() {
  head_seen_ = true;
  const MessageHead& head = reader_.head();
  scene_.world.trace("client: script %u: %s", asked().id, head.first_line.c_str());
  if (head.status() < 200) {
    on_interim_head();
    return;
  }
  auto id = head.find("x-script");
  statuses_[at_] = head.status();
  bool ours = !id && !head.find("via");
  bool early = ours && head.status() == 200;
  exchange().early_head = early;
  scene_.judge->on_head(asked(), head.status(), ours,
                        head.find("connection").value_or("") == "close");
  if (id) {
    if (parse_decimal(*id) != asked().id) violation("the answer to another request");
    if (head.status() != asked().status) violation("a status that is not the upstream's");
    if (ours) violation("a response without Via");
  }
  if (auto coding = head.find("content-encoding"); coding && asked().method != "HEAD")
    on_coding(*coding);
  if (id || early) check_.emplace(asked(), scene_.config->routes[asked().route].settings, early);
}

// No more of them than there were, and none to a client that does not know them.
void ClientPeer::on_interim_head() {
  const Script& script = asked();
  bool go_ahead = reader_.head().status() == 100;
  if (traits_.http10) violation("an interim response to HTTP/1.0");
  if (go_ahead ? !script.goes_ahead : ++interim_heads_ > script.interim_heads)
    violation("an interim response that is not the upstream's, to script " +
              std::to_string(script.id));
  if (go_ahead) send_rest();
}

void ClientPeer::on_response_complete() {
  int status = reader_.head().status();
  if (status < 200) {
    reader_.begin(asked().method == "HEAD");
    head_seen_ = false;
    return;
  }
  if (check_ && asked().method != "HEAD") {
    if (unpacks_ && !unpacks_->at_end()) violation("a packed body that ends without its end");
    if (!check_->complete())
      violation("script " + std::to_string(asked().id) + " ended cleanly after " +
                std::to_string(check_->at()) + " bytes of " + std::to_string(asked().body.size()));
    if (!asked().sound())
      violation("script " + std::to_string(asked().id) + " was cut, and ended cleanly");
  }
  if (!check_) scene_.judge->on_refused(asked(), status, problem_);
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
  const StreamSettings& settings = scene_.config->routes[asked().route].settings;
  bool whole_events = asked().event_stream && settings.framing == EventFraming::kEvent &&
                      !scene_.torn && scene_.world.now_ns() < scene_.ends_ns &&
                      !asked().too_long(settings) && !exchange().denied;
  if (check_ && !reset && whole_events && !check_->at_boundary())
    violation("script " + std::to_string(asked().id) + " was cut inside an event, at byte " +
              std::to_string(check_->at()) + ": ..." +
              asked().body.substr(check_->at() < 30 ? 0 : check_->at() - 30, 60));
  if (unpacks_ && exchange().packed_bytes > 0 && unpacks_->at_end() && !check_->complete())
    violation("script " + std::to_string(asked().id) + " was cut, and its packed body ends well");
  const std::vector<Exchange::Sent>& sent = exchange().sent;
  size_t whole = sent.empty() ? 0 : sent.back().body_bytes;
  deprived_[at_] = check_ && !reset && asked().event_stream && !check_->complete_up_to(whole);
  connection_->close_peer_end();
  bool begun = reader_.started();
  if (check_) scene_.judge->on_aborted(asked(), check_->at_boundary());
  requested_ = 0;
  // A connection may end just when the next request goes out.
  bool again = !begun && !exchange().fin;
  if (again && ++attempts_ < kAttemptsMax) {
    ++connections_;
    scene_.world.after(kMillisecond, [this] { connect(); });
    return;
  }
  answered(begun ? Outcome::kAborted : Outcome::kNone);
}

void ClientPeer::answered(Outcome outcome) {
  outcomes_[at_] = outcome;
  exchange().over = true;
  attempts_ = 0;
  bool ended = requested_ == 0 || reader_.until_close() || traits_.http10 || hostile() ||
               (shut_ && !pipelines()) || reader_.head().find("connection").value_or("") == "close";
  if (requested_ > 0) --requested_;
  previous_route_ = asked().route;
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
  scene_.world.trace("client: leaves script %u", asked().id);
  bool resets = scene_.world.random.chance(0.5);
  if (requested_ > 0 && !hostile()) {
    exchange().left = true;
    // Where a FIN is allowed it is none, and behind one, or behind what is not read, a reset shows
    // with the next write only.
    bool allowed = scene_.config->routes[asked().route].settings.half_close;
    bool all_read = asked().request_body.empty() && !pipelines() && !scene_.scarce;
    bool shows = !shut_ && (!allowed || (resets && all_read));
    if (on_left && shows && connection_->accepted_ns != 0) on_left(asked().id);
  }
  if (resets)
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
