#include "net/demo/demo.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>

#include "core/text.h"
#include "net/demo/demo_openai.h"

namespace sluice {
namespace {

using Clock = HttpdResponder::Clock;

constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";
constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
constexpr double kRateMin = 0.001;  // events a second
constexpr double kRateMax = 100'000;
constexpr uint64_t kEventBytesMax = 256 * 1024;
constexpr uint64_t kPlainBytesMax = 64 * 1024 * 1024;
constexpr uint64_t kSlowMaxMs = 600'000;
// The most that is sent together if the timer is coarser than the rate, or the client was slow.
constexpr int kCatchUpEvents = 64;
constexpr size_t kCatchUpBytes = 64 * 1024;

// Reads query parameters, each within bounds; remembers whether one was not.
class Parameters {
 public:
  explicit Parameters(const HttpdRequest& request) : request_(request) {}

  uint64_t count(std::string_view name, uint64_t absent, uint64_t max) {
    auto text = request_.parameter(name);
    if (!text) return absent;
    auto value = parse_decimal(*text, max);
    if (!value) note_mistake(name);
    return value.value_or(absent);
  }

  double rate(std::string_view name, double absent) {
    auto text = request_.parameter(name);
    if (!text) return absent;
    auto value = parse_real(*text);
    if (value && *value >= kRateMin && *value <= kRateMax) return *value;
    note_mistake(name);
    return absent;
  }

  // True if a parameter was wrong; the request has then been answered.
  bool refused(const HttpdResponder& responder) const {
    if (!mistake_.empty()) responder.problem(400, mistake_);
    return !mistake_.empty();
  }

 private:
  void note_mistake(std::string_view name) {
    if (mistake_.empty())
      mistake_ = "A query parameter is out of bounds: " + std::string(name) + ".";
  }

  const HttpdRequest& request_;
  std::string mistake_;
};

int64_t unix_time_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// --- /events

struct EventStream {
  HttpdResponder responder;
  uint64_t next_id;
  uint64_t last_id;  // of the whole sequence
  uint64_t drop_id;  // the connection is cut after this one
  uint64_t data_bytes;
  Clock::duration period;
  Clock::time_point due;
  std::shared_ptr<const uint64_t> cuts;  // so far: another one is this stream's end
  uint64_t cuts_before;
};

// As an upstream that dies: within an event.
void cut(const EventStream& stream) {
  std::string event = demo_event(stream.next_id, stream.data_bytes, unix_time_ms());
  stream.responder.write(std::string_view(event).substr(0, event.size() / 2));
  stream.responder.abort();
}

void send_next_events(const std::shared_ptr<EventStream>& stream) {
  if (*stream->cuts != stream->cuts_before) return cut(*stream);
  uint64_t stop_id = std::min(stream->last_id, stream->drop_id);
  Clock::time_point now = Clock::now();
  std::string events;
  for (int i = 0; i < kCatchUpEvents && events.size() < kCatchUpBytes; ++i) {
    if (stream->due > now || stream->next_id > stop_id) break;
    events += demo_event(stream->next_id++, stream->data_bytes, unix_time_ms());
    stream->due += stream->period;
  }
  stream->responder.write(events);
  if (stream->next_id > stream->last_id) return stream->responder.end();
  if (stream->next_id > stream->drop_id) return stream->responder.abort();
  // A slow client has paused the stream. It does not get all missed events at once.
  stream->due = std::max(stream->due, now);
  stream->responder.at(stream->due, [stream] { send_next_events(stream); });
}

// The id to go on from: EventSource sends a header; a page that starts anew can only use the query.
// Any text but a number is no id of ours, so the sequence begins at its start.
uint64_t last_event_id(const HttpdRequest& request) {
  auto text = request.header("last-event-id");
  if (!text) text = request.parameter("last_event_id");
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max() - 1;
  return text ? parse_decimal(*text, kMax).value_or(0) : 0;
}

void serve_events(const HttpdRequest& request, const HttpdResponder& responder,
                  const std::shared_ptr<const uint64_t>& cuts) {
  Parameters parameters(request);
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  double rate = parameters.rate("rate", 20);
  auto data_bytes = parameters.count("size", 200, kEventBytesMax);
  auto count = parameters.count("count", 0, kMax);
  auto drop = parameters.count("drop", 0, kMax / 2);
  if (parameters.refused(responder)) return;

  uint64_t seen_id = last_event_id(request);
  if (count > 0 && seen_id >= count) {
    return responder.respond(204, "", "");  // tells an EventSource not to come back
  }
  auto period =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate));
  auto stream = std::make_shared<EventStream>(EventStream{
      .responder = responder,
      .next_id = seen_id + 1,
      .last_id = count > 0 ? count : kMax - 1,
      .drop_id = drop > 0 ? seen_id + drop : kMax - 1,
      .data_bytes = data_bytes,
      .period = std::max(period, Clock::duration(1)),
      .due = Clock::now(),
      .cuts = cuts,
      .cuts_before = *cuts,
  });
  responder.begin_stream(kEventStream, {{"Cache-Control", "no-cache"}});
  responder.write("retry: 1000\n\n");
  send_next_events(stream);
}

