// Those settings of which a route may have its own.
#include <algorithm>

#include "core/text.h"
#include "net/base/limits.h"
#include "net/config/setting_groups.h"

namespace sluice {
namespace {

constexpr Bounds kTcpKeepalive{1000, 9ULL * 3'600'000, true};  // the kernel's is 32767 s
constexpr Bounds kSocketBuffer{4 * kKiB, 64 * kMiB, true};

std::string parse_statuses(std::string_view given, Statuses* into) {
  std::string text(given);
  std::ranges::replace(text, '+', ',');
  Statuses statuses{};
  size_t count = 0;
  std::string wrong = text == "none" ? "" : each_item(text, [&](std::string_view item) {
    auto status = parse_decimal(item, 599);
    if (!status || *status < 400) return quoted(item) + " is not a status from 400 to 599";
    if (count == statuses.size()) return "more than " + std::to_string(count) + " statuses";
    statuses[count++] = static_cast<uint16_t>(*status);
    return std::string();
  });
  if (wrong.empty()) *into = statuses;
  return wrong;
}

Setting statuses_setting(std::string name, Statuses StreamSettings::*field, std::string help) {
  const StreamSettings defaults;
  std::vector<std::string> statuses;
  for (uint16_t status : defaults.*field)
    if (status != 0) statuses.push_back(std::to_string(status));
  return {.name = std::move(name),
          .scope = Scope::kStream,
          .value_name = "STATUS,...|none",
          .default_text = joined(statuses, ","),
          .help = std::move(help),
          .set = [field](SettingTarget target, std::string_view text) {
            return parse_statuses(text, &(target.route.settings.*field));
          }};
}

Setting balance_setting() {
  return {.name = "balance",
          .scope = Scope::kStream,
          .value_name = "METHOD",
          .default_text = "least",
          .help =
              "How a group shares requests out: least (the fewest outstanding for its weight), "
              "round-robin, random-two (the lesser of two), or the same upstream for the same "
              "hash:client, hash:path, hash:field:NAME or hash:cookie:NAME, as long as that has "
              "no more than 1.25 times its share",
          .set = [](SettingTarget target, std::string_view text) {
            return parse_balance(text, &target.route.settings.balance);
          }};
}

std::string parse_codings(std::string_view given, CodingOrder* into) {
  std::string text(given);
  std::ranges::replace(text, '+', ',');
  CodingOrder order{};
  size_t count = 0;
  std::string wrong = text == "off" ? "" : each_item(text, [&](std::string_view item) {
    if (item == "brotli") item = coding_name(ContentCoding::kBrotli);
    for (ContentCoding coding :
         {ContentCoding::kZstd, ContentCoding::kGzip, ContentCoding::kBrotli}) {
      if (item != coding_name(coding)) continue;
      if (std::ranges::find(order, coding) != order.end())
        return quoted(item) + " is there more than once";
      order[count++] = coding;
      return std::string();
    }
    return quoted(item) + " is not one of zstd, gzip, br";
  });
  if (wrong.empty()) *into = order;
  return wrong;
}

Setting compress_setting() {
  return {.name = "compress",
          .scope = Scope::kStream,
          .value_name = "CODING,...|off",
          .default_text = "off",
          .help =
              "Pack event streams and other texts for clients that accept it, in the coding that "
              "they weigh most (Accept-Encoding), and of those that they weigh alike in the first "
              "here: zstd, gzip, br; within --route: zstd+gzip",
          .set = [](SettingTarget target, std::string_view text) {
            return parse_codings(text, &target.route.settings.compress);
          }};
}

// The target of a probe's request line, so a query is welcome.
std::string set_health(SettingTarget target, std::string_view text) {
  std::string& path = target.route.settings.health;
  bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  if (text == "off" || text.empty()) {
    path.clear();
    return "";
  }
  if (!text.starts_with('/'))
    return quoted(text) + " is neither off nor a path, which starts with \"/\"";
  if (!printable || text.find('#') != text.npos)
    return quoted(text) + " holds what no request has: blanks, controls, # or bytes beyond ASCII";
  path = text;
  return "";
}

}  // namespace

std::vector<Setting> stream_settings() {
  using S = StreamSettings;
  constexpr Bounds kBuffer{kKiB, 64 * kMiB};
  return {
      number_setting("heartbeat", &S::heartbeat_ms, kTime, kTimeout,
                     "Send a comment line after this long without output on an event stream; 0 = "
                     "off"),
      number_setting("heartbeat-head-after", &S::heartbeat_head_after_ms, kTime, kTimeout,
                     "Start the heartbeat when the upstream has not answered a request for an "
                     "event stream for this long; commits a 200 before the upstream's status is "
                     "known; 0 = off"),
      number_setting("buffer-size", &S::buffer_size, kSize, kBuffer,
                     "Bytes that a stream may hold to begin with; beyond them its upstream waits"),
      number_setting("buffer-size-max", &S::buffer_size_max, kSize, kBuffer,
                     "Bytes to which a fast client's buffer grows"),
      number_setting("event-hold", &S::event_hold, kSize, kBuffer,
                     "Largest event that is held until it is whole; a longer one is sent on piece "
                     "by piece, without heartbeats inside it"),
      choice_setting("framing", &S::framing,
                     Choices<EventFraming>{{"event", EventFraming::kEvent},
                                           {"line", EventFraming::kLine},
                                           {"off", EventFraming::kOff}},
                     "What of an event stream is passed on at once: whole events, whole lines (for "
                     "streams without blank lines), or whatever arrives; heartbeats go only where "
                     "an event has ended"),
      number_setting(
          "pace", &S::pace_ms, kTime, {1, 10'000, true},
          "Least time between two reads of an event stream, so that what comes meanwhile "
          "leaves together; the first event, and one after a pause, is not delayed; 0 = "
          "read at once"),
      compress_setting(),
      number_setting("max-body-size", &S::max_body_size, kSize, {1, 1024 * kGiB, true},
                     "Largest request body, more is answered 413; 0 = unlimited"),
      choice_setting("half-close", &S::half_close, Choices<bool>{{"deny", false}, {"allow", true}},
                     "Whether a client that has shut down its sending side still gets its answer; "
                     "deny takes it as gone and cancels the upstream's request"),
      choice_setting(
          "retry-non-idempotent", &S::retry_non_idempotent,
          Choices<bool>{{"off", false}, {"on", true}},
          "Whether a POST or PATCH, too, is sent again where a kept-alive connection ends "
          "without an answer: its upstream may then have executed it twice"),
  };
}

std::vector<Setting> dialect_settings() {
  using S = StreamSettings;
  return {
      choice_setting("dialect", &S::dialect,
                     Choices<DialectChoice>{{"auto", DialectChoice::kAuto},
                                            {"none", DialectChoice::kNone},
                                            {"openai", DialectChoice::kOpenAi},
                                            {"responses", DialectChoice::kResponses},
                                            {"anthropic", DialectChoice::kAnthropic}},
                     "What event streams are taken for; auto: by path, request and first event"),
      choice_setting("heartbeat-form", &S::heartbeat_form,
                     Choices<HeartbeatForm>{{"auto", HeartbeatForm::kAuto},
                                            {"comment", HeartbeatForm::kComment},
                                            {"line", HeartbeatForm::kLine},
                                            {"event", HeartbeatForm::kEvent},
                                            {"chunk", HeartbeatForm::kChunk}},
                     "What a heartbeat is: a comment, an empty line, an event (ping), or a chunk "
                     "without choices, for OpenAI's; auto: a ping in Anthropic's dialect, else a "
                     "comment"),
      choice_setting("error-event", &S::error_event, Choices<bool>{{"on", true}, {"off", false}},
                     "Whether a stream that breaks says so in its dialect before it is aborted"),
      choice_setting("gate", &S::gate,
                     Choices<Gate>{{"off", Gate::kOff}, {"content", Gate::kContent}},
                     "Hold a dialect's stream until its first content, so that an error or an end "
                     "before it goes to another upstream, or is answered with a status"),
      number_setting("gate-time", &S::gate_time_ms, kTime, {1, kDayMs}, "For that long at most"),
  };
}

std::vector<Setting> health_settings() {
  using S = StreamSettings;
  constexpr Bounds kProbes{1, 100};
  return {
      {.name = "health",
       .scope = Scope::kStream,
       .value_name = "PATH|off",
       .default_text = "off",
       .help =
           "Ask each upstream for this path now and then, over a connection of its own, and leave "
           "out those that do not answer well; off: judge them by their requests alone",
       .set = set_health},
      number_setting("health-interval", &S::health_interval_ms, kTime, {100, kDayMs},
                     "From one probe of an upstream to the next, give or take a tenth"),
      number_setting("health-timeout", &S::health_timeout_ms, kTime, {1, kDayMs},
                     "For a probe, from its connect to the end of the answer's head"),
      number_setting("health-fail", &S::health_fail, kCount, kProbes,
                     "Bad probes in a row after which an upstream is left out"),
      number_setting("health-pass", &S::health_pass, kCount, kProbes,
                     "Good probes in a row after which it is back"),
      {.name = "health-status",
       .scope = Scope::kStream,
       .number = true,
       .value_name = "STATUS[-STATUS],...",
       .default_text = S{}.health_status.text(),
       .help = "Answers that make a probe a good one; within --route: 200+300-399",
       .set =
           [](SettingTarget target, std::string_view text) {
             return parse_status_ranges(text, &target.route.settings.health_status);
           }},
  };
}

std::vector<Setting> group_settings() {
  using S = StreamSettings;
  return {
      balance_setting(),
      number_setting(
          "eject-after", &S::eject_after, kCount, {1, 1000, true},
          "Requests in a row that an upstream of a group refuses, lets time out, breaks "
          "off before its head or answers 5xx until it is left out for a while; 0 = off"),
      number_setting("eject-time", &S::eject_time_ms, kTime, {100, limits::kEjectMsMax},
                     "For how long, the first time; twice as long each further time, up to 5m"),
      number_setting("slow-start", &S::slow_start_ms, kTime, kTimeout,
                     "Time over which the weight of an upstream grows after its return; 0 = off"),
  };
}

std::vector<Setting> recovery_settings() {
  using S = StreamSettings;
  return {
      choice_setting(
          "heal", &S::heal,
          Choices<Heal>{{"on", Heal::kOn}, {"off", Heal::kOff}, {"always", Heal::kAlways}},
          "Whether an event stream whose upstream breaks is kept, and resumed behind its last id "
          "(Last-Event-ID): those of GET requests, once an id has come; always: also after a "
          "clean end, until the upstream says 204"),
      number_setting("heal-for", &S::heal_for_ms, kTime, {1, kDayMs},
                     "How long a broken stream is kept before its client is told by an abort"),
      number_setting("heal-ids", &S::heal_ids, kCount, {1, 10'000},
                     "Ids that a stream remembers to drop what comes twice, in 16k bytes at most"),
      number_setting(
          "heal-rate", &S::heal_rate, kCount, {1, 1'000'000, true},
          "Reconnects of broken streams a second to one upstream, of all workers together; "
          "0 = unlimited"),
      choice_setting("gap-event", &S::gap_event, Choices<bool>{{"off", false}, {"on", true}},
                     "Whether a client is told by an event, sluice.gap, that its resumed stream "
                     "does not go on where it was"),
      number_setting("retries", &S::retries, kCount, {1, 64, true},
                     "Other upstreams of the group that a request is sent to, one after the other, "
                     "before its client has content; 0 = none"),
      statuses_setting("retry-on", &S::retry_on,
                       "Answers of an upstream after which another one of the group is asked, as "
                       "long as there is one and sending the request twice does no harm; within "
                       "--route: 502+503"),
      statuses_setting("retry-on-post", &S::retry_on_post,
                       "The same for a POST or PATCH, which must not be executed twice: answers "
                       "that say that the request has not been taken on"),
      number_setting(
          "retry-buffer", &S::retry_buffer, kSize, {1, kMiB, true},
          "Most of a request's body that is kept for a retry; 0 = only requests without a "
          "body are sent again"),
  };
}

std::vector<Setting> timeout_settings() {
  using S = StreamSettings;
  return {
      number_setting("header-timeout", &S::header_timeout_ms, kTime, kTimeout,
                     "For the head of a request to arrive; a connection's first one has the "
                     "default route's, later ones that of the route before; 0 = off"),
      number_setting("body-timeout", &S::body_timeout_ms, kTime, kTimeout,
                     "Without a byte of a request body that is due; 0 = off"),
      number_setting("connect-timeout", &S::connect_timeout_ms, kTime, kTimeout,
                     "To connect to an upstream; 0 = the kernel's"),
      number_setting("first-byte-timeout", &S::first_byte_timeout_ms, kTime, kTimeout,
                     "From the request to the upstream's first byte, then 504; 0 = off"),
      number_setting("stream-idle-timeout", &S::stream_idle_timeout_ms, kTime, kTimeout,
                     "Without a byte from the upstream (heartbeats do not count), then the stream "
                     "is aborted; 0 = off"),
      number_setting("write-timeout", &S::write_timeout_ms, kTime, kTimeout,
                     "Without progress on a client for which data waits, then it is dropped; 0 = "
                     "off"),
      number_setting("keepalive-timeout", &S::keepalive_timeout_ms, kTime, kTimeout,
                     "For a client connection between two requests; 0 = off"),
      number_setting("upstream-keepalive-timeout", &S::upstream_keepalive_timeout_ms, kTime,
                     kTimeout, "For an idle upstream connection; 0 = off"),
  };
}

std::vector<Setting> connection_settings() {
  using S = StreamSettings;
  return {
      number_setting(
          "upstream-max-connections", &S::upstream_max_connections, kCount, {1, 1'000'000, true},
          "Connections to one upstream of a route, from all workers together; further requests "
          "wait; 0 = unlimited"),
      number_setting("upstream-max-pending", &S::upstream_max_pending, kCount, {1, 1'000'000, true},
                     "Requests that wait for one of those connections, of all workers together; "
                     "further ones are answered 503 at once; 0 = unlimited"),
      number_setting("upstream-keepalive", &S::upstream_keepalive, kCount, {1, 100'000, true},
                     "Idle connections kept to one upstream of a route by one worker; 0 = none"),
      number_setting("upstream-rcvbuf", &S::upstream_rcvbuf, kSize, kSocketBuffer,
                     "SO_RCVBUF towards upstreams: what the kernel may hold for a stalled stream; "
                     "0 = the kernel's default"),
      choice_setting(
          "upstream-quickack", &S::upstream_quickack, Choices<bool>{{"auto", false}, {"on", true}},
          "Whether TCP acknowledges each event of an upstream at once: on, or auto, which "
          "lets acknowledgements be delayed while events come less than 40 ms apart"),
      number_setting("upstream-tcp-keepalive", &S::upstream_tcp_keepalive_ms, kTime, kTcpKeepalive,
                     "TCP keep-alive towards upstreams: silence after which the kernel asks "
                     "whether the peer is there; one that is not is noticed within about twice the "
                     "time, in whole seconds; 0 = off"),
      number_setting("client-tcp-keepalive", &S::client_tcp_keepalive_ms, kTime, kTcpKeepalive,
                     "The same towards clients; 0 = off"),
      number_setting("client-sndbuf", &S::client_sndbuf, kSize, kSocketBuffer,
                     "SO_SNDBUF towards clients; 0 = the kernel's default"),
      number_setting(
          "socket-buffer-max", &S::socket_buffer_max, kSize, kSocketBuffer,
          "Both of these buffers, where set and smaller, for an event stream whose client takes "
          "events as fast as they come; 0 = they do not grow"),
      number_setting("client-notsent-lowat", &S::client_notsent_lowat, kSize,
                     {kKiB, 64 * kMiB, true},
                     "TCP_NOTSENT_LOWAT towards clients: unsent bytes above which the kernel takes "
                     "no more; 0 = the kernel's default"),
  };
}

}  // namespace sluice
