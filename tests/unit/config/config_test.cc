#include "net/config/config.h"

#include <gmock/gmock.h>

#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(Defaults, OfOneUpstream) {
  Config config = config_of({"--upstream", kUpstream});
  EXPECT_THAT(listen_texts(config), ElementsAre("127.0.0.1:8080"));
  EXPECT_EQ(config.admin.text(), "127.0.0.1:9901");
  EXPECT_TRUE(config.admin_on);
  EXPECT_FALSE(config.check_only);
  ASSERT_THAT(paths(config), ElementsAre("/"));
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 30'000U);
  EXPECT_FALSE(config.routes[0].settings.heartbeat_named_by_route);
  ASSERT_THAT(urls(config.routes[0]), ElementsAre(kUpstream));
  EXPECT_EQ(config.routes[0].upstreams[0].host, "127.0.0.1:9000");
  EXPECT_EQ(config.routes[0].upstreams[0].address.text(), "127.0.0.1:9000");
}

TEST(Precedence, FlagsWinOverTheFile) {
  Config config =
      config_of_file(kFile, {"--listen", "127.0.0.1:9", "--upstream", kUpstream, "--pin",
                             "--heartbeat=20s", "--route", "path=/v1,upstream=http://127.0.0.1:7"});
  EXPECT_THAT(listen_texts(config), ElementsAre("127.0.0.1:9"));
  EXPECT_TRUE(config.pin);
  EXPECT_EQ(config.threads, 2U);
  ASSERT_THAT(paths(config), ElementsAre("/", "/v1", "/v2"));
  EXPECT_THAT(urls(config.routes[1]), ElementsAre("http://127.0.0.1:7"));
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 20'000U);
  EXPECT_EQ(config.routes[2].settings.heartbeat_ms, 20'000U);
  EXPECT_THAT(urls(config.routes[0]), ElementsAre(kUpstream));
}

TEST(Precedence, RouteKeepsItsOwnValueUnderAFlag) {
  Config config = config_of_file(kFile, {"--heartbeat=20s"});
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 0U);
  EXPECT_EQ(config.routes[2].settings.heartbeat_ms, 20'000U);
}

TEST(Precedence, RouteFlagReplacesTheDefaultRoute) {
  Config config = config_of_file(kFile, {"--route", "path=/,upstream=http://127.0.0.1:7"});
  ASSERT_THAT(paths(config), ElementsAre("/", "/v1", "/v2"));
  EXPECT_THAT(urls(config.routes[0]), ElementsAre("http://127.0.0.1:7"));
}

TEST(Precedence, BadValueOfTheFileIsReportedEvenUnderAFlag) {
  EXPECT_EQ(file_error("max-headers = 1\n", {"--demo", "--max-headers=20"}),
            "sluice: FILE:1:15: max-headers: 1 is out of bounds: 8 to 1024");
}

TEST(Demo, LeavesTheDefaultRouteEmpty) {
  Config config = config_of({"--demo", "--heartbeat", "1s"});
  EXPECT_TRUE(config.demo);
  ASSERT_THAT(paths(config), ElementsAre("/hub", "/"));
  EXPECT_TRUE(config.routes[1].upstreams.empty());
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 1000U);
}

TEST(Demo, StandsBesideRoutes) {
  Config config = config_of({"--demo", "--route", "path=/v1,upstream=http://127.0.0.1:1"});
  ASSERT_THAT(paths(config), ElementsAre("/v1", "/hub", "/"));
  EXPECT_TRUE(config.routes[2].upstreams.empty());
}

TEST(Demo, GivesWayToAnUpstream) {
  EXPECT_THAT(urls(config_of({"--demo", "--upstream", kUpstream}).routes[0]),
              ElementsAre(kUpstream));
  Config config = config_of({"--demo", "--route", "path=/,upstream=http://127.0.0.1:1"});
  ASSERT_EQ(config.routes.size(), 1U);
  EXPECT_THAT(urls(config.routes[0]), ElementsAre("http://127.0.0.1:1"));
}

