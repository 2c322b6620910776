#include "net/config/config.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "core/text.h"
#include "core/units.h"
#include "net/base/limits.h"
#include "net/base/version.h"
#include "net/config/check.h"
#include "net/config/hub_source.h"
#include "net/config/source.h"

namespace sluice {
namespace {

std::string counted(size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// A route that is being put together, and where each of its settings came from, latest last.
struct Draft {
  Route route;
  std::string where;
  std::vector<std::pair<std::string, std::string>> origins;
};

const Assignment* find_last(const Source& source, std::string_view name) {
  const Assignment* last = nullptr;
  for (const Assignment& assignment : source.assignments) {
    if (assignment.setting->name == name) last = &assignment;
  }
  return last;
}

bool switched_on(const Source& source, std::string_view name) {
  const Assignment* last = find_last(source, name);
  if (last == nullptr || last->text == "off") return false;
  if (last->text != "on")
    throw ConfigError(last->where, "'" + last->text + "' is neither on nor off");
  return true;
}

void apply(const std::vector<Assignment>& assignments, Config& config, Draft& draft) {
  SettingTarget target{config, draft.route};
  for (const Assignment& assignment : assignments) {
    if (assignment.setting->clear) assignment.setting->clear(target);
  }
  for (const Assignment& assignment : assignments) {
    if (!assignment.setting->set) continue;
    // The file's strings may have some, which would end a path early.
    if (assignment.text.find('\0') != std::string::npos)
      throw ConfigError(assignment.where, "a value has no zero bytes");
    std::string wrong = assignment.setting->set(target, assignment.text);
    if (!wrong.empty()) throw ConfigError(assignment.where, wrong);
    draft.origins.emplace_back(assignment.setting->name, assignment.where);
  }
}

// The place of whichever of these was set last: the one to look at when they do not fit.
std::string origin(const Draft& draft, std::initializer_list<std::string_view> names) {
  for (auto it = draft.origins.rbegin(); it != draft.origins.rend(); ++it) {
    if (std::ranges::find(names, it->first) != names.end()) return it->second;
  }
  return draft.where;
}

void check_order(const Draft& draft, const char* low_name, uint64_t low, const char* high_name,
                 uint64_t high, std::string (*format)(uint64_t) = format_size) {
  if (low <= high) return;
  throw ConfigError(origin(draft, {low_name, high_name}),
                    std::string(low_name) + " (" + format(low) + ") is more than " + high_name +
                        " (" + format(high) + ")");
}

void check_filters(Draft& draft) {
  const std::vector<std::string>& names = draft.route.filter_names;
  draft.route.filters_where = origin(draft, {"filters"});
  if (names.size() > limits::kFiltersMax)
    throw ConfigError(draft.route.filters_where,
                      "a route has at most " + std::to_string(limits::kFiltersMax) + " filters");
  if (!names.empty() && draft.route.settings.framing != EventFraming::kEvent)
    throw ConfigError(origin(draft, {"filters", "framing"}),
                      "filters look at whole events, so they need framing event");
}

void check_dialect(const Draft& draft) {
  const StreamSettings& s = draft.route.settings;
  if (s.framing == EventFraming::kEvent) return;
  bool named = s.dialect != DialectChoice::kAuto && s.dialect != DialectChoice::kNone;
  if (named || s.gate != Gate::kOff)
    throw ConfigError(origin(draft, {"dialect", "gate", "framing"}),
                      "dialects are made of whole events, so they need framing event");
}

void check_stream(Draft& draft) {
  const StreamSettings& s = draft.route.settings;
  check_filters(draft);
  check_dialect(draft);
  check_order(draft, "buffer-size", s.buffer_size, "buffer-size-max", s.buffer_size_max);
  check_order(draft, "buffer-size", s.buffer_size, "event-hold", s.event_hold);
}

void check_group(const Draft& draft) {
  const std::vector<Upstream>& group = draft.route.upstreams;
  if (group.size() > limits::kUpstreamsMax)
    throw ConfigError(
        origin(draft, {"upstream"}),
        "a route has at most " + std::to_string(limits::kUpstreamsMax) + " upstreams");
  if (!group.empty() && std::ranges::all_of(group, &Upstream::backup))
    throw ConfigError(origin(draft, {"upstream"}),
                      "a route needs an upstream that is no backup for others");
}

void check_pool(const Draft& defaults, const Config& config) {
  const PoolSettings& sse = config.pool_sse_event;
  const PoolSettings& http = config.pool_http_message;
  uint64_t first_bytes = sse.slot_bytes * sse.slots + http.slot_bytes * http.slots;
  uint64_t most = config.pool_max - config.pool_max / limits::kHeapFraction;
  if (first_bytes <= most) return;
  throw ConfigError(origin(defaults, {"pool-max", "pool-sse-event", "pool-http-message"}),
                    "pool-sse-event and pool-http-message start with " + format_size(first_bytes) +
                        ", which is more than pool-max (" + format_size(config.pool_max) +
                        ") less its " + std::to_string(limits::kHeapFraction) +
                        "th part for heads, " + format_size(most));
}

void check_ports(const Draft& defaults, const Config& config) {
  std::string wrong = colliding_listeners(config);
  if (!wrong.empty()) throw ConfigError(origin(defaults, {"listen"}), wrong);
  wrong = colliding_admin(config);
  if (!wrong.empty()) throw ConfigError(origin(defaults, {"listen", "admin"}), wrong);
}

// Each certificate has its key, and there is one where it is needed.
void check_tls(const Draft& defaults, Config& config) {
  size_t certs = config.tls_cert_files.size();
  size_t keys = config.tls_key_files.size();
  if (certs != keys)
    throw ConfigError(origin(defaults, {"tls-cert", "tls-key"}),
                      counted(certs, "certificate") + " and " + counted(keys, "key") +
                          "; give a tls-key for each tls-cert, in the same order");
  for (size_t i = 0; i < certs; ++i)
    config.tls_keys.push_back({config.tls_cert_files[i], config.tls_key_files[i]});
  bool for_clients = !config.tls_client_ca_file.empty() || !config.tls_ocsp_files.empty() ||
                     !config.tls_ticket_keys_file.empty();
  if (certs == 0 && for_clients)
    throw ConfigError(origin(defaults, {"tls-client-ca", "tls-ocsp", "tls-ticket-keys"}),
                      "this is for https listeners: give tls-cert and tls-key");
  // Who asks for certificates without saying whose would let anybody in.
  bool asks = std::ranges::any_of(defaults.origins,
                                  [](const auto& one) { return one.first == "tls-client-auth"; });
  if (asks && config.tls_client_ca_file.empty())
    throw ConfigError(origin(defaults, {"tls-client-auth"}),
                      "name those whose certificates count: give tls-client-ca");
  if (certs == 0 &&
      std::ranges::any_of(config.listen, [](const Listen& one) { return one.options.tls; }))
    throw ConfigError(origin(defaults, {"listen"}),
                      "https needs a certificate: give tls-cert and tls-key");
}

void check_log(const Draft& defaults, const Config& config) {
  std::string wrong = unusable_log(config.access_log);
  if (!wrong.empty()) throw ConfigError(origin(defaults, {"access-log"}), wrong);
  wrong = unusable_log(config.usage_log);
  if (!wrong.empty()) throw ConfigError(origin(defaults, {"usage-log"}), wrong);
}

// A hub stands in the place of the one upstream, which is never lost and needs no look after. What
// it relays may look like a model's answer, and begins or ends nothing.
void take_hub(Draft& draft) {
  Route& route = draft.route;
  StreamSettings& settings = route.settings;
  bool any = std::ranges::find(route.hub_cors, "*") != route.hub_cors.end();
  if (any && (settings.hub_cors_credentials || route.hub_cors.size() > 1))
    throw ConfigError(origin(draft, {"hub-cors", "hub-cors-credentials"}),
                      "\"*\" goes with no other origin, and never with hub-cors-credentials");
  if (route.hub.empty()) {
    if (!route.hub_store.empty())
      throw ConfigError(origin(draft, {"hub-store"}), "a store belongs to a hub: hub=NAME");
    if (!route.hub_sources.empty())
      throw ConfigError(origin(draft, {"hub-source"}), "a source feeds a hub: hub=NAME");
    return;
  }
  if (!route.upstreams.empty())
    throw ConfigError(origin(draft, {"hub", "upstream"}), "a route has upstreams or a hub");
  if (settings.hub_event_size > settings.hub_history_bytes && settings.hub_history_bytes != 0)
    throw ConfigError(origin(draft, {"hub-event-size", "hub-history-bytes"}),
                      "hub-history-bytes has no room for an event of hub-event-size");
  route.upstreams.push_back({.url = "hub:" + route.hub, .host = route.hub, .address = {}});
  settings.heal = Heal::kOff;
  settings.dialect = DialectChoice::kNone;
  settings.gate = Gate::kOff;
  settings.usage = false;
  settings.health.clear();
  settings.pace_ms = 0;
}

Draft build_route(const RouteSource& source, const Draft& defaults, Config& config) {
  Draft draft = defaults;
  draft.where = source.where;
  draft.route.path.clear();
  draft.route.upstreams.clear();
  apply(source.assignments, config, draft);
  if (draft.route.path.empty()) {
    throw ConfigError(draft.where, "a route needs a path: path=/PREFIX");
  }
  take_hub(draft);
  if (draft.route.upstreams.empty()) {
    throw ConfigError(draft.where,
                      "a route needs an upstream: upstream=http://HOST:PORT, or a hub: hub=NAME");
  }
  check_group(draft);
  for (const Assignment& assignment : source.assignments) {
    if (assignment.setting->name == "heartbeat") {
      draft.route.settings.heartbeat_named_by_route = true;
    }
  }
  check_stream(draft);
  return draft;
}

// The routes of one source; its upstream setting makes one too, for "/".
std::vector<Draft> build_routes(const Source& source, const Draft& defaults, Config& config) {
  std::vector<Draft> drafts;
  if (find_last(source, "upstream") != nullptr) {
    drafts.push_back(defaults);
    drafts.back().where = find_last(source, "upstream")->where;
  }
  for (const RouteSource& route : source.routes) {
    Draft draft = build_route(route, defaults, config);
    for (const Draft& other : drafts) {
      if (other.route.path != draft.route.path) continue;
      throw ConfigError(draft.where,
                        "path " + draft.route.path + " is already taken by " + other.where);
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

// Each is read by a route of its own.
void add_sources(const Draft& draft, Config& config) {
  for (const HubSource& source : draft.route.hub_sources) {
    Route route = route_of(source, draft.route);
    if (std::ranges::find(config.routes, route.path, &Route::path) != config.routes.end())
      throw ConfigError(
          origin(draft, {"hub-source"}),
          "stream " + source.stream + " of hub " + draft.route.hub + " has a source already");
    config.routes.push_back(std::move(route));
  }
}

// The demo's own upstream, and the hub that its page counts through, where nobody else has those
// paths. The upstream's address is known once it listens; main puts it into its route.
void add_demo_routes(const Draft& defaults, Config& config) {
  auto has = [&](std::string_view path) {
    return std::ranges::find(config.routes, path, &Route::path) != config.routes.end();
  };
  if (has("/")) return;
  // A hub of that name is somebody's own, and may say who publishes to it.
  bool named = std::ranges::find(config.routes, "demo", &Route::hub) != config.routes.end();
  if (!has("/hub") && !named) {
    Draft hub = defaults;
    hub.route.path = "/hub";
    hub.route.hub = "demo";
    take_hub(hub);
    config.routes.push_back(std::move(hub.route));
  }
  config.routes.push_back(defaults.route);
}

std::shared_ptr<Config> build_config(const Source& file, const Source& flags) {
  auto config = std::make_shared<Config>();
  config->check_only = switched_on(flags, "check");
  config->admin = *parse_address(kDefaultAdmin, nullptr);
  config->filters = read_filters(file.filters, file.path);
  Draft defaults{{.path = "/", .upstreams = {}, .settings = {}}, "", {}};
  apply(file.assignments, *config, defaults);
  apply(flags.assignments, *config, defaults);
  check_stream(defaults);
  check_group(defaults);
  check_pool(defaults, *config);
  check_order(defaults, "dns-ttl-min", config->dns_ttl_min_ms, "dns-ttl-max",
              config->dns_ttl_max_ms, format_duration_ms);
  config->defaults = defaults.route.settings;
  if (config->listen.empty()) config->listen.push_back(*parse_address(kDefaultListen, nullptr));
  check_ports(defaults, *config);
  check_tls(defaults, *config);
  if (config->check_only) check_log(defaults, *config);

  // A route of the flags takes the place of the file's with its path.
  std::vector<Draft> drafts = build_routes(flags, defaults, *config);
  for (Draft& draft : build_routes(file, defaults, *config)) {
    bool replaced = std::ranges::any_of(
        drafts, [&](const Draft& other) { return other.route.path == draft.route.path; });
    if (!replaced) drafts.push_back(std::move(draft));
  }
  for (const Draft& draft : drafts) add_sources(draft, *config);
  for (Draft& draft : drafts) config->routes.push_back(std::move(draft.route));

  if (config->demo) add_demo_routes(defaults, *config);
  if (config->routes.empty()) {
    throw ConfigError("nowhere to send requests",
                      "give --upstream http://HOST:PORT, --route path=/...,upstream=... or --demo");
  }
  return config;
}

// Of a file that need not be complete: its filters, in its order where none are named.
std::shared_ptr<Config> build_filter_test(const Source& file, const Source& flags) {
  auto config = std::make_shared<Config>();
  config->filter_test = true;
  config->filters = read_filters(file.filters, file.path);
  Draft draft{{.path = "/", .upstreams = {}, .settings = {}}, "", {}};
  apply(file.assignments, *config, draft);
  apply(flags.assignments, *config, draft);
  if (draft.route.filter_names.empty())
    for (const FilterRule& rule : config->filters) draft.route.filter_names.push_back(rule.name);
  check_stream(draft);
  config->routes.push_back(std::move(draft.route));
  return config;
}

ConfigResult read_config_or_throw(int argc, const char* const* argv,
                                  const ReadNamedFiles& read_files) {
  Source flags = read_flags(argc, argv);
  if (switched_on(flags, "help")) return {nullptr, help_text(), 0};
  if (switched_on(flags, "version")) return {nullptr, "sluice " + std::string(kVersion), 0};
  const Assignment* path = find_last(flags, "config");
  const Assignment* test = find_last(flags, "filter-test");
  if (test) path = test;
  Source file = path == nullptr ? Source{} : read_file(path->text);
  auto config = test ? build_filter_test(file, flags) : build_config(file, flags);
  std::vector<std::string> warnings = loops(*config);
  std::string wrong = read_files ? read_files(*config, warnings) : "";
  if (!wrong.empty()) return {nullptr, one_line("sluice: " + wrong), 2};
  for (std::string& warning : warnings) warning = one_line(std::move(warning));
  if (config->check_only)
    return {nullptr, "configuration ok: " + summary(*config), 0, std::move(warnings)};
  return {std::move(config), "", 0, std::move(warnings)};
}

}  // namespace

const Setting& route_key(std::string_view key, const std::string& where) {
  const Setting* setting = find_setting(key);
  if (setting != nullptr && is_route_key(*setting)) return *setting;
  std::string name(key);
  if (setting == nullptr) {
    throw ConfigError(
        where, "a route has no setting '" + name + "'" + did_you_mean(name, is_route_key, ""));
  }
  throw ConfigError(where, name + " is a setting of the whole process, not of a route");
}

std::string summary(const Config& config) {
  size_t upstreams = 0;
  for (const Route& route : config.routes) upstreams += route.upstreams.size();
  auto routes = std::ranges::count(config.routes, true,
                                   [](const Route& route) { return route.feeds.hub.empty(); });
  std::string text = counted(static_cast<size_t>(routes), "route") + ", " +
                     counted(upstreams, "upstream") + ", listening on ";
  for (const Listen& listen : config.listen) {
    text += (&listen == &config.listen.front() ? "" : ", ") + listen.name();
  }
  return text + ", admin " + (config.admin_on ? "on " + config.admin.text() : "off");
}

ConfigResult read_config(int argc, const char* const* argv, const ReadNamedFiles& read_files) {
  try {
    return read_config_or_throw(argc, argv, read_files);
  } catch (const ConfigError& error) {
    return {nullptr, one_line(std::string("sluice: ") + error.what()), 2};
  }
}

}  // namespace sluice
