#include <tuple>
#include <utility>

#include <gmock/gmock.h>

#include "net/config/values.h"
#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Number, StaysWithinItsBounds) {
  constexpr Bounds kBounds{10, 20};
  constexpr Bounds kOrZero{10, 20, true};
  for (const char* text : {"10", "15", "20"}) {
    uint64_t value = 0;
    EXPECT_EQ(parse_number(kCount, kBounds, text, &value), "");
    EXPECT_EQ(std::to_string(value), text);
  }
  uint64_t value = 7;
  EXPECT_EQ(parse_number(kCount, kBounds, "9", &value), "9 is out of bounds: 10 to 20");
  EXPECT_EQ(parse_number(kCount, kBounds, "21", &value), "21 is out of bounds: 10 to 20");
  EXPECT_EQ(parse_number(kCount, kBounds, "0", &value), "0 is out of bounds: 10 to 20");
  EXPECT_EQ(parse_number(kCount, kBounds, "99999999999999999999", &value),
            "'99999999999999999999' is not a number");
  EXPECT_EQ(value, 7U) << "what is wrong was taken all the same";
  EXPECT_EQ(parse_number(kCount, kOrZero, "0", &value), "");
  EXPECT_EQ(value, 0U);
}

TEST(Switch, IsOnOrOff) {
  bool value = false;
  EXPECT_EQ(parse_switch("on", &value), "");
  EXPECT_TRUE(value);
  EXPECT_EQ(parse_switch("off", &value), "");
  EXPECT_FALSE(value);
  for (const char* text : {"", "ON", "true", "1"})
    EXPECT_EQ(parse_switch(text, &value), "'" + std::string(text) + "' is neither on nor off");
}

TEST(List, StopsAtTheFirstItemThatIsWrong) {
  std::vector<std::string> taken;
  auto take = [&taken](std::string_view item) {
    taken.emplace_back(item);
    return item == "b" ? "b is wrong" : "";
  };
  EXPECT_EQ(each_item("a,b,c", take), "b is wrong");
  EXPECT_THAT(taken, ElementsAre("a", "b"));
  EXPECT_EQ(each_item("c,d", take), "");
  EXPECT_THAT(taken, ElementsAre("a", "b", "c", "d"));
  for (const char* text : {"", ",a", "a,,b", "a,"})
    EXPECT_EQ(each_item(text, [](std::string_view) { return ""; }), "an item of the list is empty");
}

TEST(Pool, IsASlotSizeAndACount) {
  PoolSettings pool{};
  EXPECT_EQ(parse_pool("512:16", &pool), "");
  EXPECT_EQ(pool.slot_bytes, 512U);
  EXPECT_EQ(pool.slots, 16U);
  EXPECT_EQ(parse_pool("64k:32768", &pool), "");
  EXPECT_EQ(pool.slot_bytes, 64U * 1024);
  EXPECT_EQ(pool.slots, 32768U);
}

TEST(Values, SayWhatIsWrong) {
  auto error = [](const char* flag, const char* value) {
    return error_of({"--demo", std::string("--") + flag, value});
  };
  EXPECT_EQ(error("heartbeat", "30"),
            "sluice: --heartbeat: '30' is not a time: a number with ms, s, m or h");
  EXPECT_EQ(error("heartbeat", "25h"),
            "sluice: --heartbeat: 25h is out of bounds: 0, or 1ms to 24h");
  EXPECT_EQ(error("buffer-size", "4kb"),
            "sluice: --buffer-size: '4kb' is not a size: a number of bytes, or one with k, m or g");
  EXPECT_EQ(error("buffer-size", "1023"),
            "sluice: --buffer-size: 1023 is out of bounds: 1k to 64m");
  EXPECT_EQ(error("max-headers", "many"), "sluice: --max-headers: 'many' is not a number");
  EXPECT_EQ(error("max-headers", "-5"), "sluice: --max-headers: '-5' is not a number");
  EXPECT_EQ(error("max-headers", "7"), "sluice: --max-headers: 7 is out of bounds: 8 to 1024");
  EXPECT_EQ(error("threads", "2000"), "sluice: --threads: 2000 is out of bounds: 0, or 1 to 1024");
  EXPECT_EQ(error("pin", "yes"), "sluice: --pin: 'yes' is neither on nor off");
  EXPECT_EQ(error("log-level", "warning"),
            "sluice: --log-level: 'warning' is not one of debug, info, warn, error; did you mean "
            "warn?");
  EXPECT_EQ(error("half-close", "x"), "sluice: --half-close: 'x' is not one of deny, allow");
  EXPECT_EQ(
      error("uring-disable", "recv-budget,multishot-rcv"),
      "sluice: --uring-disable: 'multishot-rcv' is not one of defer-taskrun, single-issuer, "
      "registered-ring-fd, multishot-accept, multishot-recv, recv-budget, min-wait, fixed-buffers, "
      "huge-pages; did you mean multishot-recv?");
  EXPECT_EQ(error("listen", "8080"),
            "sluice: --listen: '8080' has no port (HOST:PORT); did you mean :8080?");
  EXPECT_EQ(error("listen", ":1,,:2"), "sluice: --listen: an item of the list is empty");
  EXPECT_EQ(error("admin", "on"), "sluice: --admin: 'on' has no port (HOST:PORT)");
  EXPECT_EQ(error("trusted-proxies", "10.0.0.0/33"),
            "sluice: --trusted-proxies: the prefix of '10.0.0.0/33' must be 0 to 32");
  EXPECT_EQ(error("listen", "a\nb"), "sluice: --listen: 'a?b' has no port (HOST:PORT)");
}