TEST(Routes, OverrideSomeOfTheGlobalSettings) {
  Config config =
      config_of({"--upstream", kUpstream, "--heartbeat", "5s", "--buffer-size", "2k", "--route",
                 "path=/v1/chat/completions,upstream=http://127.0.0.1:1,upstream=http://"
                 "127.0.0.1:2,heartbeat=15s"});
  ASSERT_THAT(paths(config), ElementsAre("/", "/v1/chat/completions"));
  const Route& route = config.routes[1];
  EXPECT_THAT(urls(route), ElementsAre("http://127.0.0.1:1", "http://127.0.0.1:2"));
  EXPECT_EQ(route.settings.heartbeat_ms, 15'000U);
  EXPECT_TRUE(route.settings.heartbeat_named_by_route);
  EXPECT_EQ(route.settings.buffer_size, 2048U);
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 5000U);
  EXPECT_FALSE(config.routes[0].settings.heartbeat_named_by_route);
}

TEST(Routes, PathsAreTakenOnce) {
  std::string route = "path=/v1,upstream=http://127.0.0.1:1";
  EXPECT_EQ(error_of({"--route", route, "--route", route}),
            "sluice: --route path=/v1: path /v1 is already taken by --route path=/v1");
  EXPECT_EQ(error_of({"--upstream", kUpstream, "--route", "path=/,upstream=http://127.0.0.1:1"}),
            "sluice: --route path=/: path / is already taken by --upstream");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\nupstream = \"http://127.0.0.1:1\"\n"
                       "[[route]]\nupstream = \"http://127.0.0.1:1\"\npath = \"/v1\"\n"),
            "sluice: FILE:4:1: path /v1 is already taken by FILE:1:1");
}

TEST(Routes, NowhereToSendRequests) {
  EXPECT_EQ(error_of({}),
            "sluice: nowhere to send requests: give --upstream http://HOST:PORT, --route "
            "path=/...,upstream=... or --demo");
}

TEST(Check, SettingsThatDoNotFit) {
  EXPECT_EQ(error_of({"--demo", "--buffer-size", "128k"}),
            "sluice: --buffer-size: buffer-size (128k) is more than event-hold (64k)");
  EXPECT_EQ(error_of({"--demo", "--buffer-size-max", "4k"}),
            "sluice: --buffer-size-max: buffer-size (8k) is more than buffer-size-max (4k)");
  EXPECT_EQ(error_of({"--route", "path=/v1,upstream=http://127.0.0.1:1,event-hold=4k"}),
            "sluice: --route path=/v1: event-hold: buffer-size (8k) is more than event-hold (4k)");
  EXPECT_EQ(error_of({"--demo", "--dialect", "openai", "--framing", "line"}),
            "sluice: --dialect: dialects are made of whole events, so they need framing event");
  EXPECT_EQ(error_of({"--demo", "--framing", "off", "--gate", "content"}),
            "sluice: --gate: dialects are made of whole events, so they need framing event");
  EXPECT_EQ(config_of({"--demo", "--buffer-size=128k", "--event-hold=128k"})
                .routes[0]
                .settings.buffer_size,
            128U * 1024);
  EXPECT_EQ(error_of({"--demo", "--pool-max", "4m"}),
            "sluice: --pool-max: pool-sse-event and pool-http-message start with 12000k, which is "
            "more than pool-max (4m) less its 16th part for heads, 3840k");
}

TEST(Check, SaysWhatTheConfigurationAmountsTo) {
  ConfigResult one = read({"--check", "--upstream", kUpstream});
  EXPECT_FALSE(one.config);
  EXPECT_EQ(one.exit_status, 0);
  EXPECT_EQ(one.message,
            "configuration ok: 1 route, 1 upstream, listening on 127.0.0.1:8080, admin on "
            "127.0.0.1:9901");
  TomlFile file(kFile);
  EXPECT_EQ(read({"--check", "--config", file.path(), "--admin", "off"}).message,
            "configuration ok: 3 routes, 4 upstreams, listening on 127.0.0.1:1, 127.0.0.1:2, "
            "admin off");
}

TEST(Check, FailsOnAMistake) {
  EXPECT_EQ(error_of({"--check", "--demo", "--max-headers", "1"}),
            "sluice: --max-headers: 1 is out of bounds: 8 to 1024");
  EXPECT_EQ(error_of({"--demo", "--check", "it"}), "sluice: --check: 'it' is neither on nor off");
}

TEST(HelpAndVersion, WinOverMistakesInValues) {
  ConfigResult version = read({"--version", "--heartbeat", "x"});
  EXPECT_FALSE(version.config);
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_THAT(version.message, testing::MatchesRegex("sluice [0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(read({"--help", "--heartbeat", "x"}).message,
              StartsWith("A streaming gateway for Server-Sent Events."));
}

}  // namespace
}  // namespace sluice