// --- endings and shapes

void serve_slow(const HttpdRequest& request, const HttpdResponder& responder) {
  Parameters parameters(request);
  auto delay_ms = parameters.count("ms", 1000, kSlowMaxMs);
  if (parameters.refused(responder)) return;
  responder.after_ms(delay_ms, [=] { responder.respond(200, kPlainText, "That was slow.\n"); });
}

void serve_truncate(const HttpdRequest&, const HttpdResponder& responder) {
  responder.begin_stream(kEventStream);
  responder.write("id: 1\ndata: whole\n\nid: 2\ndata: whole\n\nid: 3\ndata: cut in the mid");
  responder.abort();
}

void serve_plain(const HttpdRequest& request, const HttpdResponder& responder) {
  Parameters parameters(request);
  auto bytes = parameters.count("bytes", 1024, kPlainBytesMax);
  if (parameters.refused(responder)) return;
  std::string body(bytes, '\n');
  for (size_t i = 0; i < body.size(); ++i) {
    if (i % 64 != 63) body[i] = static_cast<char>('a' + (i / 64 + i) % 26);
  }
  responder.respond(200, kPlainText, body);
}

void serve_echo(const HttpdRequest& request, const HttpdResponder& responder) {
  responder.respond(200, "application/octet-stream", request.body);
}

void serve_page(const HttpdRequest&, const HttpdResponder& responder) {
  responder.respond(200, "text/html; charset=utf-8", kDemoPage,
                    {{"Cache-Control", "no-cache"},
                     {"Content-Security-Policy",
                      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                      "connect-src 'self'; img-src data:"}});
}

}  // namespace

DemoUpstream::DemoUpstream(const HttpdLimits& limits) : server_(limits) {
  server_.route("GET", "/", serve_page);
  auto cuts = std::make_shared<uint64_t>(0);
  server_.route("GET", "/events",
                [cuts](const HttpdRequest& request, const HttpdResponder& responder) {
                  serve_events(request, responder, cuts);
                });
  server_.route("POST", "/cut", [cuts](const HttpdRequest&, const HttpdResponder& responder) {
    ++*cuts;
    responder.respond(204, "", "");
  });
  server_.route("GET", "/slow", serve_slow);
  server_.route("GET", "/truncate", serve_truncate);
  server_.route("GET", "/plain", serve_plain);
  server_.route("POST", "/echo", serve_echo);
  add_openai_routes(server_);
}

std::string DemoUpstream::start(uint16_t port) {
  Address loopback;
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(loopback.sa());
  ipv4->sin_family = AF_INET;
  ipv4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ipv4->sin_port = htons(port);
  loopback.size = sizeof *ipv4;
  return server_.start(loopback, "sluice-demo");
}

std::string demo_event(uint64_t id, uint64_t data_bytes, int64_t time_ms) {
  std::string number = std::to_string(id);
  std::string data = R"({"sequence":)" + number + R"(,"time_ms":)" + std::to_string(time_ms);
  data += R"(,"fill":")";
  constexpr std::string_view kTail = "\"}";
  for (uint64_t i = 0; data.size() + kTail.size() < data_bytes; ++i) {
    data += static_cast<char>('a' + (id + i) % 26);
  }
  return "id: " + number + "\ndata: " + data.append(kTail) + "\n\n";
}

}  // namespace sluice