TEST(Pool, Bounds) {
  auto error = [](const char* value) { return error_of({"--demo", "--pool-sse-event", value}); };
  EXPECT_EQ(error("4k"), "sluice: --pool-sse-event: '4k' is not SIZE:COUNT, such as 4k:1000");
  EXPECT_EQ(error("3k:100"), "sluice: --pool-sse-event: the slot size 3k is not a power of two");
  EXPECT_EQ(error("256:100"),
            "sluice: --pool-sse-event: the slot size 256 is out of bounds: 512 to 64k");
  EXPECT_EQ(error("128k:100"),
            "sluice: --pool-sse-event: the slot size 128k is out of bounds: 512 to 64k");
  EXPECT_EQ(error("4k:15"), "sluice: --pool-sse-event: the count 15 is out of bounds: 16 to 32768");
  EXPECT_EQ(error("4k:32769"),
            "sluice: --pool-sse-event: the count 32769 is out of bounds: 16 to 32768");
  EXPECT_EQ(error("4k:x"), "sluice: --pool-sse-event: the count 'x' is not a number");
}

TEST(Upstream, Forms) {
  Config config =
      config_of({"--upstream", "http://localhost:9000/", "--upstream", "HTTP://[::1]:9000",
                 "--upstream", "http://127.0.0.1", "--upstream", "http://[fe80::1%1]:80"});
  const std::vector<Upstream>& upstreams = config.routes[0].upstreams;
  ASSERT_EQ(upstreams.size(), 4U);
  EXPECT_EQ(upstreams[3].host, "[fe80::1]:80") << "a zone is this host's to know";
  EXPECT_EQ(upstreams[0].url, "http://localhost:9000/");
  EXPECT_EQ(upstreams[0].host, "localhost:9000");
  EXPECT_EQ(upstreams[0].name, "localhost") << "which is looked up later";
  EXPECT_EQ(upstreams[0].port, 9000);
  EXPECT_EQ(upstreams[0].address.size, 0U);
  EXPECT_EQ(upstreams[1].host, "[::1]:9000");
  EXPECT_EQ(upstreams[1].address.text(), "[::1]:9000");
  EXPECT_EQ(upstreams[1].name, "");
  EXPECT_EQ(upstreams[2].host, "127.0.0.1");
  EXPECT_EQ(upstreams[2].address.port(), 80);
}

TEST(Upstream, UnixSockets) {
  Config config = config_of({"--upstream", "unix:/run/app.sock", "--upstream", "UNIX:@app"});
  const std::vector<Upstream>& upstreams = config.routes[0].upstreams;
  ASSERT_EQ(upstreams.size(), 2U);
  EXPECT_EQ(upstreams[0].url, "unix:/run/app.sock");
  EXPECT_EQ(upstreams[0].host, "localhost");
  EXPECT_TRUE(upstreams[0].address.is_unix());
  EXPECT_TRUE(upstreams[1].address.is_unix());
}

