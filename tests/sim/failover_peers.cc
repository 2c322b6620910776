#include "tests/sim/failover_peers.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"

namespace sluice::sim {

namespace {

constexpr std::string_view kAnswerField = "x-answer";

std::string in_chunks(Random& random, std::string_view body) {
  std::string wire;
  for (size_t at = 0; at < body.size();) {
    size_t size = random.magnitude(1, body.size() - at);
    wire += chunk_size_line(size);
    wire += body.substr(at, size);
    wire += "\r\n";
    at += size;
  }
  return wire + "0\r\n\r\n";
}

std::string request_text(Random& random, const FailoverScene& scene,
                         const FailoverRequest& request) {
  const std::string& path = scene.routes[request.route].path;
  std::string number = std::to_string(request.number);
  std::string wire = request.method + " " + path + (path.ends_with('/') ? "q" : "/q") + number +
                     " HTTP/1.1\r\nHost: sim\r\nX-Key: " + std::to_string(request.number % 5) +
                     "\r\n";
  if (!request.has_body) return wire + "\r\n";
  std::string body(request.body_bytes, ' ');
  for (size_t i = 0; i < body.size(); ++i) body[i] = body_byte(request.number, i);
  if (request.chunked) return wire + "Transfer-Encoding: chunked\r\n\r\n" + in_chunks(random, body);
  return wire + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// "/a/q12": 12.
std::optional<uint64_t> number_of(std::string_view target) {
  return parse_decimal(target.substr(target.rfind('q') + 1));
}

}  // namespace

const char* mood_name(Mood mood) {
  constexpr const char* kNames[kMoods] = {"well",
                                          "503",
                                          "429",
                                          "500",
                                          "refuses",
                                          "ignores",
                                          "resets-at-accept",
                                          "resets-on-request",
                                          "cuts-head",
                                          "closes-kept",
                                          "stalls-before-head",
                                          "stalls-in-request",
                                          "garbage"};
  return kNames[static_cast<unsigned>(mood)];
}

ServerConnection::ServerConnection(FailoverScene& scene, size_t server,
                                   std::shared_ptr<Connection> connection)
    : scene_(scene), server_(server), connection_(std::move(connection)) {
  connection_->peer = this;
  reader_.begin(false);
  doomed_ = scene.servers[server].mood == Mood::kResetsAtAccept;
  if (doomed_)
    scene.world.after(scene.world.random.magnitude(1, 20 * kMillisecond), [this] { close(true); });
}

void ServerConnection::close(bool reset) {
  if (std::exchange(closed_, true)) return;
  // Of a reset nobody knows how much of an answer came before it.
  if (request_ && (reset || written_ == 0)) request_->readers[place_].closed = true;
  if (reset)
    connection_->reset_peer_end();
  else
    connection_->close_peer_end();
}

void ServerConnection::kill() {
  // Its latest answer may not have arrived.
  if (answer_) answer_->whole = false;
  if (answered_) answered_->readers[place_].closed = true;
  close(true);
}

void ServerConnection::on_change() {
  if (closed_ || std::exchange(reading_, true)) return;
  scene_.world.after(scene_.world.random.magnitude(1, 5 * kMillisecond), [this] { read(); });
}

void ServerConnection::read() {
  reading_ = false;
  if (closed_ || doomed_) return;
  while (!answering_ && reads_max_ > 0 && connection_->to_peer.readable() > 0) {
    if (!std::exchange(begun_, true)) {
      on_first_bytes();
      if (closed_) return;
    }
    std::string bytes = connection_->read(reads_max_);
    reads_max_ -= reads_max_ == SIZE_MAX ? 0 : bytes.size();
    if (!request_ && line_.find('\n') == line_.npos) line_ += bytes;
    note_reader();
    size_t taken = reader_.feed(bytes, [this](std::string_view body) {
      for (char byte : body)
        if (!request_ || byte != body_byte(request_->number, body_read_++))
          violation("an upstream is sent a body that is not the client's");
    });
    if (reader_.state() == MessageReader::State::kBroken)
      violation("an upstream was sent " + reader_.what_is_wrong());
    if (taken < bytes.size()) violation("an upstream was sent more than a request");
    if (reader_.state() == MessageReader::State::kComplete) on_request();
    if (closed_) return;
    if (mood_ == Mood::kResetsOnRequest && reads_max_ == 0) return close(true);
  }
  if (connection_->reset_at_peer() || connection_->finished_at_peer()) close(false);
}

void ServerConnection::on_first_bytes() {
  Random& random = scene_.world.random;
  mood_ = scene_.servers[server_].mood;
  line_.clear();
  answer_ = nullptr;
  answered_ = nullptr;
  body_read_ = 0;
  reads_max_ = SIZE_MAX;
  if (mood_ == Mood::kStallsInRequest) reads_max_ = random.magnitude(1, 2'000);
  if (mood_ == Mood::kResetsOnRequest && random.chance(0.5))
    reads_max_ = random.magnitude(1, 2'000);
  if (mood_ == Mood::kClosesKept && used_ && random.chance(0.5)) close(random.chance(0.5));
}

// From the first bytes that name it.
void ServerConnection::note_reader() {
  if (request_) return;
  size_t end = line_.find(" HTTP/1.1");
  if (end == line_.npos) return;
  size_t target = line_.find(' ') + 1;
  auto number = number_of(std::string_view(line_).substr(target, end - target));
  if (!number || *number >= scene_.requests.size()) violation("an upstream was sent " + line_);
  request_ = &scene_.requests[*number];
  scene_.world.trace("server %zu (%s): gets %s of %zu", server_, mood_name(mood_),
                     used_ ? "another request," : "the request", request_->number);
  std::vector<FailoverReader>& readers = request_->readers;
  const StreamSettings& settings = scene_.settings(*request_);
  std::string name = request_->method + " " + std::to_string(request_->number);
  auto not_taken_on = std::ranges::count_if(
      request_->answers,
      [this](const FailoverAnswer& answer) { return scene_.retried(*request_, answer.status); });
  if (!request_->repeatable && static_cast<size_t>(not_taken_on) < readers.size())
    violation(name + " reaches a second upstream, though one may have processed it");
  // Again to the same one only where its kept connection was at its end.
  for (const FailoverReader& reader : readers)
    if (reader.server == server_ && !(reader.kept && reader.closed))
      violation(name + " comes again to an upstream that has had it");
  place_ = readers.size();
  readers.push_back({.server = server_, .kept = used_});
  std::set<size_t> servers;
  for (const FailoverReader& reader : readers) servers.insert(reader.server);
  if (servers.size() > settings.retries + 1) violation(name + " is tried too often");
}

void ServerConnection::on_request() {
  if (!request_) violation("an upstream was sent a request without a number");
  if (body_read_ != request_->body_bytes)
    violation("an upstream is sent a part of a body as the whole");
  Random& random = scene_.world.random;
  answering_ = true;
  switch (mood_) {
    case Mood::kUnavailable:
      return write_answer(503);
    case Mood::kBusy:
      return write_answer(429);
    case Mood::kFails: {
      constexpr int kStatuses[] = {500, 502, 504};
      return write_answer(kStatuses[random.between(0, 2)]);
    }
    case Mood::kResetsOnRequest:
      return close(random.chance(0.8));
    case Mood::kClosesKept:  // the gateway cannot tell that it was read
      return used_ ? close(random.chance(0.5)) : write_answer(200);
    case Mood::kCutsHead: {
      std::string head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r";
      head.resize(random.between(1, head.size()));
      ends_by_reset_ = random.chance(0.5);
      return write_text(head, /*ends=*/true);
    }
    case Mood::kStallsBeforeHead:
    case Mood::kStallsInRequest:  // it was short
      return;
    case Mood::kGarbage:
      return write_text("garbage\r\n\r\n", /*ends=*/random.chance(0.5));
    default:
      return write_answer(200);
  }
}

void ServerConnection::write_answer(int status) {
  Random& random = scene_.world.random;
  std::string name = std::to_string(request_->number) + "." + std::to_string(scene_.answers++);
  size_t size = random.chance(0.1) ? limits::kKeptAnswerBytes + random.magnitude(1, 20'000)
                                   : random.magnitude(1, 3000);
  std::string body = "answer " + name + std::string(size, '.');
  std::string wire = "HTTP/1.1 " + std::to_string(status) + " As it is\r\n" +
                     std::string(kAnswerField) + ": " + name + "\r\n";
  bool ends = random.chance(0.2);
  if (ends) wire += "connection: close\r\n";
  if (status == 503 || status == 429) {
    if (random.chance(0.5)) wire += "retry-after: " + std::to_string(random.between(0, 5)) + "\r\n";
  }
  bool to_head = request_->method == "HEAD";
  if (random.chance(0.3)) {
    wire += "transfer-encoding: chunked\r\n\r\n";
    if (!to_head) wire += in_chunks(random, body);
  } else {
    wire += "content-length: " + std::to_string(body.size()) + "\r\n\r\n";
    if (!to_head) wire += body;
  }
  answer_ = &request_->answers.emplace_back(
      FailoverAnswer{.status = status, .small = body.size() <= limits::kKeptAnswerBytes});
  write_text(std::move(wire), ends);
}

void ServerConnection::write_text(std::string text, bool ends) {
  wire_ = std::move(text);
  written_ = 0;
  head_bytes_ = wire_.find("\r\n\r\n") + 4;
  ends_ = ends;
  scene_.world.after(scene_.world.random.magnitude(1, 200 * kMillisecond), [this] { step(); });
}

void ServerConnection::step() {
  if (closed_) return;
  Random& random = scene_.world.random;
  size_t size = random.magnitude(1, 5000);
  if (answer_ && written_ == 0) answer_->began_ns = scene_.world.now_ns();
  const Pipe& on_its_way = connection_->to_gateway;
  if (answer_ && written_ >= head_bytes_ && on_its_way.readable() + on_its_way.travelling() == 0)
    answer_->head_read = true;
  written_ += connection_->write(std::string_view(wire_).substr(written_, size));
  if (written_ < wire_.size()) {
    scene_.world.after(random.magnitude(1, 5 * kMillisecond), [this] { step(); });
    return;
  }
  if (answer_) {
    answer_->whole = true;
    answer_->lasted_ns = scene_.world.now_ns() - answer_->began_ns;
  }
  if (ends_)
    close(ends_by_reset_);
  else if (mood_ != Mood::kGarbage)
    finish();
}

// The next request.
void ServerConnection::finish() {
  answered_ = std::exchange(request_, nullptr);
  answering_ = begun_ = false;
  used_ = true;
  wire_.clear();
  written_ = 0;
  reader_.begin(false);
  on_change();
}

FailoverClient::FailoverClient(FailoverScene& scene, FailoverRequest& request, int listener,
                               OnEnd on_end)
    : scene_(scene), request_(request), on_end_(std::move(on_end)) {
  Random& random = scene.world.random;
  connection_ = std::make_shared<Connection>(scene.world, random.magnitude(1, 10 * kMillisecond),
                                             random.magnitude(2000, 200'000));
  connection_->peer = this;
  reader_.begin(request.method == "HEAD");
  request.began_ns = scene.world.now_ns();
  wire_ = request_text(random, scene, request);
  // Its whole body takes less than a time-out of the gateway's.
  pause_ns_max_ = random.magnitude(1, 20 * kMillisecond);
  scene.kernel.connect_client(listener, connection_);
  scene.world.trace("client: %s %zu, %zu bytes", request.method.c_str(), request.number,
                    request.body_bytes);
  if (request.leaves) {
    scene.world.after(random.magnitude(1, 5 * kSecond), [this] {
      if (over_) return;
      outcome_.left = true;
      end();
    });
  }
  send();
}

void FailoverClient::send() {
  if (over_) return;
  Random& random = scene_.world.random;
  size_t size = random.magnitude(1, std::max<size_t>(wire_.size() / 4, 500));
  written_ += connection_->write(std::string_view(wire_).substr(written_, size));
  if (written_ < wire_.size())
    scene_.world.after(random.magnitude(1, pause_ns_max_), [this] { send(); });
}

void FailoverClient::on_change() {
  if (over_ || std::exchange(reading_, true)) return;
  scene_.world.after(scene_.world.random.magnitude(1, 10 * kMillisecond), [this] { read(); });
}

void FailoverClient::read() {
  reading_ = false;
  if (over_) return;
  std::string bytes = connection_->read(SIZE_MAX);
  reader_.feed(bytes, [this](std::string_view body) { body_ += body; });
  if (reader_.state() == MessageReader::State::kBroken)
    violation("a client was sent " + reader_.what_is_wrong());
  bool whole = reader_.state() == MessageReader::State::kComplete;
  bool ended = connection_->reset_at_peer() || connection_->finished_at_peer();
  if (!whole && !ended) return;
  outcome_.whole =
      whole || (!connection_->reset_at_peer() && reader_.finish() && reader_.started());
  if (outcome_.whole || reader_.state() == MessageReader::State::kBody) {
    outcome_.status = reader_.head().status();
    outcome_.answer = reader_.head().find(kAnswerField).value_or("");
  }
  if (outcome_.whole && !outcome_.answer.empty() && request_.method != "HEAD" &&
      !body_.starts_with("answer " + outcome_.answer + "."))
    violation("a client was sent one answer's head and another one's body");
  end();
}

void FailoverClient::end() {
  over_ = true;
  scene_.world.trace("client: %s %zu ends, %d %s%s", request_.method.c_str(), request_.number,
                     outcome_.status, outcome_.answer.c_str(), outcome_.whole ? "" : " not whole");
  connection_->close_peer_end();
  on_end_(request_, outcome_);
}

}  // namespace sluice::sim
