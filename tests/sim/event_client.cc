#include "tests/sim/event_client.h"

#include <array>
#include <utility>

#include "core/text.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kRestNsMax = 15 * kSecond;
constexpr uint64_t kWriteAgainNs = 5 * kMillisecond;
constexpr uint32_t kWindowLeast = 1'000;
constexpr uint32_t kWindowMost = 200'000;
constexpr std::string_view kHeartbeat = ": heartbeat\n\n";

}  // namespace

bool EventClient::process_ends() const {
  return !scene_.workers || process_ != scene_.judge.process() || scene_.judge.draining;
}

void EventClient::ask(const std::string& name, const std::string& target, FieldList fields) {
  Random& random = scene_.world.random;
  ++scene_.asked;
  ++connections_;
  live_ = true;
  headed_ = has_rested_ = false;
  text_.clear();
  out_.clear();
  decoder_.reset();
  http2_.reset();
  reader_.begin(false);
  life_ = scene_.judge.life();
  process_ = scene_.judge.process();
  fields.emplace_back("accept", "text/event-stream");
  if (!scene_.accepts.empty()) fields.emplace_back("accept-encoding", scene_.accepts);
  if (manners_.http2 > 0 && random.chance(manners_.http2))
    http2_ = std::make_unique<Http2Answer>(
        static_cast<uint32_t>(random.magnitude(kWindowLeast, kWindowMost)));
  if (http2_) {
    out_ = http2_->ask(target, fields);
  } else {
    out_ = "GET " + target + " HTTP/1.1\r\nHost: sim\r\n";
    for (const auto& [field, value] : fields)
      out_.append(field).append(": ").append(value) += "\r\n";
    out_ += "\r\n";
  }
  connection_ = scene_.connect(*this);
  scene_.world.trace("%s: connection %lu%s, %s", name.c_str(), connections_,
                     http2_ ? " over HTTP/2" : "", target.c_str());
  write();
  if (manners_.cut_per_s <= 0) return;
  auto most_ns = static_cast<uint64_t>(2e9 / manners_.cut_per_s);
  scene_.world.after(random.magnitude(1, most_ns), [this, connection = connections_] {
    if (connection == connections_ && live_ && !scene_.settles) cut();
  });
}

void EventClient::write() {
  if (!live_ || writing_) return;
  out_.erase(0, connection_->write(out_));
  if (out_.empty()) return;
  writing_ = true;
  scene_.world.after(kWriteAgainNs, [this] {
    writing_ = false;
    write();
  });
}

void EventClient::cut() {
  ++scene_.cut;
  live_ = headed_ = false;
  if (http2_ && scene_.world.random.chance(0.5)) connection_->write(Http2Answer::reset());
  if (scene_.world.random.chance(0.5))
    connection_->reset_peer_end();
  else
    connection_->close_peer_end();
  user_.on_cut();
}

void EventClient::leave() {
  if (!std::exchange(live_, false)) return;
  headed_ = false;
  connection_->close_peer_end();
}

void EventClient::end(int status, bool cleanly) {
  if (headed_ && cleanly && !text_.empty()) user_.wrong("is left within an event: " + text_);
  scene_.world.trace("its stream ends%s, status %d", cleanly ? " in order" : "", status);
  leave();
  user_.on_end(status, cleanly);
}

void EventClient::on_change() {
  if (!live_ || std::exchange(reading_, true)) return;
  Random& random = scene_.world.random;
  uint64_t wait_ns = random.magnitude(1, 10 * kMillisecond);
  if (!scene_.settles && random.chance(manners_.rests)) {
    wait_ns = random.magnitude(kSecond, kRestNsMax);
    has_rested_ = true;
  }
  scene_.world.after(wait_ns, [this] { read(); });
}

void EventClient::read() {
  reading_ = false;
  if (!live_) return;
  std::string bytes = connection_->read(SIZE_MAX);
  std::string body;
  auto on_body = [&body](std::string_view piece) { body += piece; };
  bool has_head = false;
  bool complete = false;
  bool reset = false;
  if (http2_) {
    http2_->feed(bytes, on_body);
    out_ += http2_->take_owed();
    write();
    reset = http2_->state() == Http2Answer::State::kReset;
    complete = http2_->state() == Http2Answer::State::kComplete;
    has_head = !http2_->head().first_line.empty();
  } else {
    size_t taken = reader_.feed(bytes, on_body);
    if (reader_.state() == MessageReader::State::kBroken)
      user_.wrong("is sent " + reader_.what_is_wrong());
    if (taken < bytes.size()) user_.wrong("bytes behind the end");
    complete = reader_.state() == MessageReader::State::kComplete;
    has_head = complete || reader_.state() == MessageReader::State::kBody;
  }
  const MessageHead& head = http2_ ? http2_->head() : reader_.head();
  int status = has_head ? head.status() : 0;
  uint64_t connection = connections_;
  if (status == 200 && !headed_) begin(head);
  if (headed_) take(body);
  if (connection != connections_ || !live_) return;
  if (complete || reset || connection_->reset_at_peer() || connection_->finished_at_peer())
    end(status, complete);
}

void EventClient::begin(const MessageHead& head) {
  headed_ = true;
  ++scene_.answered;
  if (head.find("content-type") != "text/event-stream") user_.wrong("gets no event stream");
  if (auto coding = head.find("content-encoding")) {
    for (AppliedCoding known : {AppliedCoding::kGzip, AppliedCoding::kZstd, AppliedCoding::kBrotli})
      if (*coding == coding_name(known)) decoder_ = make_decoder(known, scene_.decoders);
    if (!decoder_) user_.wrong("gets a coding that is none: " + *coding);
  }
  user_.on_head(head);
}

void EventClient::take(std::string_view body) {
  if (decoder_) {
    std::array<char, 4096> room;
    for (bool more = true; more;) {
      Decoder::Step step = decoder_->decode(body, room);
      if (step.fault != DecodingFault::kNone) user_.wrong("a body that is not of its coding");
      text_.append(room.data(), step.written);
      body.remove_prefix(step.taken);
      more = step.written == room.size() || (!body.empty() && step.taken > 0);
    }
  } else {
    text_ += body;
  }
  uint64_t connection = connections_;
  for (size_t end;
       live_ && connection == connections_ && (end = text_.find("\n\n")) != text_.npos;) {
    std::string text = text_.substr(0, end + 2);
    text_.erase(0, end + 2);
    if (text != kHeartbeat) on_text(text);
  }
}

void EventClient::on_text(std::string_view text) {
  EventBlock block;
  for (std::string_view rest = text.substr(0, text.size() - 1); !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (line.starts_with("id: ")) {
      block.id = line.substr(4);
    } else if (line.starts_with("event: ")) {
      block.type = line.substr(7);
    } else if (line.starts_with("data: ")) {
      if (std::exchange(block.has_data, true)) block.data += '\n';
      block.data += line.substr(6);
    } else if (line.starts_with("retry: ")) {
      uint64_t ms = parse_decimal(line.substr(7)).value_or(0);
      if (ms < 1'000 || ms > 10'000) user_.wrong("is told to come back " + std::string(line));
      if (!process_ends()) user_.wrong("is sent away, and nothing ends");
    } else {
      user_.wrong("a line that is none of a hub's: " + std::string(line));
    }
  }
  if (block.has_data || !block.id.empty()) user_.on_block(block);
}

}  // namespace sluice::sim