TEST(Choices, EachMeansWhatItSays) {
  auto with = [](const char* flag, const char* text) { return config_of({"--demo", flag, text}); };
  for (bool on : {false, true}) {
    const char* text = on ? "on" : "off";
    EXPECT_EQ(with("--retry-non-idempotent", text).defaults.retry_non_idempotent, on);
    EXPECT_EQ(with("--log-query", text).log_query, on);
    EXPECT_EQ(with("--half-close", on ? "allow" : "deny").defaults.half_close, on);
    EXPECT_EQ(with("--upstream-quickack", on ? "on" : "auto").defaults.upstream_quickack, on);
  }
  for (auto [text, framing] :
       {std::pair("event", EventFraming::kEvent), std::pair("line", EventFraming::kLine),
        std::pair("off", EventFraming::kOff)})
    EXPECT_EQ(with("--framing", text).defaults.framing, framing);
  for (auto [text, level] :
       {std::pair("debug", LogLevel::kDebug), std::pair("info", LogLevel::kInfo),
        std::pair("warn", LogLevel::kWarn), std::pair("error", LogLevel::kError)})
    EXPECT_EQ(with("--log-level", text).log_level, level);
  for (auto [text, format] :
       {std::pair("text", AccessLogFormat::kText), std::pair("json", AccessLogFormat::kJson)})
    EXPECT_EQ(with("--access-log-format", text).access_log_format, format);
  for (const char* simd : {"auto", "avx512", "avx2", "sse2", "neon", "scalar"})
    EXPECT_EQ(with("--simd", simd).simd, simd);
}

TEST(Balance, Forms) {
  auto with = [](const char* text) {
    return config_of({"--demo", "--balance", text}).defaults.balance;
  };
  EXPECT_EQ(config_of({"--demo"}).defaults.balance.method, Balance::Method::kLeast);
  EXPECT_EQ(with("least").method, Balance::Method::kLeast);
  EXPECT_EQ(with("round-robin").method, Balance::Method::kRoundRobin);
  EXPECT_EQ(with("random-two").method, Balance::Method::kRandomTwo);
  for (auto [text, key, name] : {std::tuple("hash:client", Balance::Key::kClient, ""),
                                 std::tuple("hash:path", Balance::Key::kPath, ""),
                                 std::tuple("hash:field:X-User", Balance::Key::kField, "X-User"),
                                 std::tuple("hash:cookie:sid", Balance::Key::kCookie, "sid")}) {
    Balance balance = with(text);
    EXPECT_EQ(balance.method, Balance::Method::kHash) << text;
    EXPECT_EQ(balance.key, key) << text;
    EXPECT_EQ(balance.name, name) << text;
  }
}

TEST(Balance, Errors) {
  auto error = [](const char* text) { return error_of({"--demo", "--balance", text}); };
  EXPECT_EQ(error("random"),
            "sluice: --balance: 'random' is not one of least, round-robin, random-two, "
            "hash:client, hash:path, hash:field:NAME, hash:cookie:NAME");
  EXPECT_EQ(error("hash:field:"), "sluice: --balance: '' is no name of a field or cookie");
  EXPECT_EQ(error("hash:cookie:a=b"), "sluice: --balance: 'a=b' is no name of a field or cookie");
}

TEST(LatencyBudget, Forms) {
  auto budget = [](const char* text) {
    return config_of({"--demo", "--latency-budget", text}).latency_budget_us;
  };
  EXPECT_EQ(config_of({"--demo"}).latency_budget_us, std::nullopt);
  EXPECT_EQ(budget("auto"), std::nullopt);
  EXPECT_EQ(budget("off"), 0U);
  EXPECT_EQ(budget("0"), 0U);
  EXPECT_EQ(budget("250us"), 250U);
  EXPECT_EQ(budget("2ms"), 2000U);
  EXPECT_EQ(config_of({"--demo", "--latency-budget", "2ms", "--latency-budget", "auto"})
                .latency_budget_us,
            std::nullopt);
}

TEST(LatencyBudget, Errors) {
  auto error = [](const char* text) { return error_of({"--demo", "--latency-budget", text}); };
  EXPECT_EQ(error("soon"),
            "sluice: --latency-budget: 'soon' is not auto, off or a time: a number "
            "with us, ms or s");
  EXPECT_EQ(error("9us"), "sluice: --latency-budget: 9us is out of bounds: 0, or 10us to 20ms");
}

