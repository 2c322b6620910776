#include "net/observe/upstreams_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using testing::HasSubstr;

TEST(UpstreamsJson, TellsAllOfAnUpstream) {
  Config config;
  for (const char* path : {"/a", "/b"}) {
    Route& route = config.routes.emplace_back();
    route.path = path;
    route.upstreams.push_back({.url = "http://\"x\"", .host = {}, .address = {}, .weight = 3});
  }
  config.routes[1].upstreams[0].backup = true;
  ConfigSnapshot snapshot(config);
  std::vector<WorkerSnapshot> workers(2);
  for (WorkerSnapshot& worker : workers)
    worker.metrics.of_upstream(0).ended[static_cast<unsigned>(Ending::kUpstreamReset)] = 2;
  UpstreamHealth& health = snapshot.board().health(0);
  health.failures = 4;
  health.ejections[static_cast<unsigned>(EjectReason::kStatus)] = 10;
  for (uint64_t i = 0; i < 10; ++i) {
    health.last[i % UpstreamHealth::kEjectionsKept].at_ms = 1000 + i;
    health.last[i % UpstreamHealth::kEjectionsKept].lasts_ms = i;
    health.last[i % UpstreamHealth::kEjectionsKept].reason = EjectReason::kStatus;
  }
  health.ejections_noted = 10;
  health.ejected_until_ms = 3000;
  snapshot.board().attempt_begun(1, 0);
  snapshot.board().places(0).waiting = 2;
  std::string text = render_upstreams(snapshot, workers, 2000);
  EXPECT_THAT(text,
              HasSubstr(R"([{"url":"http://\"x\"","state":"open","state_for_ms":991,)"
                        R"("outstanding":1,"pending":2,"failures_in_row":4,)"
                        R"("routes":[{"path":"/a","weight":3,"backup":false},)"
                        R"({"path":"/b","weight":3,"backup":true}],)"
                        R"("attempts":{"upstream_reset":4},)"
                        R"("ejections":{"connect":0,"tls":0,"timeout":0,"broken":0,"status":10},)"
                        R"("last_ejections":[{"ms_ago":991,"for_ms":9,"reason":"status"},)"
                        R"({"ms_ago":992,)"));
  EXPECT_THAT(text, HasSubstr(R"({"ms_ago":998,"for_ms":2,"reason":"status"}],"health":null}])"))
      << "the last eight";
}

TEST(UpstreamsJson, TellsWhatProbesHaveShown) {
  Config config;
  Route& route = config.routes.emplace_back();
  route.path = "/";
  route.upstreams.push_back({.url = "http://a", .host = {}, .address = {}});
  route.settings.health = "/up";
  ConfigSnapshot snapshot(config);
  UpstreamHealth& health = snapshot.board().health(0);
  health.probes.passed = 7;
  EXPECT_THAT(render_upstreams(snapshot, {}, 2000), HasSubstr(R"("last_failure":null}}])"));
  health.probes.failed[static_cast<unsigned>(EjectReason::kStatus)] = 3;
  health.probes.failed_ms = 1500;
  health.probes.reason = EjectReason::kStatus;
  health.probes.status = 503;
  health.set_unhealthy(1200);
  std::string text = render_upstreams(snapshot, {}, 2000);
  EXPECT_THAT(text, HasSubstr(R"("state":"unhealthy","state_for_ms":800,)"));
  EXPECT_THAT(text,
              HasSubstr(R"("health":{"path":"/up","passed":7,)"
                        R"("failed":{"connect":0,"tls":0,"timeout":0,"broken":0,"status":3},)"
                        R"("times_unhealthy":1,)"
                        R"("last_failure":{"ms_ago":500,"reason":"status","status":503}}}])"));
}

TEST(UpstreamsJson, LeavesOutThoseThatNoRouteNames) {
  Config config;
  config.routes.emplace_back().path = "/";
  config.routes[0].upstreams.push_back({.url = "http://a", .host = {}, .address = {}});
  ConfigSnapshot before(config);
  config.routes[0].upstreams[0].url = "http://b";
  std::string text = render_upstreams(ConfigSnapshot(config, &before), {}, 0);
  EXPECT_THAT(text, HasSubstr("http://b"));
  EXPECT_THAT(text, testing::Not(HasSubstr("http://a")));
}

}  // namespace
}  // namespace sluice
