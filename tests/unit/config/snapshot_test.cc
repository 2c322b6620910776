#include "net/config/snapshot.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/random_source.h"

namespace sluice {
namespace {

using testing::ElementsAre;

Config config_with(const std::vector<std::string>& paths) {
  Config config;
  for (const std::string& path : paths) {
    Upstream upstream;
    upstream.url = "http://at" + path;
    config.routes.push_back({.path = path, .upstreams = {upstream}, .settings = {}});
  }
  return config;
}

std::string found(const ConfigSnapshot& snapshot, std::string_view path) {
  const Route* route = snapshot.find_route(path);
  return route == nullptr ? "none" : route->path;
}

TEST(FindRoute, MatchesWholeSegments) {
  ConfigSnapshot snapshot(config_with({"/v1/chat", "/old/", "/v1"}));
  auto at = [&snapshot](std::string_view path) { return found(snapshot, path); };
  EXPECT_EQ(at("/v1"), "/v1");
  EXPECT_EQ(at("/v1/"), "/v1");
  EXPECT_EQ(at("/v1/x"), "/v1");
  EXPECT_EQ(at("/v1?x"), "/v1");
  EXPECT_EQ(at("/v10"), "none");
  EXPECT_EQ(at("/v1/chat"), "/v1/chat");
  EXPECT_EQ(at("/v1/chat?x=/"), "/v1/chat");
  EXPECT_EQ(at("/v1/chats"), "/v1");
  EXPECT_EQ(at("/old/"), "/old/");
  EXPECT_EQ(at("/old/x"), "/old/");
  EXPECT_EQ(at("/old"), "none");
  EXPECT_EQ(at("/"), "none");
  EXPECT_EQ(at("*"), "none");
  EXPECT_EQ(at(""), "none");
}

TEST(FindRoute, TakesTheDefaultRouteForTheRest) {
  ConfigSnapshot snapshot(config_with({"/v1", "/"}));
  EXPECT_EQ(found(snapshot, "/v10"), "/");
  EXPECT_EQ(found(snapshot, "/"), "/");
  EXPECT_EQ(found(snapshot, "/?x"), "/");
  EXPECT_EQ(found(snapshot, "*"), "none");
}

TEST(FindRoute, FindsNoneWithoutRoutes) {
  EXPECT_EQ(found(ConfigSnapshot(Config{}), "/"), "none");
}

// As defined: of all that match, the longest.
std::string longest(const std::vector<std::string>& routes, const std::string& path) {
  std::string best = "none";
  for (const std::string& route : routes) {
    bool matches = path == route || path.starts_with(route + "/") ||
                   path.starts_with(route + "?") ||
                   (route.ends_with('/') && path.starts_with(route));
    if (matches && (best == "none" || route.size() > best.size())) best = route;
  }
  return best;
}

TEST(FindRoute, IsTheLongestOfAllThatMatch) {
  test::RandomSource random;
  SCOPED_TRACE(random.trace());
  auto random_path = [&random] {
    std::string path = "/";
    for (size_t i = random.between(0, 6); i > 0; --i) path += "ab/?-"[random.between(0, 4)];
    return path;
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> routes;
    for (size_t i = random.between(0, 11); i > 0; --i) {
      std::string path = random_path();
      std::erase(path, '?');
      if (std::ranges::count(routes, path) == 0) routes.push_back(path);
    }
    ConfigSnapshot snapshot(config_with(routes));
    for (int i = 0; i < 50; ++i) {
      std::string path = random_path();
      ASSERT_EQ(found(snapshot, path), longest(routes, path)) << path;
    }
  }
}

TEST(ConfigSnapshot, NumbersStayTheSameOverReloads) {
  ConfigSnapshot first(config_with({"/b", "/a"}));
  auto numbers = [](const ConfigSnapshot& snapshot, const char* path) {
    const Route& route = *snapshot.find_route(path);
    return std::vector<uint32_t>{route.id, route.upstreams[0].id};
  };
  EXPECT_EQ(first.generation(), 1U);
  EXPECT_THAT(numbers(first, "/b"), ElementsAre(0, 0));
  EXPECT_THAT(numbers(first, "/a"), ElementsAre(1, 1));

  ConfigSnapshot second(config_with({"/c", "/a"}), &first);
  EXPECT_EQ(second.generation(), 2U);
  EXPECT_THAT(numbers(second, "/a"), ElementsAre(1, 1));
  EXPECT_THAT(numbers(second, "/c"), ElementsAre(2, 2));

  ConfigSnapshot third(config_with({"/b"}), &second);
  EXPECT_THAT(numbers(third, "/b"), ElementsAre(0, 0)) << "also where it was away in between";
  EXPECT_THAT(third.route_paths(), ElementsAre("/b", "/a", "/c"));
  EXPECT_THAT(third.upstream_urls(), ElementsAre("http://at/b", "http://at/a", "http://at/c"));
}

TEST(ConfigSnapshot, NamesThatComeAndGoTakeNoMoreNumbers) {
  auto now = std::make_unique<ConfigSnapshot>(config_with({"/stays"}));
  for (int i = 0; i < 20; ++i) {
    std::string path = "/" + std::to_string(i);
    now = std::make_unique<ConfigSnapshot>(config_with({"/stays", path}), now.get());
    EXPECT_EQ(now->find_route("/stays")->id, 0U);
    EXPECT_EQ(now->route_paths()[now->find_route(path)->id], path);
    EXPECT_EQ(now->upstream_urls()[now->find_route(path)->upstreams[0].id], "http://at" + path);
  }
  EXPECT_EQ(now->route_paths().size(), 3U) << "two follow each other";
  EXPECT_EQ(now->upstream_urls().size(), 3U);
  EXPECT_THAT(now->renamed_routes(), ElementsAre(now->find_route("/19")->id));
  EXPECT_THAT(now->renamed_upstreams(), ElementsAre(now->find_route("/19")->upstreams[0].id));
}

TEST(ConfigSnapshot, OfAnUpstreamThatIsGoneTheBoardForgets) {
  auto now = std::make_unique<ConfigSnapshot>(config_with({"/a"}));
  now->board().health(0).drain(1);
  Upstream held = now->routes()[0].upstreams[0];
  for (const char* path : {"/b", "/c"})
    now = std::make_unique<ConfigSnapshot>(config_with({path}), now.get());
  EXPECT_TRUE(now->board().health(0).drained) << "it is still used";
  held = {};
  for (const char* path : {"/d", "/e"})
    now = std::make_unique<ConfigSnapshot>(config_with({path}), now.get());
  EXPECT_NE(now->upstream_urls()[0], "http://at/a");
  EXPECT_FALSE(now->board().health(0).drained);
}

TEST(ConfigSnapshot, RoutesThatNameAnUpstreamShareItsNumber) {
  Config config = config_with({"/a", "/b"});
  config.routes[1].upstreams.push_back(config.routes[0].upstreams[0]);
  ConfigSnapshot snapshot(config);
  EXPECT_EQ(snapshot.find_route("/b")->upstreams[1].id, snapshot.find_route("/a")->upstreams[0].id);
}

TEST(UpstreamsInUse, AreThoseOfItsOwnRoutes) {
  Config config = config_with({"/a", "/b", "/c"});
  config.routes[2].upstreams[0].url = config.routes[0].upstreams[0].url;
  ConfigSnapshot before(config);
  EXPECT_THAT(before.upstreams_in_use(), ElementsAre(0, 1));
  EXPECT_EQ(before.find_upstream("http://at/b"), 1U);
  EXPECT_EQ(before.find_upstream("http://at/c"), std::nullopt);
  ConfigSnapshot after(config_with({"/b", "/d"}), &before);
  EXPECT_THAT(after.upstreams_in_use(), ElementsAre(1, 2));
  EXPECT_EQ(after.find_upstream("http://at/a"), std::nullopt) << "no route names it any more";
}

}  // namespace
}  // namespace sluice
