#include "net/admin/watchers.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"
#include "net/base/tap.h"

namespace sluice {

namespace {

using Clock = HttpdResponder::Clock;

constexpr uint64_t kLookMs = 50;
constexpr std::chrono::seconds kSilence{15};  // then a comment shows that both are still there
// What is written at a time: more than the server has unsent before it pauses a stream.
constexpr size_t kWrittenAtOnce = size_t{128} * 1024;

// The part of streams that is asked for, of 2^32; nullopt: it is no such number.
std::optional<uint32_t> sample_of(const HttpdRequest& request) {
  auto text = request.parameter("sample");
  if (!text) return UINT32_MAX;
  std::optional<double> part = parse_real(*text);
  if (!part || !(*part > 0 && *part <= 1)) return std::nullopt;
  return static_cast<uint32_t>(*part * UINT32_MAX);
}

// Null: there is none.
const Route* route_of(const ConfigSnapshot& snapshot, const std::string& path) {
  auto route = std::ranges::find(snapshot.routes(), path, &Route::path);
  return route == snapshot.routes().end() ? nullptr : &*route;
}

void append_event(std::string& out, std::string_view type, std::string_view data) {
  out.append("event: sluice.tap.").append(type).append("\ndata: {").append(data).append("}\n\n");
}

std::string stream_member(uint64_t stream) {
  return "\"stream\":" + std::to_string(stream);
}

}  // namespace

struct Watchers::Watcher {
  struct Feed {
    std::shared_ptr<Tap> tap;
    uint64_t dropped_told = 0;
  };

  Watcher(const HttpdResponder& its_responder, bool one, std::shared_ptr<uint64_t> of)
      : responder(its_responder), of_one_stream(one), count(std::move(of)) {
    ++*count;
  }
  ~Watcher() {
    for (const Feed& feed : feeds) feed.tap->unwatched.store(true, std::memory_order_release);
    --*count;
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void tell_dropped(Feed& feed, uint64_t dropped) {
    if (dropped == feed.dropped_told) return;
    append_event(
        out, "dropped",
        "\"events\":" + std::to_string(dropped - std::exchange(feed.dropped_told, dropped)));
  }

  // What there is to be read, up to a bound. False: nothing more will come.
  bool read(Feed& feed) {
    bool over = feed.tap->over.load(std::memory_order_acquire);
    while (out.size() < kWrittenAtOnce && feed.tap->ring.read(record)) {
      TapRecord head{};
      std::memcpy(&head, record.data(), sizeof head);
      std::string_view text = std::string_view(record).substr(sizeof head);
      tell_dropped(feed, head.dropped);
      if (head.end) {
        append_event(out, "end",
                     stream_member(head.stream) + ",\"ending\":\"" + std::string(text) + '"');
        continue;
      }
      if (!of_one_stream && std::exchange(shown, head.stream) != head.stream)
        append_event(out, "stream", stream_member(head.stream));
      out += text;
    }
    if (!feed.tap->ring.empty()) return true;
    tell_dropped(feed, feed.tap->dropped.load(std::memory_order_acquire));
    return !over;
  }

  HttpdResponder responder;
  const bool of_one_stream;
  const std::shared_ptr<uint64_t> count;
  std::vector<Feed> feeds;
  size_t unanswered = 0;
  uint64_t shown = 0;  // the stream that the last event was of
  Clock::time_point written_at = Clock::now();
  std::string out;
  std::string record;
};

void Watchers::add(const HttpdRequest& request, const HttpdResponder& responder) {
  if (!snapshot_->config().tap) {
    responder.problem(403, "Taps show what streams carry, so they are off; --tap on allows them.");
    return;
  }
  if (*count_ >= most_) {
    responder.problem(503, "As many taps as there may be are open already.",
                      {{"Retry-After", "1"}});
    return;
  }
  auto stream_text = request.parameter("stream");
  auto route_path = request.decoded_parameter("route");
  std::optional<uint32_t> sample = sample_of(request);
  uint64_t stream = stream_text ? parse_decimal(*stream_text).value_or(0) : 0;
  if (!sample || stream_text.has_value() == route_path.has_value() ||
      (stream_text && stream == 0)) {
    responder.problem(
        400, "Name a stream (?stream=ID) or a route (?route=PATH, &sample=0.1 for a part of it).");
    return;
  }
  auto watcher = std::make_shared<Watcher>(responder, stream_text.has_value(), count_);
  if (stream != 0) {
    size_t worker = stream % limits::kWorkersMax;
    if (worker < workers_.size())
      ask(worker, watcher, std::make_shared<Tap>(stream, 0, UINT32_MAX));
  } else if (const Route* route = route_of(*snapshot_, *route_path)) {
    for (size_t i = 0; i < workers_.size(); ++i)
      ask(i, watcher, std::make_shared<Tap>(0, route->id, *sample, route->id_in_use));
  }
  if (watcher->unanswered == 0) {
    responder.problem(404, "There is no such stream or route; /streams lists them.");
    return;
  }
  // Holds the watcher until the workers have answered.
  responder.at(Clock::now() + answer_within_, [watcher] {
    watcher->responder.problem(503, "A worker did not answer in time.", {{"Retry-After", "1"}});
  });
}

void Watchers::ask(size_t worker, const std::shared_ptr<Watcher>& watcher,
                   std::shared_ptr<Tap> tap) {
  bool asked =
      workers_[worker]->post([this, tap, waits = std::weak_ptr(watcher)](Gateway& gateway) {
        TapAnswer answer = gateway.streams().add_tap(tap);
        server_.post([this, waits, answer] {
          if (std::shared_ptr<Watcher> asker = waits.lock()) on_answer(asker, answer);
        });
      });
  if (!asked) return;  // the worker has stopped
  watcher->feeds.push_back({std::move(tap)});
  ++watcher->unanswered;
}

void Watchers::on_answer(const std::shared_ptr<Watcher>& watcher, TapAnswer answer) const {
  const HttpdResponder& responder = watcher->responder;
  switch (answer) {
    case TapAnswer::kNoStream:
      responder.problem(404, "There is no such stream any more.");
      return;
    case TapAnswer::kNoEvents:
      responder.problem(409, "That is no stream of whole events.");
      return;
    case TapAnswer::kNoRoom:
      responder.problem(503, "Taps that have ended have not let go yet.", {{"Retry-After", "1"}});
      return;
    case TapAnswer::kWatching:
      break;
  }
  if (--watcher->unanswered > 0) return;
  responder.begin_stream("text/event-stream",
                         {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}});
  look(watcher);
}

void Watchers::look(const std::shared_ptr<Watcher>& watcher) const {
  bool more = false;
  watcher->out.clear();
  for (Watcher::Feed& feed : watcher->feeds) more |= watcher->read(feed);
  auto now = Clock::now();
  if (watcher->out.empty() && now - watcher->written_at >= kSilence)
    watcher->out = ": watching\n\n";
  if (!watcher->out.empty()) watcher->written_at = now;
  watcher->responder.write(watcher->out);
  if (more && snapshot_->config().tap)
    watcher->responder.after_ms(kLookMs, [this, watcher] { look(watcher); });
  else
    watcher->responder.end();
}

}  // namespace sluice
