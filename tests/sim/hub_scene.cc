#include "tests/sim/hub_scene.h"

#include <utility>

namespace sluice::sim {

std::optional<int64_t> number_member(std::string_view json, std::string_view name) {
  std::string quoted = "\"" + std::string(name) + "\":";
  size_t at = json.find(quoted);
  if (at == json.npos) return std::nullopt;
  return std::strtoll(std::string(json.substr(at + quoted.size(), 24)).c_str(), nullptr, 10);
}

HubCaller::HubCaller(HubScene& scene, const Request& request, std::function<void()> whole,
                     std::function<void(const Answer&)> done)
    : scene_(scene), whole_(std::move(whole)), done_(std::move(done)) {
  Random& random = scene.world.random;
  ++scene.asked;
  answer_.life = scene.judge.life();
  answer_.process = scene.judge.process();
  answer_.slow = random.chance(0.2);
  wire_ = request.method + " " + request.target + " HTTP/1.1\r\nHost: sim\r\n" + request.fields;
  if (request.method == "GET") {
    wire_ += "\r\n";
  } else if (request.chunked) {
    wire_ += "Transfer-Encoding: chunked\r\n\r\n";
    for (std::string_view rest = request.body; !rest.empty();) {
      size_t size = random.magnitude(1, rest.size());
      wire_.append(chunk_size_line(size)).append(rest.substr(0, size)).append("\r\n");
      rest.remove_prefix(size);
    }
    wire_ += "0\r\n\r\n";
  } else {
    wire_ += "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
  }
  if (random.chance(request.stops)) stops_at_ = random.between(0, wire_.size() - 1);
  reader_.begin(false);
  number_ = scene.asked;
  scene.world.trace("request %lu: %.150s, of %zu bytes, breaks off at %zd", number_,
                    request.target.c_str(), wire_.size(), static_cast<ssize_t>(stops_at_));
  connection_ = scene.connect(*this);
  write();
}

void HubCaller::write() {
  if (ended_) return;
  Random& random = scene_.world.random;
  size_t until = std::min(wire_.size(), stops_at_);
  size_t most = until - written_;
  if (answer_.slow && most > 1) most = random.magnitude(1, most);
  size_t taken = connection_->write(std::string_view(wire_).substr(written_, most));
  written_ += taken;
  if (written_ == wire_.size() && most > 0) whole_();
  if (written_ == stops_at_) {
    answer_.excused = true;
    scene_.world.after(random.magnitude(1, 2 * kSecond), [this, reset = random.chance(0.5)] {
      if (ended_) return;
      if (reset)
        connection_->reset_peer_end();
      else
        connection_->close_peer_end();
      over();
    });
    return;
  }
  if (written_ < until)
    scene_.world.after(random.magnitude(1, (answer_.slow ? 100 : 5) * kMillisecond),
                       [this] { write(); });
}

void HubCaller::on_change() {
  if (ended_ || std::exchange(reading_, true)) return;
  scene_.world.after(scene_.world.random.magnitude(1, 5 * kMillisecond), [this] { read(); });
}

void HubCaller::read() {
  reading_ = false;
  if (ended_) return;
  std::string bytes = connection_->read(SIZE_MAX);
  reader_.feed(bytes, [this](std::string_view body) { answer_.body += body; });
  if (reader_.state() == MessageReader::State::kBroken)
    violation("a publisher was sent " + reader_.what_is_wrong());
  if (reader_.state() == MessageReader::State::kComplete) {
    answer_.status = reader_.head().status();
    connection_->close_peer_end();
    over();
  } else if (connection_->reset_at_peer() || connection_->finished_at_peer()) {
    connection_->close_peer_end();
    over();
  }
}

void HubCaller::over() {
  if (std::exchange(ended_, true)) return;
  answer_.excused |=
      !scene_.workers || scene_.judge.draining || answer_.process != scene_.judge.process();
  scene_.world.trace("request %lu: %d %.150s", number_, answer_.status, answer_.body.c_str());
  if (answer_.status != 0) ++scene_.answered;
  // Not from within what may be the constructor.
  scene_.world.after(0, [this] { done_(answer_); });
}

}  // namespace sluice::sim
