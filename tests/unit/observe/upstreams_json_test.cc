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
  std::string text = render_upstreams(snapshot, workers, 2000);
  EXPECT_THAT(text, HasSubstr(R"([{"url":"http://\"x\"","state":"open","state_for_ms":991,)"
                              R"("outstanding":1,"failures_in_row":4,)"
                              R"("routes":[{"path":"/a","weight":3,"backup":false},)"
                              R"({"path":"/b","weight":3,"backup":true}],)"
                              R"("attempts":{"upstream_reset":4},)"
                              R"("ejections":{"connect":0,"timeout":0,"broken":0,"status":10},)"
                              R"("last_ejections":[{"ms_ago":991,"for_ms":9,"reason":"status"},)"
                              R"({"ms_ago":992,)"));
  EXPECT_THAT(text, HasSubstr(R"({"ms_ago":998,"for_ms":2,"reason":"status"}]}])"))
      << "the last eight";
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
