// Streams that wait for an upstream learn that another one has been resumed there.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice::test {
namespace {

class HealingWaitsTest : public ::testing::Test {
 protected:
  static constexpr int kStreams = 4;
  static constexpr std::string_view kEvents =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

  HealingWaitsTest() {
    StreamSettings& settings = config_.routes[0].settings;
    settings.heartbeat_ms = 0;
    settings.heal_rate = 0;
    settings.heal_for_ms = 60 * kMinuteMs;
    settings.eject_after = 0;
  }
  void start() {
    std::vector<int> listeners = {listen_on_loopback(&port_)};
    rig_ = std::make_unique<GatewayRig>(config_, listeners);
  }

  ptrdiff_t count(Phase phase) {
    return std::ranges::count(rig_->streams(), phase_name(phase), &StreamInfo::phase);
  }
  // The next that asks is answered.
  void answer(std::string_view text) {
    rig_->settle();
    Wire server = upstreams_.accept();
    server.receive_through("\r\n\r\n");
    server.send(text);
    servers_.push_back(std::move(server));
    rig_->settle();
  }
  // So many streams with an id.
  void begin(int streams) {
    for (int i = 0; i < streams; ++i) {
      clients_.push_back(Wire::connect_to(port_));
      clients_.back().send(get("/"));
      rig_->turn_until_true([&] { return count(Phase::kAwaitingHead) == 1; });
      answer(std::string(kEvents) + "f\r\nid: 1\ndata: x\n\n\r\n");
      rig_->turn_until_true([&] { return count(Phase::kStreaming) == i + 1; });
    }
  }
  // All lose their upstream, and are told to come again later, several times: their next waits are
  // anything up to 16 s.
  void wait_for_long(std::string_view later) {
    start();
    begin(kStreams);
    servers_.clear();
    rig_->turn_until_true([&] { return count(Phase::kHealing) == kStreams; });
    for (int round = 0; round < 6; ++round) {
      rig_->pass(limits::kRetryAfterMsMax);
      rig_->turn_until_true([&] { return count(Phase::kAwaitingHead) == kStreams; });
      for (int i = 0; i < kStreams; ++i) answer(later);
      rig_->turn_until_true([&] { return count(Phase::kHealing) == kStreams; });
      servers_.clear();
      rig_->settle();
    }
  }
  void let_one_resume() {
    while (count(Phase::kHealing) == kStreams) {
      rig_->pass(1);
      rig_->settle();
    }
    answer(kEvents);
    rig_->turn_until_true([&] { return count(Phase::kFirstEvent) == 1; });
    rig_->pass(1);
    rig_->settle();
  }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
  uint16_t port_ = 0;
  std::unique_ptr<GatewayRig> rig_;
  std::vector<Wire> clients_;
  std::vector<Wire> servers_;
};

// Each that is resumed wakes two.
TEST_F(HealingWaitsTest, OneThatIsResumedWakesOthers) {
  wait_for_long("HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  let_one_resume();
  EXPECT_EQ(count(Phase::kAwaitingHead), 2);
  answer(kEvents);
  rig_->pass(1);
  rig_->settle();
  EXPECT_EQ(count(Phase::kHealing), 0);
}

TEST_F(HealingWaitsTest, WhoWasToldWhenToComeAgainWaits) {
  wait_for_long(
      "HTTP/1.1 503 No\r\nconnection: close\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n");
  rig_->pass(8'000);
  rig_->settle();
  EXPECT_EQ(count(Phase::kHealing), kStreams);
  rig_->gateway.streams().upstream_back(0);
  rig_->pass(1);
  rig_->settle();
  EXPECT_EQ(count(Phase::kHealing), kStreams);
}

TEST_F(HealingWaitsTest, WhoLeavesWaitsNoMore) {
  wait_for_long("HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  clients_.clear();
  rig_->turn_until_true([&] { return rig_->streams().empty(); });
  rig_->gateway.streams().upstream_back(0);
}

// The turn of the second stream at the other upstream comes when that one has been ejected.
TEST_F(HealingWaitsTest, WhoWaitsForItsTurnLooksAgainAtItsChoice) {
  Upstreams second;
  Route& route = config_.routes[0];
  route.settings.heal_rate = 1;
  route.upstreams.push_back(config_to(second.port()).routes[0].upstreams[0]);
  start();
  auto health = [this](uint32_t id) -> UpstreamHealth& {
    return rig_->gateway.context().snapshot->board().health(id);
  };
  auto begun = [this](uint32_t id) { return rig_->gateway.metrics().of_upstream(id).begun; };
  health(1).drain(rig_->loop.now_ms());
  begin(2);
  health(1).undrain(rig_->loop.now_ms());
  servers_.clear();
  rig_->turn_until_true([&] { return count(Phase::kHealing) == 2; });
  rig_->pass(limits::kHealBackoffMs + 1);
  rig_->turn_until_true([&] { return count(Phase::kAwaitingHead) == 1; });
  ASSERT_EQ(count(Phase::kHealing), 1);
  ASSERT_EQ(begun(1), 1U);
  health(1).ejected_until_ms = rig_->loop.now_ms() + kMinuteMs;
  rig_->pass(1'000);
  rig_->turn_until_true([&] { return count(Phase::kAwaitingHead) == 2; });
  EXPECT_EQ(begun(1), 1U);
  EXPECT_EQ(begun(0), 3U);
}

}  // namespace
}  // namespace sluice::test
