#include "tests/sim/judge.h"

#include <algorithm>

#include "tests/sim/scene.h"

namespace sluice::sim {

namespace {

// Of two things that travel, one may take a quarter of its way's time longer; and completions are
// late.
constexpr uint64_t kEarlyNs = 80 * kMillisecond;
// There and back, and the turns in between.
constexpr uint64_t kLateNs = 400 * kMillisecond;
// What a small window, small slots and short sends take for so many bytes.
constexpr uint64_t kNsPerByte = 20 * kMicrosecond;
// Of a request that goes out again no more is kept.
constexpr size_t kReplayed = 16 * 1024;
// So much of a body is read whatever becomes of it: half of limits::kTightRequestWindow.
constexpr size_t kAlwaysRead = 8 * 1024;
constexpr uint64_t kOvertakenNs = 300 * kMillisecond;

std::string ms(uint64_t ns) {
  return std::to_string(ns / kMillisecond) + " ms";
}

}  // namespace

const StreamSettings& Judge::settings(const Script& script) const {
  return scene_.config->routes[script.route].settings;
}

// Connections to one of its upstreams are limited, by its own route or by another that names it.
bool Judge::limited(const Script& script) const {
  const std::vector<Route>& routes = scene_.config->routes;
  return std::ranges::any_of(routes, [&](const Route& route) {
    return route.settings.upstream_max_connections > 0 &&
           std::ranges::any_of(route.upstreams, [&](const Upstream& upstream) {
             return std::ranges::count(routes[script.route].upstreams, upstream.url,
                                       &Upstream::url) > 0;
           });
  });
}

const UpstreamTraits& Judge::worst(const Script& script) const {
  return scene_.worst[script.route];
}

Exchange& Judge::exchange(const Script& script) const {
  return scene_.exchanges[script.id];
}

void Judge::wrong(const Script& script, const std::string& what) const {
  violation("script " + std::to_string(script.id) + ": " + what);
}

void Judge::not_before(const Script& script, uint64_t since_ns, uint64_t timeout_ms,
                       const char* what) const {
  uint64_t now_ns = scene_.world.now_ns();
  if (timeout_ms == 0) wrong(script, std::string(what) + " strikes, and is off");
  // What came while the process stood still may not have been heard of yet, nor have left.
  const Kernel::StoodStill& last = scene_.kernel.stood_still();
  if (last.ended_ns != 0 && now_ns <= last.ended_ns + kLateNs)
    since_ns = std::min(since_ns, last.began_ns);
  if (now_ns + kEarlyNs >= since_ns + timeout_ms * kMillisecond) return;
  wrong(script, std::string(what) + " of " + std::to_string(timeout_ms) + " ms strikes after " +
                    ms(now_ns - since_ns));
}

void Judge::not_after(const Script& script, uint64_t since_ns, uint64_t timeout_ms,
                      const char* what) const {
  uint64_t now_ns = scene_.world.now_ns();
  if (!steady(script) || now_ns <= since_ns + timeout_ms * kMillisecond + kLateNs) return;
  wrong(script, std::string(what) + " of " + std::to_string(timeout_ms) +
                    " ms strikes only after " + ms(now_ns - since_ns));
}

// What it takes to get through is bounded.
bool Judge::steady(const Script& script) const {
  const Exchange& of = exchange(script);
  return scene_.punctual && !scene_.scarce && of.prompt && !of.behind && of.begun_ns() != 0 &&
         of.client->accepted_ns != 0;
}

bool Judge::cut_by_upstream(const Script& script) const {
  return !script.sound() || script.hangs_up_early || exchange(script).cut_ns != 0 || stale(script);
}

// A connection that had been kept alive may have ended, and what must not go out twice is lost.
bool Judge::stale(const Script& script) const {
  bool once = script.method == "POST" && !settings(script).retry_non_idempotent;
  return scene_.stale && (once || scene_.scarce || script.request_body.size() > kReplayed);
}

std::string_view Judge::excuse(const Script& script) const {
  const Exchange& of = exchange(script);
  const UpstreamTraits& traits = worst(script);
  if (stale(script)) return "stale connections";
  if (script.hangs_up_early) return "closed on unread bytes, which may reset its answer";
  if (!scene_.punctual) return "the process stood still";
  if (!scene_.sockets) return "no sockets";
  if (scene_.scarce) return "little memory";
  if (traits.refuses + traits.ignores > 0) return "an upstream that does not accept";
  if (!traits.reads()) return "an upstream that does not read";
  if (!of.prompt) return "a client that does not read";
  if (script.answers_early && of.trickles) return "lingering is not for ever";
  if (of.left) return "a client that left";
  if (of.denied) return "a FIN";
  if (of.early_head && (!script.event_stream || script.status != 200)) return "an early head";
  uint64_t max = settings(script).max_body_size;
  if (max > 0 && script.request_body.size() > max) return "a body that is too large";
  // What had come before is answered still.
  if (scene_.drains_ns != kNever) {
    if (!of.client || of.asked_ns == 0 || of.client->accepted_ns == 0 || of.behind)
      return "the drain";
    uint64_t arrived_ns = of.begun_ns() + of.client->latency_ns() * 2 + kEarlyNs;
    if (arrived_ns > scene_.drains_ns) return "the drain";
  }
  if (scene_.world.now_ns() > scene_.ends_ns) return "the end";
  if (!script.sound()) return kCut;
  return {};
}

// --- what upstreams see ---

// Who asked before, of the same route with one upstream, has reached it before, or soon does.
void Judge::on_reached(const Script& script) {
  const StreamSettings& of_route = settings(script);
  const UpstreamTraits& traits = worst(script);
  const Exchange& this_one = exchange(script);
  bool queues = limited(script) && scene_.config->routes[script.route].upstreams.size() == 1;
  bool plain = traits.refuses + traits.ignores == 0 && traits.reads() && !scene_.stale &&
               scene_.punctual && scene_.sockets;
  if (!queues || !plain || this_one.behind || this_one.tries > 1) return;
  uint64_t began_ns = std::max(this_one.begun_ns(), this_one.asked_ns);
  for (const Script& other : scene_.scripts) {
    const Exchange& one = exchange(other);
    if (other.route != script.route || one.behind || one.tries > 0 || one.head_written_ns == 0 ||
        one.left || one.fin || one.over || one.client->accepted_ns == 0)
      continue;
    uint64_t there_ns = std::max(one.begun_ns(), one.head_written_ns);
    if (there_ns + kOvertakenNs > began_ns) continue;
    uint64_t given_up_ns = there_ns + of_route.connect_timeout_ms * kMillisecond;
    if (scene_.world.now_ns() + kOvertakenNs > given_up_ns) continue;
    scene_.world.after(kOvertakenNs, [this, id = other.id, by = script.id, asked = one.asked_ns] {
      const Exchange& waits = scene_.exchanges[id];
      // What its client has not read yet may be that it is refused.
      const Pipe& to_client = waits.client->to_peer;
      bool gone = to_client.readable() + to_client.travelling() > 0 || waits.asked_ns != asked ||
                  waits.head_written_ns == 0 || waits.tries > 0 || waits.over || waits.left ||
                  waits.head_ns != 0;
      if (!gone && !scene_.scarce && !scene_.frozen && scene_.world.now_ns() < scene_.drains_ns &&
          !scene_.torn)
        wrong(scene_.scripts[id], "overtaken by script " + std::to_string(by));
    });
  }
}

// --- what clients see ---

void Judge::on_head(const Script& script, int status, bool ours, bool says_close) {
  Exchange& of = exchange(script);
  uint64_t now_ns = scene_.world.now_ns();
  of.head_ns = of.output_ns = now_ns;
  bool early = ours && status == 200;
  check_early_head(script, early);
  if (ours) return;
  if (of.tries == 0) wrong(script, "an answer that no upstream has given");
  if (!says_close && scene_.punctual && scene_.says_close_ns != kNever &&
      of.answered_ns > scene_.says_close_ns + kLateNs)
    wrong(script, "its connection is said to stay, though the end is near");
}

// It is there when it is due, unless something else was before.
void Judge::check_early_head(const Script& script, bool early) const {
  const Exchange& of = exchange(script);
  uint64_t after_ms = settings(script).heartbeat_head_after_ms;
  bool asks = script.wants_events && script.method != "HEAD";
  if (early) {
    if (!asks || after_ms == 0) wrong(script, "an early head that nobody asked for");
    not_before(script, of.asked_ns, after_ms, "heartbeat-head-after");
  }
  if (!asks || after_ms == 0 || !script.request_body.empty()) return;
  uint64_t head_late_ns = of.head_written_ns - of.asked_ns;
  if (head_late_ns < kEarlyNs)
    not_after(script, of.begun_ns(), after_ms,
              early ? "heartbeat-head-after" : "heartbeat-head-after (unseen)");
}

void Judge::on_output(const Script& script, bool heartbeat, bool at_boundary) {
  Exchange& of = exchange(script);
  bool first = of.early_head && of.output_ns == of.head_ns;
  if (heartbeat && !first && of.prompt && scene_.punctual)
    not_before(script, of.output_ns, settings(script).heartbeat_ms, "the heartbeat");
  if (heartbeat) check_silence(script, at_boundary);
  if (!heartbeat) check_delay(script);
  of.output_ns = scene_.world.now_ns();
}

// A client that has had nothing for long has been sent heartbeats, unless an event was on its way.
void Judge::check_silence(const Script& script, bool at_boundary) const {
  const Exchange& of = exchange(script);
  const StreamSettings& of_route = settings(script);
  bool framed = script.event_stream && of_route.framing != EventFraming::kOff;
  if (!framed || !at_boundary || of_route.heartbeat_ms == 0 || script.method == "HEAD") return;
  if (scene_.torn || script.too_long(of_route)) return;
  uint64_t due_ns = of.output_ns + of_route.heartbeat_ms * kMillisecond;
  // Bytes that had been sent and not passed on are a part of an event; a clean end was on its way.
  bool held = std::any_of(of.sent.begin(), of.sent.end(), [&](const Exchange::Sent& sent) {
    return sent.body_bytes > of.seen && sent.at_ns < due_ns;
  });
  if (!held) not_after(script, of.output_ns, of_route.heartbeat_ms, "the heartbeat");
}

// What is complete is passed on at once.
void Judge::check_delay(const Script& script) {
  Exchange& of = exchange(script);
  const StreamSettings& of_route = settings(script);
  uint64_t now_ns = scene_.world.now_ns();
  bool plain = steady(script) && !scene_.torn;
  size_t passed = of.seen;
  while (of.next_sent < of.sent.size()) {
    const Exchange::Sent& sent = of.sent[of.next_sent];
    // Of an event stream the last end of an event in these bytes counts.
    size_t whole = sent.body_bytes;
    if (script.event_stream) {
      auto end = std::upper_bound(script.boundaries.begin(), script.boundaries.end(), whole);
      whole = end == script.boundaries.begin() ? 0 : *(end - 1);
      if (script.marked && whole == kByteOrderMark.size()) whole = 0;
    }
    if (whole > passed) {
      uint64_t most_ns =
          kLateNs + 2 * of_route.pace_ms * kMillisecond + sent.on_its_way * kNsPerByte;
      if (plain && now_ns > sent.at_ns + most_ns + of.client->latency_ns())
        wrong(script, "what was complete at byte " + std::to_string(whole) + " is kept for " +
                          ms(now_ns - sent.at_ns));
      return;
    }
    if (sent.body_bytes > passed) return;
    ++of.next_sent;
  }
}

// Each of the gateway's own answers says why, and that is so.
void Judge::on_refused(const Script& script, int status, std::string_view body) {
  const Exchange& of = exchange(script);
  const StreamSettings& of_route = settings(script);
  const UpstreamTraits& traits = worst(script);
  auto says = [body](std::string_view detail) { return body.find(detail) != std::string::npos; };
  if (script.method == "HEAD") return;  // it has no body to say so
  bool right = false;
  switch (status) {
    case 408:
    case 504:
      on_timed_out(script, body);
      return;
    case 413:
      right = of_route.max_body_size > 0 && script.request_body.size() > of_route.max_body_size;
      break;
    case 502:
      right = (says("refused the connection") && traits.refuses > 0) ||
              (says("has no address") && scene_.names_fail) ||
              (says("not valid HTTP/1") && !script.sound()) ||
              ((says("without a whole response") || says("reset the connection")) &&
               cut_by_upstream(script));
      break;
    case 503:
      if (says("No upstream connection is free")) {
        right = limited(script) || !scene_.sockets;
        if (scene_.sockets)
          not_before(script, of.asked_ns, of_route.connect_timeout_ms, "the wait for a connection");
      } else {
        right =
            (says("no memory") && (scene_.scarce || !scene_.ample || scene_.kernel.ran_dry())) ||
            (says("shutting down") && scene_.world.now_ns() >= scene_.drains_ns);
      }
      break;
    default:
      break;
  }
  if (!right)
    wrong(script, "refused for no reason: " + std::to_string(status) + " " + std::string(body));
}

void Judge::on_timed_out(const Script& script, std::string_view body) const {
  const Exchange& of = exchange(script);
  const StreamSettings& of_route = settings(script);
  const UpstreamTraits& traits = worst(script);
  uint64_t now_ns = scene_.world.now_ns();
  auto says = [body](std::string_view detail) { return body.find(detail) != std::string::npos; };
  if (says("request's head did not arrive")) {
    not_before(script, of.asked_ns, of.header_timeout_ms, "header-timeout");
    not_after(script, of.begun_ns(), of.header_timeout_ms, "header-timeout");
  } else if (says("request's body did not arrive")) {
    uint64_t gap_ns = std::max(of.write_gap_ns, now_ns - of.last_written_ns);
    not_before(script, now_ns - gap_ns, of_route.body_timeout_ms, "body-timeout");
    bool flows = traits.reads() && of.upstream && script.request_body.size() < kAlwaysRead;
    if (flows && !script.expects && gap_ns == now_ns - of.last_written_ns)
      not_after(script, std::max(of.last_written_ns, of.begun_ns()), of_route.body_timeout_ms,
                "body-timeout");
  } else if (says("did not accept in time")) {
    if (traits.ignores == 0 && scene_.punctual && scene_.sockets)
      wrong(script, "all upstreams accept");
    not_before(script, of.asked_ns, of_route.connect_timeout_ms, "connect-timeout");
    if (!limited(script))
      not_after(script, std::max(of.begun_ns(), of.head_written_ns), of_route.connect_timeout_ms,
                "connect-timeout");
  } else if (says("did not answer in time")) {
    uint64_t since_ns = of.upstream ? of.upstream->last_send_ns : of.asked_ns;
    // The latest send may just not have been heard of.
    uint64_t gap_ns = of.upstream ? of.upstream->send_gap_ns : 0;
    not_before(script, std::min(since_ns, now_ns - std::min(now_ns, gap_ns)),
               of_route.first_byte_timeout_ms, "first-byte-timeout");
    if (of.upstream && !script.expects)
      not_after(script, since_ns, of_route.first_byte_timeout_ms, "first-byte-timeout");
  } else {
    wrong(script, "timed out for no reason: " + std::string(body));
  }
}

void Judge::on_aborted(const Script& script, bool at_boundary) {
  const Exchange& of = exchange(script);
  const StreamSettings& of_route = settings(script);
  uint64_t now_ns = scene_.world.now_ns();
  check_silence(script, at_boundary);
  uint64_t since_ns = of.last_sent_ns != 0 ? of.last_sent_ns : of.head_ns;
  // Of an upstream that stopped nothing but time tells.
  bool silent = script.ending == Script::Ending::kSilence && of.cut_ns == 0 && of.answered_ns != 0;
  if (silent)
    not_after(script, since_ns + of_route.pace_ms * kMillisecond, of_route.stream_idle_timeout_ms,
              "stream-idle-timeout");
  if (cut_by_upstream(script) && !silent) return;
  if (of.early_head && of.tries == 0 && limited(script)) {
    if (excuse(script).empty() || excuse(script) == kCut)
      not_before(script, of.asked_ns, of_route.connect_timeout_ms, "the wait for a connection");
    return;
  }
  if (!silent && !excuse(script).empty()) return;
  if (silent &&
      (!of.prompt || of.fin || of.left || !scene_.punctual || scene_.scarce || of.early_head ||
       now_ns > scene_.drains_ns || script.answers_early || script.request_body.size() > 0))
    return;
  uint64_t gap_ns = std::max(of.sent_gap_ns, now_ns - std::max(of.progress_ns, of.head_ns));
  if (of.early_head) gap_ns = std::max(gap_ns, now_ns - of.head_ns);
  // Behind an early head an upstream without one is silent since it was asked.
  if (of.early_head && of.upstream)
    gap_ns = std::max(gap_ns,
                      (of.answered_ns != 0 ? of.answered_ns : now_ns) - of.upstream->last_send_ns);
  uint64_t rest_ns = std::max(of.write_gap_ns, now_ns - of.last_written_ns);
  bool uploads = !script.request_body.empty();
  if (uploads && rest_ns + kEarlyNs >= of_route.body_timeout_ms * kMillisecond) return;
  not_before(script, now_ns - gap_ns, of_route.stream_idle_timeout_ms, "stream-idle-timeout");
}

}  // namespace sluice::sim