TEST(Upstream, OptionsStandBehindTheUrl) {
  Config config =
      config_of({"--upstream", "http://127.0.0.1:1;weight=3", "--upstream",
                 "unix:/run/app.sock;backup;weight=1000", "--upstream", "http://127.0.0.1:2",
                 "--route", "path=/x,upstream=http://127.0.0.1:1;weight=2"});
  const std::vector<Upstream>& upstreams = config.routes[0].upstreams;
  ASSERT_EQ(upstreams.size(), 3U);
  EXPECT_EQ(upstreams[0].url, "http://127.0.0.1:1") << "options are no part of who it is";
  EXPECT_EQ(upstreams[0].weight, 3U);
  EXPECT_FALSE(upstreams[0].backup);
  EXPECT_EQ(upstreams[1].url, "unix:/run/app.sock");
  EXPECT_EQ(upstreams[1].weight, 1000U);
  EXPECT_TRUE(upstreams[1].backup);
  EXPECT_EQ(upstreams[2].weight, 1U);
  EXPECT_FALSE(upstreams[2].backup);
  EXPECT_EQ(config.routes[1].upstreams[0].weight, 2U) << "each route has its own";
}

TEST(Upstream, OptionErrors) {
  auto error = [](const std::string& options) {
    return error_of({"--upstream", "http://127.0.0.1:1" + options});
  };
  EXPECT_EQ(error(";weight=0"), "sluice: --upstream: the weight 0 is out of bounds: 1 to 1000");
  EXPECT_EQ(error(";weight=1001"),
            "sluice: --upstream: the weight 1001 is out of bounds: 1 to 1000");
  EXPECT_EQ(error(";weight=x"), "sluice: --upstream: the weight 'x' is not a number");
  for (const char* option : {"", "backup=on", "weight", "Backup"})
    EXPECT_EQ(error(";" + std::string(option)),
              "sluice: --upstream: '" + std::string(option) +
                  "' is no option of an upstream: weight=N or backup");
  EXPECT_EQ(error(";backup"),
            "sluice: --upstream: a route needs an upstream that is no backup for others");
  EXPECT_EQ(file_error("upstream = \"http://127.0.0.1:1;wait\"", {}),
            "sluice: FILE:1:12: upstream: 'wait' is no option of an upstream: weight=N or backup");
}

TEST(Upstream, Errors) {
  auto error = [](const char* url) { return error_of({"--upstream", url}); };
  EXPECT_EQ(
      error("unix:app.sock"),
      "sluice: --upstream: a unix socket is named by an absolute path (unix:/run/app.sock) or "
      "as @NAME");
  EXPECT_EQ(error("127.0.0.1:1"),
            "sluice: --upstream: '127.0.0.1:1' is not of the form http://HOST:PORT, "
            "https://HOST:PORT or unix:/PATH");
  EXPECT_EQ(error("http://127.0.0.1:1/v1"),
            "sluice: --upstream: an upstream takes no path ('/v1'): requests keep the path they "
            "came with");
  EXPECT_EQ(error("http://127.0.0.1:1?x"),
            "sluice: --upstream: an upstream takes no path ('?x'): requests keep the path they "
            "came with");
  EXPECT_EQ(error("http://me@127.0.0.1:1"), "sluice: --upstream: an upstream takes no user name");
  EXPECT_EQ(error("http://"), "sluice: --upstream: 'http://' names no host");
  EXPECT_EQ(error("http://:9000"), "sluice: --upstream: 'http://:9000' names no host");
  EXPECT_EQ(error("http://127.0.0.1:0"), "sluice: --upstream: port 0 cannot be connected to");
  EXPECT_EQ(error("http://127.0.0.1:99999"),
            "sluice: --upstream: '99999' is not a port (0 to 65535)");
  EXPECT_EQ(error("http://no..such:1"),
            "sluice: --upstream: 'no..such' is neither a host's name nor an IP address");
  EXPECT_EQ(error("http://127.0.0.256:1"),
            "sluice: --upstream: '127.0.0.256' is neither a host's name nor an IP address");
  EXPECT_EQ(error("http://[a.test]:1"), "sluice: --upstream: '[a.test]' is not an IPv6 address");
}

