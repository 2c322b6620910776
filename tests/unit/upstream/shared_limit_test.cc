// A limit of connections holds over all workers: two gateways of one board, in turn on this thread.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SharedLimit : public ::testing::Test {
 protected:
  static constexpr unsigned kWorkers = 2;

  SharedLimit() {
    config_.listen = {loopback(1)};  // the name of the one listener
    config_.routes[0].settings.upstream_max_connections = 1;
  }
  ~SharedLimit() override {
    clients_.clear();
    for (auto& rig : rigs_) rig->settle();
  }

  void start() {
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
      std::vector<int> listeners = {listen_on_loopback(&ports_[worker])};
      rigs_.push_back(std::make_unique<GatewayRig>(config_, listeners, 1000, nullptr, worker, "",
                                                   worker == 0 ? nullptr : &snapshot()));
    }
  }
  const ConfigSnapshot& snapshot() { return *rigs_[0]->gateway.context().snapshot; }
  UpstreamPlaces& places(uint32_t upstream = 0) { return snapshot().board().places(upstream); }
  // Their clocks are one.
  void pass(uint64_t ms) {
    rigs_[0]->pass(ms);
    for (auto& rig : rigs_) rig->settle();
  }
  // A client of that worker, and its request is in that phase.
  Wire& ask(unsigned worker, const std::string& target, Phase phase) {
    clients_.push_back(std::make_unique<Wire>(Wire::connect_to(ports_[worker])));
    clients_.back()->send(get(target));
    await(worker, target, phase);
    return *clients_.back();
  }
  void await(unsigned worker, const std::string& target, Phase phase) {
    rigs_[worker]->turn_until_true([&] {
      for (const StreamInfo& stream : rigs_[worker]->streams())
        if (stream.target == target && stream.phase == phase_name(phase)) return true;
      return false;
    });
  }
  size_t connections() {
    size_t all = 0;
    for (auto& rig : rigs_) all += rig->snapshot().upstream_connections;
    return all;
  }
  void answer(unsigned worker, const std::string& target, Wire& upstream) {
    rigs_[worker]->settle();  // the request leaves
    upstream.receive_through(target + " HTTP/1.1\r\n");
    upstream.receive_through("\r\n\r\n");
    uint64_t ended = rigs_[worker]->gateway.metrics().streams_ended;
    upstream.send(ok(target));
    rigs_[worker]->turn_until_true(
        [&] { return rigs_[worker]->gateway.metrics().streams_ended == ended + 1; });
  }
  void reload(unsigned worker, uint64_t connections_max) {
    config_.routes[0].settings.upstream_max_connections = connections_max;
    bool done = false;
    rigs_[worker]->gateway.reload(std::make_shared<ConfigSnapshot>(config_, &snapshot()), {},
                                  [&done] { done = true; });
    rigs_[worker]->turn_until_true([&done] { return done; });
    rigs_[worker]->settle();
  }

  Upstreams upstreams_;
  Upstreams second_;
  Config config_ = config_to(upstreams_.port());
  std::array<uint16_t, kWorkers> ports_{};
  std::vector<std::unique_ptr<GatewayRig>> rigs_;
  std::vector<std::unique_ptr<Wire>> clients_;
};

TEST_F(SharedLimit, IsThatOfAllWorkersTogether) {
  config_.routes[0].settings.upstream_max_connections = 2;
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  ask(1, "/2", Phase::kAwaitingHead);
  ask(0, "/3", Phase::kQueued);
  ask(1, "/4", Phase::kQueued);
  pass(50);
  EXPECT_EQ(connections(), 2U);
  EXPECT_EQ(places().taken, 2U);
  EXPECT_EQ(places().waiting, 2U);
}

TEST_F(SharedLimit, WhatOneWorkerGivesBackAnotherFinds) {
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  Wire upstream = upstreams_.accept();
  ask(1, "/2", Phase::kQueued);
  answer(0, "/1", upstream);
  rigs_[0]->turn_until_true([this] { return places().taken == 0; });
  pass(limits::kPlaceLookMs);
  await(1, "/2", Phase::kAwaitingHead);
  EXPECT_EQ(places().waiting, 0U);
}

