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
