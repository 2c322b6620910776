#include "tests/sim/dialects.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "net/filter/filters.h"
#include "tests/sim/checked_gateway.h"
#include "tests/sim/coded.h"
#include "tests/sim/http.h"
#include "tests/sim/weather.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kHeap = uint64_t{8} << 20;
constexpr uint64_t kNeverOpensMs = 3'600'000;
constexpr std::string_view kPing = "event: ping\ndata: {\"type\": \"ping\"}\n\n";  // the gateway's

enum class Plan : uint8_t {
  kComplete,
  kLate,       // goes on behind its last event
  kCut,        // anywhere
  kForgotten,  // ends cleanly without its last event
  kFails,      // says so
};

// What one server said to one request.
struct Answer {
  Plan plan = Plan::kComplete;
  std::vector<std::string> sent = {};
  std::vector<std::string> events = {};  // those that a client may see, behind filters
  size_t content_sent = 0;               // of those sent the first one that has any
  size_t content = 0;                    // of those seen; their number: none
  std::string_view coding = {};          // of the body
  std::string wire = {};
  size_t wire_content_from = 0;  // of it, when it may be readable
  size_t wire_content = 0;       // when it is
  size_t written = 0;
  bool waits = false;  // behind its first content, until the client has that
  bool ended = false;

  bool has_content() const { return content < events.size(); }
  bool content_begun() const { return has_content() && written >= wire_content_from; }
  bool content_written() const { return has_content() && written >= wire_content; }
};

struct LlmRequest {
  size_t number;
  uint64_t began_ns = 0;
  std::deque<Answer> answers = {};
  bool seen = false;  // content, by its client
  bool over = false;
};

struct LlmScene {
  World& world;
  StreamSettings settings;
  size_t servers;
  double fails;  // how likely an answer is no complete one
  bool filtered;
  std::deque<LlmRequest> requests = {};
};

std::string event_of(std::string_view type, std::string_view members = {}) {
  std::string text = "event: ";
  text.append(type).append("\ndata: {\"type\":\"").append(type).append("\"").append(members);
  return text.append("}\n\n");
}

// Drops pings, and marks what has content.
std::vector<FilterRule> filter_rules() {
  FilterRule pings{.name = "pings", .where = "here"};
  pings.events = {"ping"};
  pings.actions.push_back({FilterAction::Kind::kDrop, {}, "", "", {}, "here"});
  FilterRule marks{.name = "marks", .where = "here"};
  marks.events = {"content_block_delta"};
  marks.actions.push_back({FilterAction::Kind::kSet, "/delta/seen", "true", "", {}, "here"});
  return {pings, marks};
}

// What these rules make of an event, told without looking at how they do it. Empty: nothing.
std::string filtered(const std::string& event) {
  if (event.starts_with("event: ping\n")) return {};
  if (!event.starts_with("event: content_block_delta\n")) return event;
  size_t end = event.rfind("}}");
  return event.substr(0, end) + ",\"seen\":true" + event.substr(end);
}

Answer make_answer(LlmScene& scene, const LlmRequest& request) {
  Random& random = scene.world.random;
  Answer answer{.plan = random.chance(scene.fails) ? static_cast<Plan>(random.between(1, 4))
                                                   : Plan::kComplete};
  std::string name = std::to_string(request.number) + "." + std::to_string(request.answers.size());
  auto& events = answer.sent;
  events.push_back(event_of("message_start", ",\"message\":{\"id\":\"" + name + "\"}"));
  if (random.chance(0.5)) events.push_back(event_of("ping"));
  if (random.chance(0.7)) events.push_back(event_of("content_block_start", ",\"index\":0"));
  size_t deltas = random.magnitude(0, 8);
  answer.content_sent = deltas > 0 ? events.size() : SIZE_MAX;
  for (size_t i = 0; i < deltas; ++i)
    events.push_back(
        event_of("content_block_delta", ",\"delta\":{\"text\":\"" + std::to_string(i) + '/' +
                                            std::string(random.magnitude(1, 400), 'x') + "\"}"));
  if (answer.plan == Plan::kFails)
    events.push_back(event_of("error", ",\"error\":{\"type\":\"overloaded_error\"}"));
  if (answer.plan <= Plan::kCut) events.push_back(event_of("message_stop"));
  answer.content = SIZE_MAX;
  for (const std::string& sent : answer.sent) {
    if (&sent - answer.sent.data() == static_cast<ptrdiff_t>(answer.content_sent))
      answer.content = answer.events.size();
    std::string event = scene.filtered ? filtered(sent) : sent;
    if (!event.empty()) answer.events.push_back(std::move(event));
  }
  answer.content = std::min(answer.content, answer.events.size());
  if (random.chance(0.4)) answer.coding = random.chance(0.5) ? "gzip" : "zstd";
  answer.waits = answer.plan != Plan::kCut && deltas > 0 && random.chance(0.5);
  return answer;
}

