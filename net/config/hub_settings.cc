// Which routes a hub answers, and what it keeps and takes.
#include <algorithm>

#include "net/base/limits.h"
#include "net/config/hub_source.h"
#include "net/config/setting_groups.h"

namespace sluice {
namespace {

constexpr size_t kNameBytesMax = 64;

Setting hub_setting() {
  return {
      .name = "hub",
      .scope = Scope::kRoute,
      .value_name = "NAME",
      .help =
          "The hub that answers here, in place of upstreams; routes that name the same one share "
          "it, and the first of them by path says what it keeps",
      .set = [](SettingTarget target, std::string_view text) -> std::string {
        bool plain = std::ranges::all_of(text, [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.';
        });
        if (!plain || text.empty() || text.size() > kNameBytesMax)
          return quoted(text) + " is no name of a hub: letters, digits, -, _ and ., at most 64";
        target.route.hub = text;
        return "";
      }};
}

Setting store_setting() {
  return {.name = "hub-store",
          .scope = Scope::kRoute,
          .value_name = "sqlite:FILE",
          .help =
              "Where the hub's events outlive the process: an SQLite file, which is made where "
              "there is none (docs/hub-store.md); it takes a restart to change",
          .set = [](SettingTarget target, std::string_view text) -> std::string {
            constexpr std::string_view kKind = "sqlite:";
            if (!text.starts_with(kKind) || text.size() == kKind.size())
              return quoted(text) + " is no store: sqlite:FILE";
            target.route.hub_store = text.substr(kKind.size());
            return "";
          }};
}

std::string origin_fault(std::string_view text) {
  if (text == "*") return "";
  bool has_scheme = text.starts_with("http://") || text.starts_with("https://");
  size_t host = text.find("//") + 2;
  bool plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  if (has_scheme && plain && host < text.size() && text.find_first_of("/?#*\"", host) == text.npos)
    return "";
  return quoted(text) + " is neither \"*\" nor an origin, such as https://app.example";
}

Setting cors_setting() {
  return {
      .name = "hub-cors",
      .scope = Scope::kStream,
      .form = Form::kList,
      .value_name = "ORIGIN,...",
      .help =
          "Origins of web pages that may use the hub (CORS), such as https://app.example, or * "
          "for any; none are named: pages of its own origin only. Within --route: + for the comma",
      .set =
          [](SettingTarget target, std::string_view given) {
            std::string text(given);
            std::ranges::replace(text, '+', ',');
            return each_item(text, [&](std::string_view item) {
              std::string wrong = origin_fault(item);
              if (wrong.empty()) target.route.hub_cors.emplace_back(item);
              return wrong;
            });
          },
      .clear = [](SettingTarget target) { target.route.hub_cors.clear(); }};
}

Setting source_setting() {
  return {
      .name = "hub-source",
      .scope = Scope::kRoute,
      .form = Form::kList,
      .value_name = "STREAM=URL[;OPTION]...",
      .help =
          "An upstream's event stream that a stream of the hub is fed from, over one connection; "
          "with the options of an https upstream. Repeat it for several streams",
      .set =
          [](SettingTarget target, std::string_view text) {
            HubSource source;
            std::string wrong = parse_hub_source(text, &source);
            if (wrong.empty()) target.route.hub_sources.push_back(std::move(source));
            return wrong;
          },
      .clear = [](SettingTarget target) { target.route.hub_sources.clear(); }};
}

}  // namespace

std::vector<Setting> hub_settings() {
  using S = StreamSettings;
  return {
      hub_setting(),
      number_setting("hub-history-bytes", &S::hub_history_bytes, kSize,
                     {64 * kKiB, 64 * kGiB, true},
                     "Memory for a hub's history, beside --pool-max; the oldest events go first"),
      number_setting("hub-history-events", &S::hub_history_events, kCount, {1, 100'000'000, true},
                     "Events in a hub's history; 0 = as many as its bytes allow"),
      number_setting("hub-history-age", &S::hub_history_age_ms, kTime, {1000, 365 * kDayMs, true},
                     "How long a hub keeps an event; 0 = as long as there is room"),
      number_setting("hub-stream-events", &S::hub_stream_events, kCount, {1, 100'000'000, true},
                     "Events that a hub keeps of each stream; 0 = any number"),
      number_setting("hub-stream-bytes", &S::hub_stream_bytes, kSize, {1 * kKiB, 64 * kGiB, true},
                     "Memory for the events of each stream, its newest kept; 0 = any"),
      number_setting("hub-streams", &S::hub_streams, kCount, {1, 10'000'000},
                     "Streams of a hub; a new one beyond takes the place of one without events, or "
                     "is refused (403)"),
      number_setting("hub-event-size", &S::hub_event_size, kSize, {64, 4 * kMiB},
                     "Largest event that a hub takes (413)"),
      number_setting("hub-rate", &S::hub_rate, kCount, {1, 10'000'000, true},
                     "Events a second that a hub takes, over all publishers (429); 0 = any number"),
      number_setting("hub-dedup-window", &S::hub_dedup_window_ms, kTime, {1000, kDayMs},
                     "How long a hub remembers Idempotency-Key and message ids"),
      store_setting(),
      choice_setting(
          "hub-ack", &S::hub_ack,
          Choices<HubAck>{{"disk", HubAck::kDisk}, {"memory", HubAck::kMemory}},
          "With a store: publishers are answered and subscribers served once an event is "
          "on the disk, or at once"),
      number_setting("hub-store-events", &S::hub_store_events, kCount, {1, 10'000'000'000, true},
                     "Events that the store keeps; 0 = any number"),
      number_setting("hub-store-bytes", &S::hub_store_bytes, kSize, {1 * kMiB, 1024 * kGiB, true},
                     "Size of the store's file, about, beyond which the oldest events go; 0 = any"),
      number_setting("hub-store-age", &S::hub_store_age_ms, kTime, {1000, 3650 * kDayMs, true},
                     "How long the store keeps an event; 0 = for ever"),
      number_setting("hub-lease", &S::hub_lease_ms, kTime, {1000, kDayMs},
                     "How long an event may wait for a group member's acknowledgement"),
      choice_setting("hub-access", &S::hub_access,
                     Choices<HubAccess>{{"all", HubAccess::kAll},
                                        {"read", HubAccess::kRead},
                                        {"publish", HubAccess::kPublish}},
                     "What clients of the route may do: read (subscribe, too), publish, or all"),
      source_setting(),
      choice_setting("hub-source-open", &S::hub_source_open,
                     Choices<HubSourceOpen>{{"subscribed", HubSourceOpen::kSubscribed},
                                            {"always", HubSourceOpen::kAlways}},
                     "When sources are read: while their streams have subscribers, or always"),
      number_setting("hub-source-linger", &S::hub_source_linger_ms, kTime, {1, kDayMs, true},
                     "How long a source is read on once its last subscriber has left"),
      cors_setting(),
      switch_setting("hub-cors-credentials", &S::hub_cors_credentials,
                     "Pages of the origins of --hub-cors may send cookies; not with *"),
  };
}

}  // namespace sluice
