// What read_flags() makes of argv; each flag for itself is in config_settings_test.cc.
#include <gmock/gmock.h>

#include "net/config/config.h"
#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::ElementsAre;

TEST(Flags, SwitchTakesNoNextArgumentForItsValue) {
  Config config = config_of({"--demo", "--heartbeat", "1s"});
  EXPECT_TRUE(config.demo);
  EXPECT_EQ(config.defaults.heartbeat_ms, 1000U);
}

TEST(Flags, OnlySwitchesCanBeNegated) {
  EXPECT_EQ(error_of({"--demo", "--no-heartbeat"}),
            "sluice: --no-heartbeat: no such flag; did you mean --heartbeat?");
}

TEST(RouteFlag, TakesSeveralUpstreamsInTheirOrder) {
  Config config =
      config_of({"--route", "upstream=http://127.0.0.1:2,path=/v1,upstream=http://127.0.0.1:1"});
  EXPECT_THAT(urls(config.routes[0]), ElementsAre("http://127.0.0.1:2", "http://127.0.0.1:1"));
}

TEST(Flags, LastOneWins) {
  EXPECT_EQ(config_of({"--demo", "--max-headers", "20", "--max-headers=30"}).max_headers, 30U);
  EXPECT_FALSE(config_of({"--demo", "--pin", "--no-pin"}).pin);
  EXPECT_TRUE(config_of({"--demo", "--no-pin", "--pin"}).pin);
  EXPECT_FALSE(config_of({"--upstream", kUpstream, "--demo", "--no-demo"}).demo);
}

TEST(Flags, ListsCollect) {
  EXPECT_THAT(
      listen_texts(config_of({"--demo", "--listen", ":1,[::1]:2", "--listen", "127.0.0.1:3"})),
      ElementsAre(testing::EndsWith(":1"), "[::1]:2", "127.0.0.1:3"));
  EXPECT_EQ(config_of({"--demo", "--uring-disable=recv-budget", "--uring-disable=huge-pages"})
                .uring_disable,
            "recv-budget,huge-pages");
}

TEST(Flags, AnAdminHostIsANameOrAnAddress) {
  EXPECT_THAT(
      config_of({"--demo", "--admin-host", "Az_09-1.test,10.0.0.1", "--admin-host", "fe80::1"})
          .admin_hosts,
      ElementsAre("Az_09-1.test", "10.0.0.1", "fe80::1"));
  for (std::string item : {"a:9901", "http://a", "[::1]", "a/b", "*", "a b"})
    EXPECT_EQ(error_of({"--demo", "--admin-host", item}),
              "sluice: --admin-host: '" + item +
                  "' is not a host name or IP address, without scheme and port");
}

TEST(Flags, TheNameOfTheAdminAddressIsKept) {
  for (auto [text, name] : {std::pair("localhost:1", "localhost"), std::pair("[::1]:2", "::1"),
                            std::pair(":3", ""), std::pair("0.0.0.0:4", "0.0.0.0")})
    EXPECT_EQ(config_of({"--demo", "--admin", text}).admin_name, name);
}

TEST(Flags, TheAccessLogIsAPathAndNoSwitch) {
  for (std::string word : {"on", "true", "yes", "false", "no"})
    EXPECT_EQ(error_of({"--demo", "--access-log", word}),
              "sluice: --access-log: '" + word + "' is no path: name a file ('./" + word +
                  "' if it has that name), - for stdout, or off");
  for (const char* path : {"./on", "/on", "off", "-", "one.log"})
    EXPECT_EQ(config_of({"--demo", "--access-log", path}).access_log, path);
}

TEST(Flags, ThreadsAll) {
  EXPECT_EQ(config_of({"--demo", "--threads", "all"}).threads, 0U);
  EXPECT_EQ(config_of({"--demo", "--threads=0"}).threads, 0U);
  EXPECT_EQ(config_of({"--demo", "--threads=2", "--threads=all"}).threads, 0U);
}

TEST(Flags, UnknownOnes) {
  EXPECT_EQ(error_of({"--heartbaet", "30s"}),
            "sluice: --heartbaet: no such flag; did you mean --heartbeat?");
  EXPECT_EQ(error_of({"--buffersize=4k"}),
            "sluice: --buffersize: no such flag; did you mean --buffer-size?");
  EXPECT_EQ(error_of({"-x"}), "sluice: -x: no such flag; --help lists them all");
  EXPECT_EQ(error_of({"--path", "/v1"}),
            "sluice: --path: path is a key of --route: --route path=PATH");
  EXPECT_EQ(error_of({"--certificate"}),
            "sluice: --certificate: no such flag; --help lists them all");
  EXPECT_EQ(error_of({"start", "--demo"}),
            "sluice: start: unexpected argument: every setting is a flag, see --help");
}

TEST(RouteFlag, SaysWhatIsWrong) {
  auto error = [](const char* route) { return error_of({"--route", route}); };
  EXPECT_EQ(error("path=/v1,upstrem=http://127.0.0.1:1"),
            "sluice: --route path=/v1: a route has no setting 'upstrem'; did you mean upstream?");
  EXPECT_EQ(error("upstream=http://127.0.0.1:1"),
            "sluice: --route upstream=http://127.0.0.1:1: a route needs a path: path=/PREFIX");
  EXPECT_EQ(
      error("path=/v1"),
      "sluice: --route path=/v1: a route needs an upstream: upstream=http://HOST:PORT, or a hub: "
      "hub=NAME");
  EXPECT_EQ(error("path=v1,upstream=http://127.0.0.1:1"),
            "sluice: --route path=v1: path: 'v1' does not start with \"/\"");
  EXPECT_EQ(error("path=/v1?x,upstream=http://127.0.0.1:1"),
            "sluice: --route path=/v1?x: path: '/v1?x' holds what no path does: blanks, controls, "
            "? or #");
  EXPECT_EQ(error("path=/v1,heartbeat"),
            "sluice: --route path=/v1: heartbeat needs a value: heartbeat=TIME");
  EXPECT_EQ(error("path=/v1,heartbeat="),
            "sluice: --route path=/v1: heartbeat needs a value: heartbeat=TIME");
  EXPECT_EQ(error("path=/v1,heartbeat=1s,heartbeat=2s"),
            "sluice: --route path=/v1: heartbeat is given twice");
  EXPECT_EQ(error("path=/v1,heartbeat=soon"),
            "sluice: --route path=/v1: heartbeat: 'soon' is not a time: a number with ms, s, m or "
            "h");
  EXPECT_EQ(error("path=/v1,"),
            "sluice: --route path=/v1: a route has no setting ''; --help lists them all");
  EXPECT_EQ(error("path=/v1,threads=2"),
            "sluice: --route path=/v1: threads is a setting of the whole process, not of a route");
}

}  // namespace
}  // namespace sluice