// One request a connection.
class LlmServer final : public Peer {
 public:
  LlmServer(LlmScene& scene, std::shared_ptr<Connection> connection)
      : scene_(scene), connection_(std::move(connection)) {
    connection_->peer = this;
    reader_.begin(false);
  }

  void on_change() override {
    if (closed_ || std::exchange(reading_, true)) return;
    scene_.world.after(scene_.world.random.magnitude(1, 5 * kMillisecond), [this] { read(); });
  }

 private:
  void read() {
    reading_ = false;
    if (closed_) return;
    reader_.feed(connection_->read(SIZE_MAX), [](std::string_view) {});
    if (reader_.state() == MessageReader::State::kComplete && !answer_) begin();
    if (connection_->reset_at_peer() || connection_->finished_at_peer()) close(false);
  }

  void begin() {
    std::string target = reader_.head().target();
    auto number = parse_decimal(std::string_view(target).substr(target.rfind('q') + 1));
    if (!number || *number >= scene_.requests.size()) violation("an upstream was sent " + target);
    request_ = &scene_.requests[*number];
    answer_ = &request_->answers.emplace_back(make_answer(scene_, *request_));
    if (request_->answers.size() > scene_.settings.retries + 1)
      violation("a request is tried too often");
    Random& random = scene_.world.random;
    answer_->wire =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";
    if (!answer_->coding.empty()) {
      packer_ = std::make_unique<BodyPacker>(answer_->coding);
      answer_->wire.append("content-encoding: ").append(answer_->coding).append("\r\n");
    }
    answer_->wire += "\r\n";
    for (size_t i = 0; i < answer_->sent.size(); ++i) {
      size_t from = answer_->wire.size();
      add(answer_->sent[i]);
      if (i == answer_->content_sent) {
        answer_->wire_content = answer_->wire.size() - 2;  // its CRLF
        // What is packed can be read before the end of its flush.
        answer_->wire_content_from = packer_ ? from : answer_->wire_content;
      }
      if (random.chance(0.1)) add(": comment\n\n");
    }
    if (answer_->plan == Plan::kLate) add(event_of("content_block_delta", ",\"late\":1"));
    if (answer_->plan == Plan::kCut) {
      answer_->wire.resize(random.between(0, answer_->wire.size()));
    } else {
      if (packer_) add_chunk(packer_->pack({}, /*ends=*/true));
      answer_->wire += "0\r\n\r\n";
    }
    scene_.world.after(random.magnitude(1, 100 * kMillisecond), [this] { step(); });
  }

  void add(std::string_view bytes) {
    if (packer_)
      add_chunk(packer_->pack(bytes, /*ends=*/false));
    else
      add_chunk(bytes);
  }

  void add_chunk(std::string_view bytes) {
    while (!bytes.empty()) {
      size_t size = scene_.world.random.magnitude(1, bytes.size());
      char line[24];
      std::snprintf(line, sizeof(line), "%zx\r\n", size);
      answer_->wire.append(line).append(bytes.substr(0, size)).append("\r\n");
      bytes.remove_prefix(size);
    }
  }

  void step() {
    if (closed_) return;
    Random& random = scene_.world.random;
    size_t until = answer_->waits && !request_->seen && !request_->over ? answer_->wire_content
                                                                        : answer_->wire.size();
    if (answer_->written < until) {
      size_t size = random.magnitude(1, until - answer_->written);
      answer_->written +=
          connection_->write(std::string_view(answer_->wire).substr(answer_->written, size));
    }
    if (answer_->written == answer_->wire.size()) {
      answer_->ended = true;
      close(answer_->plan == Plan::kCut && random.chance(0.5));
      return;
    }
    scene_.world.after(random.magnitude(1, 20 * kMillisecond), [this] { step(); });
  }