TEST_F(SharedLimit, AnIdleConnectionGivesWayToAnotherWorkersRequest) {
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  Wire upstream = upstreams_.accept();
  answer(0, "/1", upstream);
  ASSERT_EQ(rigs_[0]->snapshot().upstream_idle, 1U);
  ask(1, "/2", Phase::kQueued);
  pass(limits::kIdlePlaceLookMs);
  rigs_[0]->turn_until_true([this] { return rigs_[0]->snapshot().upstream_connections == 0; });
  pass(limits::kPlaceLookMs);
  await(1, "/2", Phase::kAwaitingHead);
}

TEST_F(SharedLimit, AWorkerGoesOnWithItsOwnUntilAnotherHasWaitedMuchLonger) {
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  Wire upstream = upstreams_.accept();
  ask(1, "/other", Phase::kQueued);
  pass(limits::kPlaceLeadMs);
  ask(0, "/2", Phase::kQueued);
  answer(0, "/1", upstream);
  await(0, "/2", Phase::kAwaitingHead);
  EXPECT_EQ(rigs_[0]->gateway.metrics().upstream_reuses, 1U);
  pass(1);
  ask(0, "/3", Phase::kQueued);
  answer(0, "/2", upstream);
  rigs_[0]->turn_until_true([this] { return places().taken == 0; });
  ask(0, "/4", Phase::kQueued);
  pass(limits::kPlaceLookMs);
  await(1, "/other", Phase::kAwaitingHead);
  await(0, "/3", Phase::kQueued);
}

TEST_F(SharedLimit, AReloadLowersIt) {
  config_.routes[0].settings.upstream_max_connections = 2;
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  Wire first = upstreams_.accept();
  ask(1, "/2", Phase::kAwaitingHead);
  Wire second = upstreams_.accept();
  reload(0, 1);
  ask(0, "/3", Phase::kQueued);
  reload(1, 1);
  answer(0, "/1", first);
  rigs_[0]->turn_until_true([this] { return places().taken == 1; });
  await(0, "/3", Phase::kQueued);
  answer(1, "/2", second);
  rigs_[1]->turn_until_true([this] { return places().taken == 0; });
  pass(limits::kPlaceLookMs);
  await(0, "/3", Phase::kAwaitingHead);
}

TEST_F(SharedLimit, AReloadBringsItAndTakesItAway) {
  config_.routes[0].settings.upstream_max_connections = 0;
  start();
  for (unsigned worker : {0U, 1U}) ask(worker, "/1", Phase::kAwaitingHead);
  EXPECT_EQ(places().taken, 0U) << "nobody counts without need";
  reload(0, 1);
  EXPECT_EQ(places().taken, 1U);
  ask(0, "/2", Phase::kQueued);
  reload(1, 1);
  EXPECT_EQ(places().taken, 2U);
  reload(0, 0);
  await(0, "/2", Phase::kAwaitingHead);
  reload(1, 0);
  EXPECT_EQ(places().taken, 0U);
  EXPECT_EQ(places().waiting, 0U);
  EXPECT_EQ(connections(), 3U);
}

TEST_F(SharedLimit, BeyondThoseThatMayWaitARequestIsRefusedAtOnce) {
  config_.routes[0].settings.upstream_max_pending = 1;
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  ask(0, "/2", Phase::kQueued);
  Wire late = Wire::connect_to(ports_[1]);
  late.send(get("/3"));
  rigs_[1]->turn_until_true([this] { return rigs_[1]->gateway.metrics().streams_ended == 1; });
  EXPECT_THAT(late.receive_through("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: ")));
  EXPECT_EQ(places().waiting, 1U);
}

TEST_F(SharedLimit, WhereOneIsFullAnotherOfTheGroupHasTheRequest) {
  Route& route = config_.routes[0];
  route.settings.upstream_max_pending = 1;
  route.settings.balance.method = Balance::Method::kRoundRobin;
  route.upstreams.push_back(config_to(second_.port()).routes[0].upstreams[0]);
  route.upstreams[1].backup = true;
  start();
  ask(0, "/1", Phase::kAwaitingHead);
  ask(0, "/2", Phase::kQueued);
  ask(1, "/3", Phase::kAwaitingHead);
  EXPECT_EQ(rigs_[1]->gateway.metrics().of_upstream(1).begun, 1U);
  EXPECT_EQ(rigs_[1]->gateway.metrics().streams_ended, 0U);
}

}  // namespace
}  // namespace sluice::test