TEST(Upstream, Https) {
  Config config = config_of(
      {"--upstream", "HTTPS://api.test", "--upstream", "https://[::1]:8443", "--upstream",
       "https://api.test;weight=3;insecure=on;sni=b.test;cert=/c;key=/k", "--upstream",
       "https://api.test;sni=api.test;insecure=off;ca=/ca", "--upstream", "http://api.test"});
  const std::vector<Upstream>& all = config.routes[0].upstreams;
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[0].url, "HTTPS://api.test");
  EXPECT_EQ(all[0].host, "api.test");
  EXPECT_EQ(all[0].port, 443);
  EXPECT_EQ(all[0].tls_settings->name, "api.test");
  EXPECT_FALSE(all[0].tls_settings->insecure);
  EXPECT_EQ(all[1].tls_settings->name, "::1");
  EXPECT_EQ(all[1].address.port(), 8443);
  EXPECT_EQ(all[2].url, "https://api.test;cert=/c;key=/k;sni=b.test;insecure=on")
      << "trusted otherwise, so another upstream";
  EXPECT_EQ(all[2].weight, 3U);
  EXPECT_EQ(all[2].tls_settings->name, "b.test");
  EXPECT_TRUE(all[2].tls_settings->insecure);
  EXPECT_EQ(all[3].url, "https://api.test;ca=/ca");
  EXPECT_FALSE(all[4].tls_settings);
}

TEST(Upstream, HttpsErrors) {
  auto error = [](const char* options) {
    return error_of({"--upstream", std::string("https://a.test") + options});
  };
  EXPECT_EQ(error(";cert=/c"), "sluice: --upstream: cert=FILE and key=FILE go together");
  EXPECT_EQ(error(";key=/k"), "sluice: --upstream: cert=FILE and key=FILE go together");
  EXPECT_EQ(error(";ca=/c;insecure=on"),
            "sluice: --upstream: ca=FILE means nothing with insecure=on");
  EXPECT_EQ(error(";ca="), "sluice: --upstream: 'ca=' has no value");
  EXPECT_EQ(error(";insecure=yes"), "sluice: --upstream: 'yes' is neither on nor off");
  EXPECT_EQ(error(";sni=a b"), "sluice: --upstream: 'a b' is no name of a host");
  EXPECT_EQ(error(";insecure"),
            "sluice: --upstream: 'insecure' is no option of an upstream: weight=N or backup, "
            "ca=FILE, cert=FILE, key=FILE, sni=NAME or insecure=on");
  EXPECT_EQ(error("/v1"),
            "sluice: --upstream: an upstream takes no path ('/v1'): requests keep the path they "
            "came with");
  EXPECT_EQ(error_of({"--upstream", "http://a.test;ca=/c"}),
            "sluice: --upstream: 'ca=/c' is for https:// upstreams only");
}

TEST(Listen, OverTls) {
  Config config =
      config_of({"--demo", "--listen", "https://127.0.0.1:443,HTTP://127.0.0.1:80", "--tls-cert",
                 "/a.pem", "--tls-key", "/a.key", "--tls-cert", "/b.pem", "--tls-key", "/b.key"});
  ASSERT_EQ(config.listen.size(), 2U);
  EXPECT_EQ(config.listen[0].name(), "https://127.0.0.1:443");
  EXPECT_EQ(config.listen[1].name(), "127.0.0.1:80");
  ASSERT_EQ(config.tls_keys.size(), 2U);
  EXPECT_EQ(config.tls_keys[1].cert, "/b.pem");
  EXPECT_EQ(config.tls_keys[1].key, "/b.key");
  EXPECT_EQ(error_of({"--demo", "--listen", "https://:443"}),
            "sluice: --listen: https needs a certificate: give tls-cert and tls-key");
  EXPECT_EQ(error_of({"--demo", "--tls-cert", "/a", "--tls-cert", "/b", "--tls-key", "/k"}),
            "sluice: --tls-key: 2 certificates and 1 key; give a tls-key for each tls-cert, in "
            "the same order");
  EXPECT_EQ(error_of({"--demo", "--listen", "https://127.0.0.1:80,127.0.0.1:80"}),
            "sluice: --listen: 127.0.0.1:80 is given twice; once is enough");
}

TEST(Names, Errors) {
  auto error = [](const char* flag, const char* value) {
    return error_of({"--demo", flag, value});
  };
  EXPECT_EQ(error("--dns-servers", "ns.test"),
            "sluice: --dns-servers: 'ns.test' is not the address of a server (10.0.0.2, "
            "127.0.0.1:5353, [::1]:53)");
  EXPECT_THAT(error("--dns-servers", "127.0.0.1:0"), HasSubstr("is not the address of a server"));
  EXPECT_EQ(error("--dns-ttl-min", "10m"),
            "sluice: --dns-ttl-min: dns-ttl-min (10m) is more than dns-ttl-max (5m)");
  EXPECT_EQ(error("--dns-ttl-min", "1ms"),
            "sluice: --dns-ttl-min: 1ms is out of bounds: 100ms to 24h");
}

}  // namespace
}  // namespace sluice
