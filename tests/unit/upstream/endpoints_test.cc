// What a worker's endpoints make of the board: the gateway around them is real, and the clock the
// test's.
#include "net/upstream/endpoints.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice::test {
namespace {

class EndpointsTest : public ::testing::Test {
 protected:
  EndpointsTest() {
    Route& route = config_.routes[0];
    route.upstreams.push_back(config_to(second_.port()).routes[0].upstreams[0]);
    route.settings.balance.method = Balance::Method::kRoundRobin;
    route.settings.slow_start_ms = 10'000;
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener});
  }
  // So many requests, of which the second upstream gets that many.
  uint64_t to_the_second(uint64_t requests) {
    Metrics& metrics = rig_->gateway.metrics();
    uint64_t before = metrics.of_upstream(1).begun;
    uint64_t all = metrics.of_upstream(0).begun + before + requests;
    for (uint64_t i = 0; i < requests; ++i) {
      clients_.push_back(Wire::connect_to(port_));
      clients_.back().send(get("/"));
    }
    rig_->turn_until_true(
        [&] { return metrics.of_upstream(0).begun + metrics.of_upstream(1).begun == all; });
    return metrics.of_upstream(1).begun - before;
  }

  // So many streams have sent their requests.
  void await_requests(ptrdiff_t requests) {
    rig_->turn_until_true([&] {
      return std::ranges::count(rig_->streams(), phase_name(Phase::kAwaitingHead),
                                &StreamInfo::phase) == requests;
    });
    rig_->settle();
  }
  UpstreamHealth& health(uint32_t id) {
    return rig_->gateway.context().snapshot->board().health(id);
  }
  uint64_t retries(Failure failure) {
    return rig_->gateway.metrics().retries[static_cast<unsigned>(failure)];
  }

  Upstreams first_;
  Upstreams second_;
  Config config_ = config_to(first_.port());
  uint16_t port_ = 0;
  std::unique_ptr<GatewayRig> rig_;
  std::vector<Wire> clients_;
};

TEST_F(EndpointsTest, AnUpstreamThatReturnsStartsSlowly) {
  EXPECT_EQ(to_the_second(20), 10U);
  UpstreamHealth& health = rig_->gateway.context().snapshot->board().health(1);
  health.returned_ms = rig_->loop.now_ms();
  EXPECT_LE(to_the_second(20), 2U);
  rig_->pass(5'000);
  uint64_t half_way = to_the_second(30);
  EXPECT_GE(half_way, 8U);
  EXPECT_LE(half_way, 12U) << "half of its weight";
  rig_->pass(5'000);
  EXPECT_GE(to_the_second(20), 9U);
}

TEST_F(EndpointsTest, OneThatIsDrainedGetsNothing) {
  UpstreamHealth& health = rig_->gateway.context().snapshot->board().health(1);
  health.drain(rig_->loop.now_ms());
  EXPECT_EQ(to_the_second(10), 0U);
}

TEST_F(EndpointsTest, OneWhoseProbesFailGetsNothingUntilAllDo) {
  uint64_t now_ms = rig_->loop.now_ms();
  UpstreamBoard& board = rig_->gateway.context().snapshot->board();
  board.health(1).set_unhealthy(now_ms);
  EXPECT_EQ(to_the_second(10), 0U);
  board.health(0).set_unhealthy(now_ms);
  EXPECT_EQ(to_the_second(10), 5U) << "nobody is better than another";
  board.health(0).set_healthy(now_ms);
  EXPECT_EQ(to_the_second(10), 0U);
  board.health(1).ejected_until_ms = now_ms;
  EXPECT_EQ(to_the_second(10), 0U) << "nor is it tried";
  EXPECT_EQ(board.health(1).trial, 0U);
}

TEST_F(EndpointsTest, TheLastOneWhoseProbesPassIsNotEjected) {
  UpstreamBoard& board = rig_->gateway.context().snapshot->board();
  board.health(1).set_unhealthy(rig_->loop.now_ms());
  for (uint64_t i = 0; i < 2 * config_.routes[0].settings.eject_after; ++i) {
    EXPECT_EQ(to_the_second(1), 0U);
    rig_->settle();  // it connects
    first_.accept().hang_up();
    rig_->turn_until_true([&] { return board.outstanding(0) == 0; });
  }
  EXPECT_EQ(board.health(0).ejected_until_ms, 0U);
}

// Both retries are decided in one turn, when nobody tries the upstream yet, and begin later.
TEST_F(EndpointsTest, OfTwoRetriesAtOnceOneTriesAnUpstreamThatIsHalfOpen) {
  health(1).ejected_until_ms = rig_->loop.now_ms() + 500;
  EXPECT_EQ(to_the_second(2), 0U);
  await_requests(2);
  Metrics& metrics = rig_->gateway.metrics();
  rig_->pass(60'000);
  ASSERT_EQ(health(1).state(rig_->loop.now_ms()), UpstreamState::kHalfOpen);
  rig_->turn_until_true([&] { return metrics.streams_ended == 1; });
  EXPECT_EQ(metrics.of_upstream(1).begun, 1U);
  EXPECT_EQ(retries(Failure::kIdle), 1U);
  EXPECT_EQ(metrics.endings[static_cast<unsigned>(Ending::kUpstreamFirstByteTimeout)], 1U)
      << "nothing else was left for the other one";
}

TEST_F(EndpointsTest, ATrialWhoseClientLeavesIsOver) {
  health(0).drain(rig_->loop.now_ms());
  health(1).ejected_until_ms = rig_->loop.now_ms();
  EXPECT_EQ(to_the_second(1), 1U);
  EXPECT_NE(health(1).trial, 0U);
  clients_.back().hang_up();
  rig_->turn_until_true([this] { return rig_->gateway.metrics().streams_ended == 1; });
  EXPECT_EQ(health(1).trial, 0U);
}

TEST_F(EndpointsTest, AKeptConnectionThatTimesOutIsNotStale) {
  health(1).drain(rig_->loop.now_ms());
  EXPECT_EQ(to_the_second(1), 0U);
  await_requests(1);
  Wire upstream = first_.accept();
  upstream.send("HTTP/1.1 204 No\r\n\r\n");
  Metrics& metrics = rig_->gateway.metrics();
  rig_->turn_until_true([&] { return metrics.streams_ended == 1; });
  EXPECT_EQ(to_the_second(1), 0U);
  await_requests(1);
  EXPECT_EQ(metrics.upstream_reuses, 1U);
  health(1).undrain(rig_->loop.now_ms());
  rig_->pass(60'000);
  rig_->turn_until_true([&] { return metrics.of_upstream(1).begun == 1; });
  EXPECT_EQ(retries(Failure::kIdle), 1U);
  EXPECT_EQ(metrics.upstream_retries, 0U);
}

}  // namespace
}  // namespace sluice::test
