#include "net/config/settings.h"

#include <algorithm>

#include "core/features.h"
#include "core/text.h"
#include "net/base/limits.h"
#include "net/config/setting_groups.h"

namespace sluice {
namespace {

Setting command_switch(const char* name, const char* help) {
  return {.name = name, .scope = Scope::kCommand, .form = Form::kSwitch, .help = help};
}

Setting listen_setting() {
  return {
      .name = "listen",
      .form = Form::kList,
      .value_name = "[https://]ADDR[;OPTION]...",
      .default_text = kDefaultListen,
      .help =
          "Address for clients, HOST:PORT or :PORT (all addresses); repeat, or a comma "
          "list, for several. Port 0 takes a free one. https:// before it: TLS, with the "
          "certificates of --tls-cert. Options: proxy-protocol where a load balancer says first "
          "whom each connection is from; redirect=https[:PORT] where requests are only sent on to "
          "https",
      .set =
          [](SettingTarget target, std::string_view text) {
            return each_item(text, [&](std::string_view item) {
              std::string wrong;
              std::optional<Listen> listen = parse_listen(item, &wrong);
              if (listen) target.config.listen.push_back(*listen);
              return wrong;
            });
          },
      .clear = [](SettingTarget target) { target.config.listen.clear(); }};
}

Setting upstream_setting() {
  return {.name = "upstream",
          .scope = Scope::kStream,
          .form = Form::kList,
          .value_name = "URL[;OPTION]...",
          .help =
              "http://HOST:PORT, https://HOST:PORT or unix:/PATH that requests go to when no other "
              "route matches; repeat it for a group. Options: weight=N (1 to 1000) for its share, "
              "backup where requests go there only while no other can take them; of https: "
              "ca=FILE, cert=FILE and key=FILE, sni=NAME, insecure=on",
          .set =
              [](SettingTarget target, std::string_view text) {
                Upstream upstream;
                std::string wrong = parse_upstream(text, &upstream);
                if (wrong.empty()) target.route.upstreams.push_back(std::move(upstream));
                return wrong;
              },
          .clear = [](SettingTarget target) { target.route.upstreams.clear(); }};
}

std::string set_path(SettingTarget target, std::string_view text) {
  bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c != 0x7f; });
  if (!text.starts_with('/')) return quoted(text) + " does not start with \"/\"";
  if (!printable || text.find_first_of("?#") != text.npos) {
    return quoted(text) + " holds what no path does: blanks, controls, ? or #";
  }
  target.route.path = text;
  return "";
}

Setting path_setting() {
  return {.name = "path",
          .scope = Scope::kRoute,
          .value_name = "PATH",
          .help = "Prefix of the request's path that the route takes, whole segments",
          .set = set_path};
}

Setting route_setting() {
  return {.name = "route",
          .form = Form::kList,
          .value_name = "KEY=VALUE,...",
          .help =
              "Route of its own: path=/PREFIX,upstream=URL and any of the stream settings "
              "below, which it overrides; the longest path wins. Repeat for more routes, "
              "repeat upstream= for a group"};
}

Setting threads_setting() {
  return {.name = "threads",
          .number = true,
          .value_name = "N|all",
          .default_text = "all",
          .help = "Workers, each with its own ring and memory; all (or 0) is one per allowed CPU",
          .set = [](SettingTarget target, std::string_view text) {
            uint64_t count = 0;
            std::string wrong =
                text == "all" ? ""
                              : parse_number(kCount, {1, limits::kWorkersMax, true}, text, &count);
            target.config.threads = static_cast<unsigned>(count);
            return wrong;
          }};
}

