#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string hub_error(const std::string& settings) {
  return error_of({"--route", "path=/hub," + settings});
}

TEST(HubSettings, AHubTakesTheUpstreamsPlace) {
  Config config = config_of({"--health", "/ok", "--route", "path=/hub,hub=main"});
  const Route& route = config.routes.front();
  EXPECT_EQ(route.hub, "main");
  ASSERT_EQ(route.upstreams.size(), 1U);
  EXPECT_EQ(route.upstreams.front().url, "hub:main");
  EXPECT_EQ(route.settings.heal, Heal::kOff);
  EXPECT_EQ(route.settings.health, "");
}

TEST(HubSettings, SayWhatIsWrong) {
  EXPECT_THAT(hub_error("hub=a b"), HasSubstr("no name of a hub"));
  EXPECT_THAT(hub_error("hub=" + std::string(65, 'a')), HasSubstr("no name of a hub"));
  EXPECT_THAT(hub_error("hub=a,upstream=http://127.0.0.1:1"), HasSubstr("upstreams or a hub"));
  EXPECT_THAT(hub_error("hub=a,hub-cors=*,hub-cors-credentials=on"), HasSubstr("never with"));
  EXPECT_THAT(hub_error("hub=a,hub-cors=*+https://a.example"), HasSubstr("no other origin"));
  for (const char* origin : {"a.example", "https://", "https://a.example/", "https://*.example"})
    EXPECT_THAT(hub_error("hub=a,hub-cors=" + std::string(origin)), HasSubstr("an origin"))
        << origin;
  EXPECT_THAT(hub_error("hub=a,hub-history-bytes=64k,hub-event-size=1m"), HasSubstr("no room"));
  EXPECT_THAT(hub_error("hub=a,hub-store=nats:x"), HasSubstr("no store: sqlite:FILE"));
  EXPECT_THAT(hub_error("upstream=http://127.0.0.1:1,hub-store=sqlite:x"), HasSubstr("to a hub"));
  EXPECT_THAT(error_of({"--upstream", "hub:main"}), HasSubstr("hub:main"));
}

Route source_route(const std::string& source) {
  Config config =
      config_of({"--heartbeat", "1s", "--route", "path=/hub,hub=main,hub-source=" + source});
  EXPECT_EQ(config.routes.size(), 2U);
  return *std::ranges::find(config.routes, false,
                            [](const Route& route) { return route.feeds.hub.empty(); });
}

TEST(HubSettings, ASourceHasARouteThatNoRequestFinds) {
  Route route = source_route("news-1=http://127.0.0.1:9000/a/b?c=d=e");
  EXPECT_EQ(route.path, "hub-source:main/news-1");
  EXPECT_EQ(route.feeds.hub, "main");
  EXPECT_EQ(route.feeds.stream, "news-1");
  EXPECT_EQ(route.feeds.target, "/a/b?c=d=e");
  ASSERT_EQ(route.upstreams.size(), 1U);
  EXPECT_EQ(route.upstreams.front().url, "http://127.0.0.1:9000");
  EXPECT_EQ(route.settings.heal, Heal::kOff) << "it connects anew by itself";
  EXPECT_EQ(route.settings.heartbeat_ms, 0U);
  EXPECT_EQ(source_route("a=http://localhost").feeds.target, "/");
  EXPECT_EQ(source_route("a=http://localhost?b").feeds.target, "/?b");
  route = source_route("a=unix:/run/app.sock:/events");
  EXPECT_EQ(route.upstreams.front().url, "unix:/run/app.sock");
  EXPECT_EQ(route.feeds.target, "/events");
  EXPECT_EQ(source_route("a=unix:/run/app.sock").feeds.target, "/");
  route = source_route("a=https://host/x;insecure=on");
  EXPECT_EQ(route.feeds.target, "/x");
  EXPECT_TRUE(route.upstreams.front().tls_settings->insecure);
}

TEST(HubSettings, SayWhatIsWrongWithASource) {
  auto error = [](const std::string& source) { return hub_error("hub=a,hub-source=" + source); };
  EXPECT_THAT(error("http://127.0.0.1"), HasSubstr("STREAM=URL"));
  EXPECT_THAT(error("=http://127.0.0.1"), HasSubstr("no name of a stream"));
  EXPECT_THAT(error("-a=http://127.0.0.1"), HasSubstr("no name of a stream"));
  EXPECT_THAT(error("a b=http://127.0.0.1"), HasSubstr("no name of a stream"));
  EXPECT_THAT(error("a=ftp://127.0.0.1/"), HasSubstr("is not of the form http://"));
  EXPECT_THAT(error("a=http://127.0.0.1/#b"), HasSubstr("what no path of a URL does"));
  EXPECT_THAT(error("a=http://127.0.0.1/b c"), HasSubstr("what no path of a URL does"));
  EXPECT_THAT(error("a=http://127.0.0.1;weight=2"), HasSubstr("neither weight nor backup"));
  EXPECT_THAT(error("a=http://127.0.0.1;backup"), HasSubstr("neither weight nor backup"));
  EXPECT_THAT(error("a=http://127.0.0.1,hub-source=a=http://127.0.0.2"),
              HasSubstr("has a source already"));
  EXPECT_THAT(hub_error("upstream=http://127.0.0.1:1,hub-source=a=http://b"),
              HasSubstr("feeds a hub"));
}

// Its page counts through it.
TEST(HubSettings, TheDemoHasOne) {
  Config config = config_of({"--demo"});
  ASSERT_EQ(config.routes.size(), 2U);
  EXPECT_EQ(config.routes[0].path, "/hub");
  EXPECT_EQ(config.routes[0].hub, "demo");
  EXPECT_EQ(config.routes[0].settings.heal, Heal::kOff);
  EXPECT_EQ(config.routes[1].path, "/");
  EXPECT_THAT(config.routes[1].upstreams, IsEmpty());
}

TEST(HubSettings, TheDemoOpensNoHubOfAnother) {
  Config config = config_of({"--demo", "--route", "path=/mine,hub=demo,hub-access=read"});
  ASSERT_EQ(config.routes.size(), 2U);
  EXPECT_EQ(config.routes[0].path, "/mine");
  EXPECT_EQ(config.routes[1].path, "/");
}

TEST(HubSettings, TheDemoTakesNoPathOfAnother) {
  Config config = config_of({"--demo", "--route", "path=/hub,hub=mine"});
  ASSERT_EQ(config.routes.size(), 2U);
  EXPECT_EQ(config.routes[0].hub, "mine");
  config = config_of({"--demo", "--upstream", "http://127.0.0.1:1"});
  ASSERT_EQ(config.routes.size(), 1U);
  EXPECT_EQ(config.routes[0].hub, "");
}

}  // namespace
}  // namespace sluice
