#include "net/config/health_check.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

Route route(const char* path, std::vector<const char*> urls, const char* health) {
  Route made{.path = path, .upstreams = {}, .settings = {}};
  for (const char* url : urls) made.upstreams.push_back({.url = url, .host = {}, .address = {}});
  made.settings.health = health;
  return made;
}

TEST(HealthCheck, OfRoutesThatDifferTheFirstByPathHolds) {
  Config config;
  config.routes = {route("/b", {"http://x", "http://y"}, "/of-b"),
                   route("/a", {"http://x"}, "/of-a"), route("/", {"http://x", "http://z"}, "")};
  config.routes[0].settings.health_fail = 7;
  ConfigSnapshot snapshot(config);
  std::vector<HealthCheck> checks = health_checks(snapshot);
  ASSERT_EQ(checks.size(), 3U);
  HealthCheck x = checks[*snapshot.find_upstream("http://x")];
  EXPECT_EQ(x.settings->health, "/of-a") << "a route without has no say";
  EXPECT_EQ(x.settings->health_fail, StreamSettings{}.health_fail)
      << "and none of it is of another";
  HealthCheck y = checks[*snapshot.find_upstream("http://y")];
  EXPECT_EQ(y.settings->health, "/of-b");
  EXPECT_EQ(y.upstream->url, "http://y");
  EXPECT_FALSE(checks[*snapshot.find_upstream("http://z")]);
}

TEST(HealthCheck, LeavesOutThoseThatOnlyFormerSnapshotsHad) {
  Config config;
  config.routes = {route("/", {"http://x"}, "/up")};
  ConfigSnapshot before(config);
  config.routes = {route("/", {"http://y"}, "/up")};
  ConfigSnapshot snapshot(config, &before);
  std::vector<HealthCheck> checks = health_checks(snapshot);
  ASSERT_EQ(checks.size(), 2U);
  EXPECT_FALSE(checks[0]);
  EXPECT_TRUE(checks[1]);
}

}  // namespace
}  // namespace sluice