  void close(bool reset) {
    if (std::exchange(closed_, true)) return;
    if (reset)
      connection_->reset_peer_end();
    else
      connection_->close_peer_end();
  }

  LlmScene& scene_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{false};
  LlmRequest* request_ = nullptr;
  Answer* answer_ = nullptr;
  std::unique_ptr<BodyPacker> packer_;
  bool reading_ = false;
  bool closed_ = false;
};

class LlmClient final : public Peer {
 public:
  LlmClient(LlmScene& scene, Kernel& kernel, int listener, LlmRequest& request,
            const Metrics& metrics)
      : scene_(scene), request_(request), metrics_(metrics), denied_(metrics.retries_denied) {
    Random& random = scene.world.random;
    request.began_ns = scene.world.now_ns();
    connection_ = std::make_shared<Connection>(scene.world, random.magnitude(1, 10 * kMillisecond),
                                               random.magnitude(2000, 200'000));
    connection_->peer = this;
    reader_.begin(false);
    kernel.connect_client(listener, connection_);
    connection_->write("POST /v1/messages?q" + std::to_string(request.number) +
                       " HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n" +
                       std::string(random.chance(0.5)   ? ""
                                   : random.chance(0.5) ? "Accept-Encoding: gzip\r\n"
                                                        : "Accept-Encoding: zstd, gzip\r\n") +
                       "Content-Length: 15\r\n\r\n{\"stream\":true}");
    if (random.chance(0.1))
      scene.world.after(random.magnitude(1, 2 * kSecond), [this] { leave(); });
  }

  void on_change() override {
    if (request_.over || std::exchange(reading_, true)) return;
    scene_.world.after(scene_.world.random.magnitude(1, 10 * kMillisecond), [this] { read(); });
  }

  bool whole() const { return whole_; }
  bool refused() const { return refused_; }
  // Of the model's text, so far.
  uint64_t text_bytes() const { return text_bytes_; }

 private:
  void leave() {
    if (std::exchange(request_.over, true)) return;
    connection_->close_peer_end();
  }

  // What can be read of a body, however it comes.
  void take(std::string_view bytes) {
    coding_ = reader_.head().find("content-encoding").value_or("");
    if (coding_.empty()) {
      body_ += bytes;
      return;
    }
    if (!unpacker_) unpacker_ = std::make_unique<BodyUnpacker>(coding_);
    if (!unpacker_->unpack(bytes, body_)) violation(name() + " is sent what is no " + coding_);
  }

  void read() {
    reading_ = false;
    if (request_.over) return;
    reader_.feed(connection_->read(SIZE_MAX), [this](std::string_view bytes) { take(bytes); });
    if (reader_.state() == MessageReader::State::kBroken)
      violation("a client was sent " + reader_.what_is_wrong());
    bool started = reader_.state() != MessageReader::State::kHead;
    if (started && reader_.head().status() == 200) take_events();
    whole_ = reader_.state() == MessageReader::State::kComplete;
    if (!whole_ && !connection_->reset_at_peer() && !connection_->finished_at_peer()) return;
    request_.over = true;
    connection_->close_peer_end();
    if (!started) violation(name() + " gets no answer");
    refused_ = reader_.head().status() != 200;
    if (refused_)
      judge_refusal();
    else
      judge_end();
  }

  std::string name() const { return "request " + std::to_string(request_.number); }

  // Whole events only, without what keeps the stream alive.
  void take_events() {
    for (size_t end; (end = body_.find("\n\n")) != body_.npos; body_.erase(0, end + 2)) {
      std::string event = body_.substr(0, end + 2);
      // A comment passes at its line's end, so ours may stand between that and its empty line.
      while (event.starts_with(':') || event.starts_with('\n'))
        event.erase(0, event.find('\n') + 1);
      if (event.empty() || event == kPing) continue;
      if (told_) violation(name() + " is told more behind an error of ours: " + event);
      if (events_ == 0) find_answer(event);
      if (!answer_ || events_ >= answer_->events.size() || answer_->events[events_] != event) {
        if (!event.starts_with("event: error\n")) violation(name() + " is told " + event);
        told_ = true;
        continue;
      }
      bool early = scene_.settings.heartbeat_head_after_ms != 0;
      bool gated =
          scene_.settings.gate == Gate::kContent && scene_.settings.gate_time_ms == kNeverOpensMs;
      bool over = answer_->content == answer_->events.size();
      if (gated && !early && !over && !answer_->content_begun())
        violation(name() + " sees an event before there is content");
      if (events_++ == answer_->content) request_.seen = true;
      constexpr std::string_view kText = "\"text\":\"";
      if (size_t text = event.find(kText); text != event.npos)
        text_bytes_ += event.find('"', text + kText.size()) - text - kText.size();
    }
  }

  void find_answer(const std::string& event) {
    auto is_its = [&](const Answer& answer) { return answer.events.front() == event; };
    auto found = std::ranges::find_if(request_.answers, is_its);
    answer_ = found == request_.answers.end() ? nullptr : &*found;
  }

  bool is_last_of_answer() const { return answer_ && events_ == answer_->events.size(); }

  void judge_end() const {
    if (!body_.empty() && body_ != "\n" && body_ != ": comment\n")
      violation(name() + " is left within an event: " + body_);
    if (whole_ && unpacker_ && !unpacker_->at_end())
      violation(name() + " gets the end of a body, and not of what it is packed in");
    // zstd's frames may end within a body.
    if (!whole_ && unpacker_ && unpacker_->at_end() && coding_ == "gzip")
      violation(name() + " is sent a whole body, and it is aborted");
    bool complete = is_last_of_answer() && answer_->plan <= Plan::kCut;
    bool failed = is_last_of_answer() && answer_->plan == Plan::kFails;
    if (whole_ && !complete && !failed) violation(name() + " takes a part for the whole");
    if (!whole_ && complete) violation(name() + " has all, and its end is an abort");
    if (!whole_ && answer_ && answer_->ended && answer_->plan < Plan::kCut)
      violation(name() + " is aborted, though its upstream has said all");
    if (told_ && whole_) violation(name() + " is told of an error, and ends well");
    if (!whole_ && !told_ && !failed && scene_.settings.error_event)
      violation(name() + " is not told why it is aborted");
    if (told_ && !scene_.settings.error_event) violation(name() + " is told by an event");
    if (failed && answer_->content == answer_->events.size() - 1) return;
    bool early_error = failed && answer_->content == answer_->events.size();
    size_t most = std::min<size_t>(scene_.servers, scene_.settings.retries + 1);
    bool gated =
        scene_.settings.gate == Gate::kContent && scene_.settings.gate_time_ms == kNeverOpensMs;
    if (early_error && gated && metrics_.retries_denied == denied_ &&
        request_.answers.size() < most)
      violation(name() + " gets an error before content, and nobody else was asked");
  }

  void judge_refusal() const {
    for (const Answer& answer : request_.answers)
      if (answer.content_written() && answer.plan != Plan::kCut)
        violation(name() + " is refused, and an answer with content was there");
  }

  LlmScene& scene_;
  LlmRequest& request_;
  const Metrics& metrics_;
  uint64_t denied_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  std::string body_;
  std::string coding_;
  std::unique_ptr<BodyUnpacker> unpacker_;
  const Answer* answer_ = nullptr;
  size_t events_ = 0;
  uint64_t text_bytes_ = 0;
  bool told_ = false;
  bool whole_ = false;
  bool refused_ = false;
  bool reading_ = false;
};

StreamSettings make_settings(Random& random) {
  StreamSettings settings;
  settings.dialect = random.chance(0.5) ? DialectChoice::kAuto : DialectChoice::kAnthropic;
  settings.gate = random.chance(0.7) ? Gate::kContent : Gate::kOff;
  settings.gate_time_ms = random.chance(0.5) ? kNeverOpensMs : random.magnitude(10, 3'000);
  settings.error_event = random.chance(0.9);
  settings.retries = random.between(0, 2);
  settings.retry_non_idempotent = random.chance(0.5);
  settings.eject_after = 0;
  settings.heartbeat_ms = random.chance(0.5) ? random.magnitude(20, 1'000) : 0;
  if (random.chance(0.2)) settings.heartbeat_head_after_ms = random.magnitude(10, 500);
  settings.connect_timeout_ms = settings.first_byte_timeout_ms = 20'000;
  settings.stream_idle_timeout_ms = 60'000;
  settings.usage = random.chance(0.5);
  // So that what is packed waits where it came in.
  if (random.chance(0.3))
    settings.buffer_size = settings.buffer_size_max = random.magnitude(300, 4'000);
  if (random.chance(0.5)) settings.drain_for_usage_ms = random.magnitude(10, 5'000);
  if (random.chance(0.6)) settings.compress = {ContentCoding::kZstd, ContentCoding::kGzip};
  return settings;
}

// Each request has its record, and what a client was given is booked, however its stream ended.
void judge_usage(const UsageCounts& counts,
                 const std::vector<std::unique_ptr<LlmClient>>& clients) {
  uint64_t requests = 0;
  uint64_t tokens = 0;
  for (const ModelCounts& model : counts.models) {
    for (uint64_t count : model.requests) requests += count;
    tokens += model.tokens[static_cast<unsigned>(TokenKind::kOutput)];
  }
  uint64_t least = 0;
  for (const auto& client : clients) least += estimated_tokens(client->text_bytes());
  if (requests != clients.size())
    violation(std::to_string(requests) + " records of usage for " + std::to_string(clients.size()) +
              " requests");
  if (tokens < least)
    violation(std::to_string(tokens) + " tokens are booked, and clients had " +
              std::to_string(least));
}

}  // namespace

SimulationReport simulate_dialects(uint64_t seed, bool traced) {
  World world(~seed * 7, traced);
  Random& random = world.random;
  Weather weather = make_weather(random);
  Liberties& liberties = weather.kernel;
  liberties.no_outages();
  Kernel kernel(world, liberties);
  Config config;
  Route route{.path = "/", .upstreams = {}, .settings = make_settings(random)};
  for (uint64_t i = random.between(1, 3); i > 0; --i) {
    Address address = *parse_address("127.0.0.1:" + std::to_string(kFirstPort + i), nullptr);
    route.upstreams.push_back({"http://" + address.text(), address.text(), address});
  }
  bool filtered = random.chance(0.5);
  if (filtered) {
    config.filters = filter_rules();
    std::string wrong;
    route.filters = std::make_shared<Filters>(
        config.filters, std::vector<const FilterRule*>{&config.filters[0], &config.filters[1]}, 1,
        wrong);
    SLUICE_CHECK(wrong.empty());
  }
  config.routes.push_back(route);
  config.defaults = route.settings;
  config.listen.push_back(*parse_address("127.0.0.1:8080", nullptr));
  CheckedGateway gateway(world, kernel, config, make_features(random), 100'000, kHeap);
  LlmScene scene{.world = world,
                 .settings = route.settings,
                 .servers = route.upstreams.size(),
                 .fails = random.chance(0.5) ? 0.3 : 0.9,
                 .filtered = filtered};
  std::vector<std::unique_ptr<LlmServer>> servers;
  kernel.on_connect = [&](uint16_t) -> Kernel::Answer {
    auto connection = std::make_shared<Connection>(world, random.magnitude(1, 10 * kMillisecond),
                                                   random.magnitude(1000, 200'000));
    servers.push_back(std::make_unique<LlmServer>(scene, connection));
    return {connection, false};
  };
  std::vector<std::unique_ptr<LlmClient>> clients;
  for (uint64_t i = random.magnitude(1, 12); i > 0; --i) {
    LlmRequest& request = scene.requests.emplace_back(LlmRequest{.number = scene.requests.size()});
    clients.push_back(
        std::make_unique<LlmClient>(scene, kernel, gateway.listener(), request, gateway.metrics()));
  }
  constexpr uint64_t kBoundNs = 600 * kSecond;
  while (!std::ranges::all_of(scene.requests, &LlmRequest::over)) {
    gateway.turn();
    if (world.now_ns() > scene.requests.front().began_ns + kBoundNs)
      violation("a client waits for longer than all its time-outs");
  }
  SimulationReport report;
  for (const auto& client : clients) {
    ++report.requests;
    report.refused += client->refused() ? 1 : 0;
    report.complete += client->whole() && !client->refused() ? 1 : 0;
  }
  report.aborted = report.requests - report.complete - report.refused;
  gateway.run_until_idle(scene.requests.size() + 3);
  if (scene.settings.usage) judge_usage(gateway.metrics().usage, clients);
  report.turns = gateway.turns();
  gateway.stop();
  return report;
}

}  // namespace sluice::sim