Setting latency_budget_setting() {
  return {.name = "latency-budget",
          .value_name = "auto|off|TIME",
          .default_text = "auto",
          .help =
              "How long a worker may gather events before it wakes for them: TIME (10us to 20ms) "
              "whenever there is work; or auto, which is nothing, or 200us while the worker's core "
              "is busy and that is measured to take less CPU time",
          .set = [](SettingTarget target, std::string_view text) {
            if (text == "auto") {
              target.config.latency_budget_us.reset();
              return std::string();
            }
            uint64_t us = 0;
            std::string wrong =
                text == "off" ? "" : parse_number(kFineTime, {10, 20'000, true}, text, &us);
            if (wrong.empty()) target.config.latency_budget_us = us;
            return wrong;
          }};
}

Setting uring_disable_setting() {
  std::vector<std::string> names;
  names.reserve(kFeatureNames.size());
  for (const FeatureName& feature : kFeatureNames) names.emplace_back(feature.name);
  return {.name = "uring-disable",
          .form = Form::kList,
          .value_name = "NAME,...",
          .help = "Kernel features to do without, each has a fallback: " + joined(names, ", "),
          .set =
              [names](SettingTarget target, std::string_view text) {
                return each_item(text, [&](std::string_view item) {
                  if (std::ranges::find(names, item) == names.end()) return not_one_of(item, names);
                  std::string& list = target.config.uring_disable;
                  list.append(list.empty() ? "" : ",").append(item);
                  return std::string();
                });
              },
          .clear = [](SettingTarget target) { target.config.uring_disable.clear(); }};
}

Setting pool_setting(const char* name, PoolSettings Config::*field, const char* help) {
  PoolSettings pool = default_of(field);
  return {.name = name,
          .value_name = "SIZE:COUNT",
          .default_text = format_size(pool.slot_bytes) + ":" + std::to_string(pool.slots),
          .help = help,
          .set = [field](SettingTarget target, std::string_view text) {
            return parse_pool(text, &(target.config.*field));
          }};
}

Setting trusted_proxies_setting() {
  return {
      .name = "trusted-proxies",
      .form = Form::kList,
      .value_name = "CIDR,...",
      .help =
          "Clients whose word about others counts: X-Forwarded-For is added to, -Proto and -Host "
          "are kept; of all others such fields are removed or overwritten",
      .set =
          [](SettingTarget target, std::string_view text) {
            return each_item(text, [&](std::string_view item) {
              std::string error;
              auto range = parse_address_range(item, &error);
              if (range) target.config.trusted_proxies.push_back(*range);
              return error;
            });
          },
      .clear = [](SettingTarget target) { target.config.trusted_proxies.clear(); }};
}

Setting admin_setting() {
  return {.name = "admin",
          .value_name = "ADDR|off",
          .default_text = kDefaultAdmin,
          .help = "Address of /metrics, /healthz, /readyz, /streams and /upstreams",
          .set =
              [](SettingTarget target, std::string_view text) {
                std::string error;
                target.config.admin_on = text != "off";
                if (!target.config.admin_on) return error;
                auto address = parse_address(text, &error);
                if (!address) return error;
                target.config.admin = *address;
                std::string_view host = text.substr(0, text.rfind(':'));
                bool bracketed = host.starts_with('[');
                target.config.admin_name = host.substr(bracketed, host.size() - 2 * bracketed);
                return error;
              },
          .differs =
              [](const Config& one, const Config& other) {
                bool both_off = !one.admin_on && !other.admin_on;
                return !both_off &&
                       (one.admin_on != other.admin_on || one.admin_name != other.admin_name ||
                        one.admin.text() != other.admin.text());
              }};
}

// A name or an address as Host has it, but for the port.
std::string add_admin_host(SettingTarget target, std::string_view item) {
  auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  if (!std::ranges::all_of(item, in_name) && !parse_ip(item))
    return quoted(item) + " is not a host name or IP address, without scheme and port";
  target.config.admin_hosts.emplace_back(item);
  return "";
}

Setting admin_host_setting() {
  return {.name = "admin-host",
          .form = Form::kList,
          .value_name = "NAME,...",
          .help =
              "Names that the admin port answers to in Host, beside localhost and the address that "
              "its client connects to; any other is refused with 421",
          .set =
              [](SettingTarget target, std::string_view text) {
                return each_item(
                    text, [&](std::string_view item) { return add_admin_host(target, item); });
              },
          .clear = [](SettingTarget target) { target.config.admin_hosts.clear(); }};
}

// Words of an operator who takes it for a switch; a file of that name would be a surprise.
std::string set_log_file(std::string_view text, std::string* into) {
  for (std::string_view word : {"on", "true", "yes", "false", "no"}) {
    if (text != word) continue;
    return quoted(text) + " is no path: name a file (" + quoted("./" + std::string(word)) +
           " if it has that name), - for stdout, or off";
  }
  *into = text;
  return "";
}

Setting log_file_setting(const char* name, std::string Config::*field, const char* help) {
  return {.name = name,
          .value_name = "PATH|-|off",
          .default_text = default_of(field),
          .help = help,
          .set = [field](SettingTarget target, std::string_view text) {
            return set_log_file(text, &(target.config.*field));
          }};
}

// "502,503", or "none". A comma ends a value within --route, where a plus does as well.
std::vector<Setting> command_settings() {
  return {
      {.name = "config",
       .scope = Scope::kCommand,
       .value_name = "FILE",
       .help = "Read settings from a TOML file, by the same names; flags win over it"},
      {.name = "filter-test",
       .scope = Scope::kCommand,
       .value_name = "FILE",
       .help = "Run that file's filters, or those of --filters, on the events of standard input, "
               "print what comes out, and exit"},
      command_switch("check", "Check the configuration, say what it amounts to, and exit"),
      until_restart(
          &Config::demo,
          switch_setting("demo", &Config::demo,
                         "Serve an embedded upstream with a page that shows streams arriving")),
      command_switch("help", "Show this text and exit"),
      command_switch("version", "Show the version and exit"),
  };
}

std::vector<Setting> routing_settings() {
  return {
      listen_setting(), upstream_setting(),        path_setting(),
      route_setting(),  trusted_proxies_setting(),
  };
}

Setting dns_servers_setting() {
  return {
      .name = "dns-servers",
      .form = Form::kList,
      .value_name = "IP[:PORT],...",
      .help = "DNS servers to ask in the place of those in /etc/resolv.conf",
      .set =
          [](SettingTarget target, std::string_view text) {
            return each_item(text, [&](std::string_view item) -> std::string {
              constexpr uint16_t kDnsPort = 53;
              std::optional<Address> server = parse_ip(item);
              if (server) {
                server->set_port(kDnsPort);
              } else {
                std::string error;
                auto parsed = parse_host_port(item, &error);
                if (parsed) server = parse_ip(parsed->host);
                if (!server || parsed->port == 0)
                  return "'" + std::string(item) +
                         "' is not the address of a server (10.0.0.2, 127.0.0.1:5353, [::1]:53)";
                server->set_port(parsed->port);
              }
              target.config.dns_servers.push_back(*server);
              return "";
            });
          },
      .clear = [](SettingTarget target) { target.config.dns_servers.clear(); }};
}

std::vector<Setting> name_settings() {
  constexpr Bounds kTtl{100, kDayMs};
  return {
      number_setting("dns-ttl-min", &Config::dns_ttl_min_ms, kTime, kTtl,
                     "The name of an upstream is looked up again when its answer has expired, but "
                     "not sooner than after this"),
      number_setting("dns-ttl-max", &Config::dns_ttl_max_ms, kTime, kTtl,
                     "And not later than after this"),
      until_restart(&Config::dns_servers, dns_servers_setting()),
  };
}

std::vector<Setting> limit_settings() {
  return {
      number_setting("max-header-size", &Config::max_header_size, kSize, {kKiB, 256 * kKiB},
                     "Largest head of a request or response; more is answered 431 or 502"),
      number_setting("max-headers", &Config::max_headers, kCount, {8, 1024},
                     "Most fields in one head; more is answered 431 or 502"),
      choice_setting(
          "http2", &Config::http2, Choices<bool>{{"on", true}, {"off", false}},
          "Whether clients may speak HTTP/2: over TLS by ALPN, on a plain listener by "
          "beginning with HTTP/2's preface; off: ALPN does not offer it, and the preface "
          "is answered 400"),
      number_setting("http2-max-streams", &Config::http2_max_streams, kCount, {1, 10'000},
                     "Requests that a client may have under way on one HTTP/2 connection; it loses "
                     "the connection if it knows that and begins more"),
      number_setting("http2-stream-window", &Config::http2_stream_window, kSize,
                     {4 * kKiB, 16 * kMiB},
                     "What an HTTP/2 client may send of one request's body before the upstream has "
                     "taken any; larger is faster over a long way, and takes as much memory where "
                     "the upstream is slow"),
      number_setting("http2-connection-window", &Config::http2_connection_window, kSize,
                     {64 * kKiB, kGiB},
                     "What an HTTP/2 client may send of all bodies together within a round trip"),
      until_restart(
          &Config::pool_sse_event,
          pool_setting(
              "pool-sse-event", &Config::pool_sse_event,
              "Buffer slots of a worker for event streams: a power of two from 512 to 64k, "
              "and how many at first (16 to 32768)")),
      until_restart(&Config::pool_http_message,
                    pool_setting("pool-http-message", &Config::pool_http_message,
                                 "The same for requests and for other bodies")),
      until_restart(&Config::pool_json,
                    pool_setting("pool-json", &Config::pool_json,
                                 "The same for events that filters have changed, and those that "
                                 "wait behind them; there from the first such event on")),
      until_restart(
          &Config::pool_max,
          number_setting("pool-max", &Config::pool_max, kSize, {kMiB, 64 * kGiB},
                         "Bytes that peers may occupy on a worker; beyond them receives wait, and "
                         "streams whose peer takes nothing are ended")),
  };
}

std::vector<Setting> process_settings() {
  return {
      until_restart(&Config::threads, threads_setting()),
      until_restart(
          &Config::pin,
          switch_setting(
              "pin", &Config::pin,
              "Pin each worker to its CPU (--pin=off or --no-pin: leave it to the kernel)")),
      until_restart(&Config::latency_budget_us, latency_budget_setting()),
      until_restart(&Config::uring_disable, uring_disable_setting()),
      until_restart(&Config::simd,
                    choice_setting(
                        "simd", &Config::simd,
                        Choices<std::string>{{"auto", "auto"},
                                             {"scalar", "scalar"},
                                             {"sse2", "sse2"},
                                             {"avx2", "avx2"},
                                             {"avx512", "avx512"},
                                             {"neon", "neon"}},
                        "Instructions of the event scanner; auto takes the best that the CPU has")),
      number_setting("shutdown-delay", &Config::shutdown_delay_ms, kTime, kTimeout,
                     "Time after SIGTERM in which clients are still served as usual, while /readyz "
                     "says 503, so that load balancers send no more; then the grace begins"),
      number_setting("shutdown-grace", &Config::shutdown_grace_ms, kTime, kTimeout,
                     "Time for streams to finish, with no new clients; then they are ended, spread "
                     "over a second"),
  };
}

std::vector<Setting> observation_settings() {
  return {
      admin_setting(),
      until_restart(&Config::admin_hosts, admin_host_setting()),
      choice_setting("tap", &Config::tap, Choices<bool>{{"on", true}, {"off", false}},
                     "Whether the admin port shows what streams carry: GET /tap?stream=ID"),
      log_file_setting("access-log", &Config::access_log,
                       "One line per request at its end, to a file or to stdout (-)"),
      log_file_setting("usage-log", &Config::usage_log,
                       "One line of JSON per request to a language model at its end, with its "
                       "tokens, of routes with usage=on"),
      choice_setting("access-log-format", &Config::access_log_format,
                     Choices<AccessLogFormat>{{"text", AccessLogFormat::kText},
                                              {"json", AccessLogFormat::kJson}},
                     "Form of the access log's lines"),
      choice_setting("log-query", &Config::log_query, Choices<bool>{{"on", true}, {"off", false}},
                     "Whether the access log, messages and /streams show a target's query, which "
                     "may hold secrets; off: \"/path?***\""),
      choice_setting("log-level", &Config::log_level,
                     Choices<LogLevel>{{"debug", LogLevel::kDebug},
                                       {"info", LogLevel::kInfo},
                                       {"warn", LogLevel::kWarn},
                                       {"error", LogLevel::kError}},
                     "Least severe message that is logged to stderr"),
  };
}

std::vector<Setting> build_settings() {
  std::vector<Setting> all;
  auto add = [&all](std::string_view group, std::vector<Setting> part) {
    for (Setting& setting : part) {
      setting.group = group;
      all.push_back(std::move(setting));
    }
  };
  add("Command", command_settings());
  add("Routing", routing_settings());
  add("Streams (per route, too)", stream_settings());
  add("Filters (per route, too)", filter_settings());
  add("Scripts", script_settings());
  add("Dialects of language models (per route, too)", dialect_settings());
  add("Usage of language models (per route, too)", usage_settings());
  add("Hubs (per route, too)", hub_settings());
  add("Groups of upstreams (per route, too)", group_settings());
  add("Health checks of upstreams (per route, too)", health_settings());
  add("Recovery (per route, too)", recovery_settings());
  add("Time-outs (per route, too)", timeout_settings());
  add("Connections (per route, too)", connection_settings());
  add("TLS towards clients", tls_settings());
  add("Names", name_settings());
  add("Limits and memory", limit_settings());
  add("Process", process_settings());
  add("Observation", observation_settings());
  return all;
}

}  // namespace

const std::vector<Setting>& settings() {
  // Never destroyed: a reload that reads a file without an end outlasts main().
  static const auto* const table = new std::vector<Setting>(build_settings());
  return *table;
}

const Setting* find_setting(std::string_view name) {
  const auto& table = settings();
  auto found = std::ranges::find(table, name, &Setting::name);
  return found == table.end() ? nullptr : &*found;
}

std::vector<std::string> need_restart(const Config& running, const Config& wanted) {
  std::vector<std::string> names;
  for (const Setting& setting : settings())
    if (setting.differs && setting.differs(running, wanted)) names.push_back(setting.name);
  return names;
}

bool is_flag(const Setting& setting) {
  return setting.scope != Scope::kRoute;
}

bool is_file_key(const Setting& setting) {
  return setting.scope == Scope::kProcess || setting.scope == Scope::kStream;
}

bool is_route_key(const Setting& setting) {
  return setting.scope == Scope::kRoute || setting.scope == Scope::kStream;
}

std::string did_you_mean(std::string_view word, bool (*filter)(const Setting&),
                         std::string_view prefix) {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    if (filter(setting)) names.push_back(setting.name);
  }
  std::string near = closest_name(word, names);
  return near.empty() ? "; --help lists them all"
                      : "; did you mean " + std::string(prefix) + near + "?";
}

}  // namespace sluice
