// Every row of the table of settings, by every way that it can be given. A row without a sample
// here fails the test.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "net/config/settings.h"
#include "net/config/snapshot.h"
#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::HasSubstr;

struct Sample {
  std::string text;  // of a flag, and of a key of --route
  std::string toml;  // of a key of the file
  std::function<bool(const Config&, const Route&)> taken;
};

template <typename T>
Sample process_sample(std::string text, std::string toml, T Config::*field, T value) {
  return {std::move(text), std::move(toml),
          [=](const Config& config, const Route&) { return config.*field == value; }};
}

template <typename T>
Sample stream_sample(std::string text, std::string toml, T StreamSettings::*field, T value) {
  return {std::move(text), std::move(toml),
          [=](const Config&, const Route& route) { return route.settings.*field == value; }};
}

bool is_pool(const PoolSettings& pool, uint64_t slot_bytes, uint64_t slots) {
  return pool.slot_bytes == slot_bytes && pool.slots == slots;
}

std::map<std::string, Sample> process_samples() {
  using C = Config;
  return {
      {"listen",
       {"127.0.0.1:0,127.0.0.1:81", R"(["127.0.0.1:0", "127.0.0.1:81"])",
        [](const C& c, const Route&) {
          return c.listen.size() == 2 && c.listen[0].port() == 0 && c.listen[1].port() == 81;
        }}},
      {"tls-cert",
       {"/a.pem", "\"/a.pem\"",
        [](const C& c, const Route&) {
          return c.tls_keys.size() == 1 && c.tls_keys[0].cert == "/a.pem";
        }}},
      {"tls-key",
       {"/a.key", "\"/a.key\"",
        [](const C& c, const Route&) {
          return c.tls_keys.size() == 1 && c.tls_keys[0].key == "/a.key";
        }}},
      {"tls-ocsp", process_sample<std::vector<std::string>>("/a.ocsp", "\"/a.ocsp\"",
                                                            &C::tls_ocsp_files, {"/a.ocsp"})},
      {"tls-ticket-keys",
       process_sample<std::string>("/keys", "\"/keys\"", &C::tls_ticket_keys_file, "/keys")},
      {"tls-client-ca",
       process_sample<std::string>("/ca.pem", "\"/ca.pem\"", &C::tls_client_ca_file, "/ca.pem")},
      {"tls-client-auth", process_sample<ClientAuth>("optional", "\"optional\"",
                                                     &C::tls_client_auth, ClientAuth::kOptional)},
      {"tls-handshake-timeout",
       process_sample<uint64_t>("3s", "\"3s\"", &C::tls_handshake_timeout_ms, 3'000)},
      {"tls-records", process_sample<bool>("lean", "\"lean\"", &C::tls_lean_records, true)},
      {"tls-handshakes-max", process_sample<uint64_t>("7", "7", &C::tls_handshakes_max, 7)},
      {"route",
       {"path=/sample,upstream=http://127.0.0.1:1",
        R"([{path = "/sample", upstream = "http://127.0.0.1:1"}])",
        [](const C& c, const Route&) { return c.routes.front().path == "/sample"; }}},
      {"trusted-proxies",
       {"10.0.0.0/8,::1", R"(["10.0.0.0/8", "::1"])",
        [](const C& c, const Route&) {
          return c.trusted_proxies.size() == 2 && c.trusted_proxies[0].prefix_bits == 8;
        }}},
      {"dns-ttl-min", process_sample<uint64_t>("1s", "\"1s\"", &C::dns_ttl_min_ms, 1000)},
      {"dns-ttl-max", process_sample<uint64_t>("1m", "\"1m\"", &C::dns_ttl_max_ms, 60'000)},
      {"dns-servers",
       {"192.0.2.1,[::1]:5353", R"(["192.0.2.1", "[::1]:5353"])",
        [](const C& c, const Route&) {
          return c.dns_servers.size() == 2 && c.dns_servers[0].text() == "192.0.2.1:53" &&
                 c.dns_servers[1].text() == "[::1]:5353";
        }}},
      {"threads", process_sample("3", "3", &C::threads, 3U)},
      {"pin", process_sample("off", "false", &C::pin, false)},
      {"latency-budget",
       process_sample<std::optional<uint64_t>>("500us", "\"500us\"", &C::latency_budget_us, 500)},
      {"uring-disable",
       process_sample<std::string>("recv-budget,huge-pages", R"(["recv-budget", "huge-pages"])",
                                   &C::uring_disable, "recv-budget,huge-pages")},
      {"simd", process_sample<std::string>("scalar", "\"scalar\"", &C::simd, "scalar")},
      {"pool-sse-event",
       {"8k:16", "\"8k:16\"",
        [](const C& c, const Route&) { return is_pool(c.pool_sse_event, 8192, 16); }}},
      {"pool-http-message",
       {"64k:100", "\"64k:100\"",
        [](const C& c, const Route&) { return is_pool(c.pool_http_message, 65536, 100); }}},
      {"pool-json",
       {"4k:16", "\"4k:16\"",
        [](const C& c, const Route&) { return is_pool(c.pool_json, 4096, 16); }}},
      {"pool-max", process_sample<uint64_t>("64m", "67108864", &C::pool_max, 64 << 20)},
      {"max-header-size", process_sample<uint64_t>("8k", "8192", &C::max_header_size, 8192)},
      {"max-headers", process_sample<uint64_t>("64", "64", &C::max_headers, 64)},
      {"http2", process_sample("off", "\"off\"", &C::http2, false)},
      {"http2-max-streams", process_sample<uint64_t>("50", "50", &C::http2_max_streams, 50)},
      {"http2-stream-window",
       process_sample<uint64_t>("1m", "\"1m\"", &C::http2_stream_window, 1 << 20)},
      {"http2-connection-window",
       process_sample<uint64_t>("4m", "\"4m\"", &C::http2_connection_window, 4 << 20)},
      {"shutdown-delay", process_sample<uint64_t>("1m", "\"1m\"", &C::shutdown_delay_ms, 60'000)},
      {"shutdown-grace", process_sample<uint64_t>("0", "0", &C::shutdown_grace_ms, 0)},
      {"admin", process_sample("off", "\"off\"", &C::admin_on, false)},
      {"admin-host",
       {"sluice.test,::1", R"(["sluice.test", "::1"])",
        [](const C& c, const Route&) {
          return c.admin_hosts == std::vector<std::string>{"sluice.test", "::1"};
        }}},
      {"access-log", process_sample<std::string>("-", "\"-\"", &C::access_log, "-")},
      {"access-log-format",
       process_sample("json", "\"json\"", &C::access_log_format, AccessLogFormat::kJson)},
      {"usage-log", process_sample<std::string>("-", "\"-\"", &C::usage_log, "-")},
      {"tap", process_sample("on", "\"on\"", &C::tap, true)},
      {"log-query", process_sample("on", "\"on\"", &C::log_query, true)},
      {"log-level", process_sample("warn", "\"warn\"", &C::log_level, LogLevel::kWarn)},
      {"script-memory", process_sample<uint64_t>("1m", "\"1m\"", &C::script_memory, 1 << 20)},
      {"script-instructions",
       process_sample<uint64_t>("5000", "5000", &C::script_instructions, 5000)},
      {"demo", process_sample("on", "true", &C::demo, true)},
  };
}

std::map<std::string, Sample> stream_samples() {
  using S = StreamSettings;
  auto size = [](uint64_t S::*field, uint64_t bytes) {
    return stream_sample(std::to_string(bytes), std::to_string(bytes), field, bytes);
  };
  auto time = [](uint64_t S::*field) {
    return stream_sample<uint64_t>("1234ms", "\"1234ms\"", field, 1234);
  };
  return {
      {"upstream",
       {"http://127.0.0.1:1", "[\"http://127.0.0.1:1\"]",
        [](const Config&, const Route& route) {
          return !route.upstreams.empty() && route.upstreams.back().address.port() == 1;
        }}},
      {"balance",
       {"hash:field:x-user", "\"hash:field:x-user\"",
        [](const Config&, const Route& route) {
          const Balance& balance = route.settings.balance;
          return balance.method == Balance::Method::kHash && balance.name == "x-user";
        }}},
      {"eject-after", size(&S::eject_after, 7)},
      {"eject-time", time(&S::eject_time_ms)},
      {"slow-start", time(&S::slow_start_ms)},
      {"health",
       stream_sample<std::string>("/up?deep=1", "\"/up?deep=1\"", &S::health, "/up?deep=1")},
      {"health-interval", time(&S::health_interval_ms)},
      {"health-timeout", time(&S::health_timeout_ms)},
      {"health-fail", size(&S::health_fail, 7)},
      {"health-pass", size(&S::health_pass, 9)},
      {"health-status", stream_sample("200-299+404", "\"200-299,404\"", &S::health_status,
                                      StatusRanges{{{{200, 299}, {404, 404}}}})},
      {"heartbeat", time(&S::heartbeat_ms)},
      {"heartbeat-head-after", time(&S::heartbeat_head_after_ms)},
      {"heartbeat-form",
       stream_sample("chunk", "\"chunk\"", &S::heartbeat_form, HeartbeatForm::kChunk)},
      {"dialect",
       stream_sample("responses", "\"responses\"", &S::dialect, DialectChoice::kResponses)},
      {"error-event", stream_sample("off", "\"off\"", &S::error_event, false)},
      {"gate", stream_sample("content", "\"content\"", &S::gate, Gate::kContent)},
      {"gate-time", time(&S::gate_time_ms)},
      {"buffer-size", size(&S::buffer_size, 4096)},
      {"buffer-size-max", size(&S::buffer_size_max, 65536)},
      {"event-hold", size(&S::event_hold, 32768)},
      {"pace", time(&S::pace_ms)},
      {"max-body-size", size(&S::max_body_size, 1000)},
      {"body-timeout", time(&S::body_timeout_ms)},
      {"connect-timeout", time(&S::connect_timeout_ms)},
      {"first-byte-timeout", time(&S::first_byte_timeout_ms)},
      {"stream-idle-timeout", time(&S::stream_idle_timeout_ms)},
      {"write-timeout", time(&S::write_timeout_ms)},
      {"header-timeout", time(&S::header_timeout_ms)},
      {"keepalive-timeout", time(&S::keepalive_timeout_ms)},
      {"filters",
       {"pii", R"(["pii"])",
        [](const Config&, const Route& route) {
          return route.filter_names == std::vector<std::string>{"pii"};
        }}},
      {"on-invalid", stream_sample("drop", "\"drop\"", &S::on_invalid, OnUnseen::kDrop)},
      {"on-oversize", stream_sample("end", "\"end\"", &S::on_oversize, OnUnseen::kEnd)},
      {"on-encoded", stream_sample("pass", "\"pass\"", &S::on_encoded, OnEncoded::kPass)},
      {"usage", stream_sample("on", "\"on\"", &S::usage, true)},
      {"drain-for-usage", time(&S::drain_for_usage_ms)},
      {"framing", stream_sample("line", "\"line\"", &S::framing, EventFraming::kLine)},
      {"retry-non-idempotent", stream_sample("on", "\"on\"", &S::retry_non_idempotent, true)},
      {"half-close", stream_sample("allow", "\"allow\"", &S::half_close, true)},
      {"heal", stream_sample("always", "\"always\"", &S::heal, Heal::kAlways)},
      {"heal-for", time(&S::heal_for_ms)},
      {"heal-ids", size(&S::heal_ids, 5)},
      {"heal-rate", size(&S::heal_rate, 5)},
      {"gap-event", stream_sample("on", "\"on\"", &S::gap_event, true)},
      {"retries", size(&S::retries, 5)},
      {"compress", stream_sample("gzip+zstd", "\"gzip,zstd\"", &S::compress,
                                 CodingOrder{ContentCoding::kGzip, ContentCoding::kZstd})},
      {"retry-on", stream_sample("503+404", "\"503,404\"", &S::retry_on, Statuses{503, 404})},
      {"retry-on-post",
       stream_sample("503+425", "\"503,425\"", &S::retry_on_post, Statuses{503, 425})},
      {"retry-buffer", size(&S::retry_buffer, 1024)},
      {"upstream-max-connections", size(&S::upstream_max_connections, 5)},
      {"upstream-max-pending", size(&S::upstream_max_pending, 5)},
      {"upstream-keepalive", size(&S::upstream_keepalive, 0)},
      {"upstream-keepalive-timeout", time(&S::upstream_keepalive_timeout_ms)},
      {"upstream-rcvbuf", size(&S::upstream_rcvbuf, 0)},
      {"socket-buffer-max", size(&S::socket_buffer_max, 131072)},
      {"upstream-quickack", stream_sample("on", "\"on\"", &S::upstream_quickack, true)},
      {"upstream-tcp-keepalive", time(&S::upstream_tcp_keepalive_ms)},
      {"client-tcp-keepalive", time(&S::client_tcp_keepalive_ms)},
      {"client-sndbuf", size(&S::client_sndbuf, 8192)},
      {"client-notsent-lowat", size(&S::client_notsent_lowat, 2048)},
      {"hub",
       {"main", "\"main\"",
        [](const Config&, const Route& route) {
          return route.hub == "main" && route.upstreams.size() == 1;
        }}},
      {"hub-history-bytes", size(&S::hub_history_bytes, 131072)},
      {"hub-history-events", size(&S::hub_history_events, 5)},
      {"hub-history-age", time(&S::hub_history_age_ms)},
      {"hub-stream-events", size(&S::hub_stream_events, 5)},
      {"hub-stream-bytes", size(&S::hub_stream_bytes, 4096)},
      {"hub-streams", size(&S::hub_streams, 5)},
      {"hub-event-size", size(&S::hub_event_size, 128)},
      {"hub-rate", size(&S::hub_rate, 5)},
      {"hub-dedup-window", time(&S::hub_dedup_window_ms)},
      {"hub-store",
       {"sqlite:/tmp/hub.db", "\"sqlite:/tmp/hub.db\"",
        [](const Config&, const Route& route) { return route.hub_store == "/tmp/hub.db"; }}},
      {"hub-ack", stream_sample("memory", "\"memory\"", &S::hub_ack, HubAck::kMemory)},
      {"hub-store-events", size(&S::hub_store_events, 5)},
      {"hub-store-bytes", size(&S::hub_store_bytes, 2 << 20)},
      {"hub-store-age", time(&S::hub_store_age_ms)},
      {"hub-source",
       {"a=http://127.0.0.1:1/b", R"(["a=http://127.0.0.1:1/b"])",
        [](const Config& config, const Route& route) {
          return route.hub_sources.size() == 1 && config.routes.size() == 2;
        }}},
      {"hub-source-open",
       stream_sample("always", "\"always\"", &S::hub_source_open, HubSourceOpen::kAlways)},
      {"hub-source-linger", time(&S::hub_source_linger_ms)},
      {"hub-lease", time(&S::hub_lease_ms)},
      {"hub-access", stream_sample("read", "\"read\"", &S::hub_access, HubAccess::kRead)},
      {"hub-cors",
       {"https://a.example", R"(["https://a.example"])",
        [](const Config&, const Route& route) {
          return route.hub_cors == std::vector<std::string>{"https://a.example"};
        }}},
      {"hub-cors-credentials", stream_sample("on", "\"on\"", &S::hub_cors_credentials, true)},
      {"path",
       {"/sample", "\"/sample\"",
        [](const Config& config, const Route&) {
          return config.routes.front().path == "/sample";
        }}},
  };
}

std::map<std::string, Sample> all_samples() {
  auto all = process_samples();
  all.merge(stream_samples());
  return all;
}

// "" for what the sample asserts, else the message or what was found instead.
std::string taken_from(const std::vector<std::string>& flags, const Sample& sample,
                       const char* path) {
  ConfigResult result = read(flags);
  if (!result.config) return result.message;
  ConfigSnapshot snapshot(*result.config);
  const Route* route = snapshot.find_route(path);
  if (route == nullptr) return "no route";
  return sample.taken(*result.config, *route) ? "" : "not taken";
}

class EverySetting : public testing::TestWithParam<std::string> {
 protected:
  const Setting& setting() const { return *find_setting(GetParam()); }
  Sample sample() const {
    auto samples = all_samples();
    auto found = samples.find(GetParam());
    if (found == samples.end()) {
      ADD_FAILURE() << GetParam() << " has no sample";
      return {};
    }
    return found->second;
  }
};

class EveryFlag : public EverySetting {};
class EveryValued : public EverySetting {};  // flags that need a value
class EveryFileKey : public EverySetting {};
class EveryRouteKey : public EverySetting {};
class EveryInherited : public EverySetting {};  // a route starts from the process's value

TEST_P(EverySetting, SampleDiffersFromTheDefault) {
  EXPECT_EQ(taken_from({"--upstream", kUpstream}, sample(), "/"), "not taken");
}

bool is_a_hubs(const std::string& name) {
  return name == "hub-store" || name == "hub-source";
}

// Something to serve besides the setting that is tested, and not that setting itself.
std::vector<std::string> with_default_route(const std::string& name) {
  if (name == "demo") return {"--upstream", kUpstream};
  if (name == "tls-cert") return {"--demo", "--tls-key", "/other"};
  if (name == "tls-key") return {"--demo", "--tls-cert", "/other"};
  if (name == "tls-ocsp" || name == "tls-ticket-keys" || name == "tls-client-ca")
    return {"--demo", "--tls-cert", "/a", "--tls-key", "/b"};
  if (name == "tls-client-auth")
    return {"--demo", "--tls-cert", "/a", "--tls-key", "/b", "--tls-client-ca", "/ca"};
  return {"--demo"};
}

TEST_P(EveryFlag, Joined) {
  std::vector<std::string> flags = with_default_route(GetParam());
  flags.push_back("--" + GetParam() + "=" + sample().text);
  EXPECT_EQ(taken_from(flags, sample(), "/"), "");
}

TEST_P(EveryFlag, NextArgument) {
  std::vector<std::string> flags = with_default_route(GetParam());
  flags.insert(flags.end(), {"--" + GetParam(), sample().text});
  EXPECT_EQ(taken_from(flags, sample(), "/"), "");
}

TEST_P(EveryFileKey, IsRead) {
  TomlFile file(GetParam() + " = " + sample().toml + "\n");
  std::vector<std::string> flags = with_default_route(GetParam());
  flags.insert(flags.end(), {"--config", file.path()});
  EXPECT_EQ(taken_from(flags, sample(), "/"), "");
}

TEST_P(EverySetting, InRouteFlag) {
  // A hub takes an upstream's place, and a store or a source is a hub's.
  std::string route = GetParam() == "hub"     ? ""
                      : is_a_hubs(GetParam()) ? "hub=main,"
                                              : "upstream=" + std::string(kUpstream) + ",";
  if (GetParam() != "path") route += "path=/sample,";
  route += GetParam() + "=" + sample().text;
  if (is_route_key(setting())) {
    EXPECT_EQ(taken_from({"--route", route}, sample(), "/sample"), "");
  } else {
    EXPECT_EQ(error_of({"--route", route}),
              "sluice: --route path=/sample: " + GetParam() +
                  " is a setting of the whole process, not of a route");
  }
}

TEST_P(EveryRouteKey, InRouteTable) {
  std::string text = "[[route]]\n" + GetParam() + " = " + sample().toml + "\n";
  if (GetParam() != "path") text += "path = \"/sample\"\n";
  if (is_a_hubs(GetParam()))
    text += "hub = \"main\"\n";
  else if (GetParam() != "upstream" && GetParam() != "hub")
    text += "upstream = \"" + std::string(kUpstream) + "\"\n";
  TomlFile file(text);
  EXPECT_EQ(taken_from({"--config", file.path()}, sample(), "/sample"), "");
}

TEST_P(EveryInherited, RouteStartsFromTheFlag) {
  std::string route = "path=/sample,upstream=" + std::string(kUpstream);
  EXPECT_EQ(taken_from({"--" + GetParam(), sample().text, "--route", route}, sample(), "/sample"),
            "");
}

TEST_P(EveryValued, NeedsItsValue) {
  std::string flag = "--" + GetParam();
  EXPECT_EQ(error_of({flag, "--demo"}),
            "sluice: " + flag + ": a value is missing: " + flag + " " + setting().value_name);
}

bool is_any(const Setting&) {
  return true;
}

bool is_valued(const Setting& setting) {
  return is_flag(setting) && setting.form != Form::kSwitch;
}

bool is_inherited(const Setting& setting) {
  return setting.scope == Scope::kStream && setting.name != "upstream";
}

auto names_where(bool (*filter)(const Setting&)) {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    if (setting.scope != Scope::kCommand && filter(setting)) names.push_back(setting.name);
  }
  return testing::ValuesIn(names);
}

std::string test_name(const testing::TestParamInfo<std::string>& setting) {
  std::string name = setting.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Table, EverySetting, names_where(is_any), test_name);
INSTANTIATE_TEST_SUITE_P(Table, EveryFlag, names_where(is_flag), test_name);
INSTANTIATE_TEST_SUITE_P(Table, EveryValued, names_where(is_valued), test_name);
INSTANTIATE_TEST_SUITE_P(Table, EveryFileKey, names_where(is_file_key), test_name);
INSTANTIATE_TEST_SUITE_P(Table, EveryRouteKey, names_where(is_route_key), test_name);
INSTANTIATE_TEST_SUITE_P(Table, EveryInherited, names_where(is_inherited), test_name);

TEST(Settings, NamesAreUnique) {
  std::set<std::string> names;
  for (const Setting& setting : settings()) EXPECT_TRUE(names.insert(setting.name).second);
}

// What each of these does is tested in config_test.cc.
TEST(Settings, CommandFlags) {
  std::set<std::string> names;
  for (const Setting& setting : settings()) {
    if (setting.scope == Scope::kCommand) names.insert(setting.name);
  }
  EXPECT_EQ(names, (std::set<std::string>{"config", "check", "filter-test", "help", "version"}));
}

TEST(Help, ListsEveryFlagWithItsDefault) {
  ConfigResult result = read({"--help"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_FALSE(result.config);
  std::string unwrapped;  // blanks and line ends as one blank each
  for (char c : result.message) {
    if (c == '\n') c = ' ';
    if (c != ' ' || !unwrapped.ends_with(' ')) unwrapped += c;
  }
  for (const Setting& setting : settings()) {
    if (!is_flag(setting)) continue;
    std::string row = "--" + setting.name + " ";
    if (!setting.value_name.empty()) row += setting.value_name + " ";
    row += setting.help;
    if (!setting.default_text.empty()) row += " [" + setting.default_text + "]";
    if (setting.differs) row += " (restart)";
    EXPECT_THAT(unwrapped, HasSubstr(row));
  }
}

TEST(Help, FitsATerminal) {
  std::istringstream lines(read({"-h"}).message);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

}  // namespace
}  // namespace sluice
