// A hub's source on a clock of the test's own: when it is opened, asked again and closed, and what
// becomes of it wherever it is taken away.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

class HubSources : public ::testing::Test {
 protected:
  HubSources() {
    config_.routes.push_back({.path = "/hub", .upstreams = {}, .settings = {}});
    Route& hub = config_.routes.back();
    hub.hub = "main";
    hub.upstreams.push_back({.url = "hub:main", .host = "main", .address = {}});
    hub.settings.heal = Heal::kOff;
    Route source = config_to(upstreams_->port()).routes.front();
    source.path = "hub-source:main/news";
    source.feeds = {.hub = "main", .stream = "news", .target = "/events"};
    source.settings = hub.settings;
    source.settings.heartbeat_ms = 0;
    source.settings.eject_after = 0;
    config_.routes.push_back(std::move(source));
  }

  StreamSettings& settings() { return config_.routes[1].settings; }
  void start(bool always = true) {
    if (always) settings().hub_source_open = HubSourceOpen::kAlways;
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener});
    rig_->settle();
  }
  void reload() {
    auto next =
        std::make_shared<ConfigSnapshot>(config_, rig_->gateway.context().snapshot.operator->());
    rig_->gateway.reload(std::move(next), {}, [] {});
    rig_->settle();
  }
  HubSourceCounts counts() const {
    WorkerSnapshot now = rig_->snapshot();
    return now.hub_sources.empty() ? HubSourceCounts{} : now.hub_sources.front();
  }
  // Turns until so many attempts have begun, and the last one has sent its request.
  std::string request(uint64_t attempts) {
    rig_->turn_until_true([&] {
      if (counts().attempts < attempts) rig_->pass(1);  // timers that are due at once
      return counts().attempts == attempts;
    });
    rig_->turn_until_true([&] {
      auto streams = rig_->streams();
      return !streams.empty() && streams.front().phase == "awaiting_head";
    });
    rig_->settle();
    upstream_ = std::make_unique<Wire>(upstreams_->accept());
    return upstream_->receive_through("\r\n\r\n");
  }
  void answer(const std::string& bytes) { upstream_->send(bytes); }
  void take_events(uint64_t count) {
    rig_->turn_until_true([&] { return counts().events == count; });
  }
  void lose() {
    upstream_->hang_up();
    rig_->turn_until_true([this] { return rig_->snapshot().upstream_connections == 0; });
    rig_->settle();
  }
  // No other attempt begins before, and one does then.
  void expect_next_after(uint64_t ms) {
    uint64_t attempts = counts().attempts;
    rig_->pass(ms - 1);
    rig_->settle();
    EXPECT_EQ(counts().attempts, attempts) << "too early";
    rig_->pass(3);
    rig_->settle();
    EXPECT_EQ(counts().attempts, attempts + 1) << "too late";
  }

  std::optional<Upstreams> upstreams_{std::in_place};
  Config config_;
  uint16_t port_ = 0;
  std::unique_ptr<Wire> upstream_;
  std::unique_ptr<GatewayRig> rig_;
};

TEST_F(HubSources, WaitAsLongAsTheUpstreamSays) {
  start();
  request(1);
  answer("HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  lose();
  expect_next_after(7000);
  request(2);
  answer(std::string(kStreamHead) + "retry: 4000\nid: 1\ndata: 1\n\n");
  take_events(1);
  lose();
  EXPECT_FALSE(counts().up);
  expect_next_after(4000);
  EXPECT_THAT(request(3), HasSubstr("\r\nLast-Event-ID: 1\r\n"));
}

TEST_F(HubSources, AreNotAskedInHaste) {
  start();
  request(1);
  answer("HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  lose();
  rig_->pass(990);
  rig_->settle();
  EXPECT_EQ(counts().attempts, 1U);
  rig_->pass(20);
  request(2);
  answer(std::string(kStreamHead) + "data: 1\n\n");
  take_events(1);
  lose();
  rig_->pass(990);
  rig_->settle();
  EXPECT_EQ(counts().attempts, 2U) << "it has ended in order";
  rig_->pass(1020);
  EXPECT_THAT(request(3), Not(HasSubstr("Last-Event-ID")));
}

TEST_F(HubSources, ThatAreSilentAreAskedAgain) {
  settings().stream_idle_timeout_ms = 5000;
  start();
  request(1);
  answer(std::string(kStreamHead) + "id: 1\ndata: 1\n\nid: 2\ndata: ");
  take_events(1);
  EXPECT_TRUE(counts().up);
  rig_->pass(4900);
  rig_->settle();
  EXPECT_TRUE(counts().up);
  rig_->pass(200);
  rig_->pass(300);
  EXPECT_THAT(request(2), HasSubstr("\r\nLast-Event-ID: 1\r\n"));
}

TEST_F(HubSources, LingerBehindTheLastSubscriber) {
  start(/*always=*/false);
  rig_->pass(kMinuteMs);
  EXPECT_EQ(counts().attempts, 0U);
  Wire subscriber = Wire::connect_to(port_);
  subscriber.send("GET /hub/streams/news HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
  request(1);
  answer(kStreamHead);
  rig_->turn_until_true([this] { return counts().up; });
  rig_->pass(kMinuteMs);
  EXPECT_TRUE(counts().up);
  subscriber.hang_up();
  rig_->turn_until_true([this] { return rig_->snapshot().client_connections == 0; });
  rig_->pass(1000);  // it is noticed
  rig_->pass(28'000);
  rig_->settle();
  EXPECT_TRUE(counts().up);
  rig_->pass(2000);
  rig_->settle();
  EXPECT_FALSE(counts().up);
  EXPECT_EQ(rig_->snapshot().streams, 0U);
}

// 2 events a second: the first batch is taken, and others wait.
TEST_F(HubSources, WaitForAHubThatTakesNoMore) {
  config_.routes[0].settings.hub_rate = 2;
  start();
  request(1);
  std::string events;
  for (int i = 0; i < 1000; ++i) events += "id: " + std::to_string(i) + "\ndata: x\n\n";
  answer(kStreamHead + events + "id: 1000\ndata: next\n\n");
  rig_->turn_until_true([this] { return counts().events > 0; });
  lose();
  rig_->pass(10'000);
  rig_->settle();
  EXPECT_EQ(counts().attempts, 1U) << "the hub does not have all yet";
  for (int i = 0; i < 600 && counts().attempts == 1; ++i) rig_->pass(1000);
  EXPECT_EQ(counts().events, 1001U);
  EXPECT_THAT(request(2), HasSubstr("\r\nLast-Event-ID: 1000\r\n"));
}

// Where it is: to be opened, connecting, waiting for an answer, streaming, in the midst of an
// event, waiting for the next attempt, waiting for the hub.
class TakenAway : public HubSources, public ::testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(AtAnyTime, TakenAway, ::testing::Range(0, 7));

TEST_P(TakenAway, AndComesBack) {
  int where = GetParam();
  if (where == 6) config_.routes[0].settings.hub_rate = 1;
  start();
  if (where == 1) rig_->pass(2);
  if (where > 1) request(1);
  if (where == 3 || where > 4) answer(kStreamHead + std::string("id: 1\ndata: 1\n\n"));
  if (where == 4) answer(kStreamHead + std::string("id: 1\ndata: 1\n\ndata: 2"));
  if (where > 2) take_events(1);
  if (where == 5) lose();
  if (where == 6) {
    answer("data: 2\n\ndata: 3\n\n");
    rig_->settle();
  }
  Route source = config_.routes.back();
  config_.routes.pop_back();
  reload();
  EXPECT_TRUE(rig_->snapshot().hub_sources.empty());
  rig_->turn_until_true([this] { return rig_->snapshot().upstream_connections == 0; });
  for (int i = 0; i < 5; ++i) rig_->pass(kMinuteMs);
  EXPECT_EQ(rig_->snapshot().streams, 0U);

  upstreams_.emplace();  // the former one may have been connected to
  source.upstreams = config_to(upstreams_->port()).routes.front().upstreams;
  config_.routes.push_back(source);
  reload();
  EXPECT_EQ(request(1).find("\r\nLast-Event-ID: 1\r\n") != std::string::npos, where > 2);
  answer(kStreamHead + std::string("id: 1\ndata: 1\n\n"));
  rig_->pass(1000);
  take_events(1);
}

TEST_F(HubSources, AnotherUrlIsAnotherSource) {
  start();
  request(1);
  answer(kStreamHead + std::string("id: 1\ndata: 1\n\n"));
  take_events(1);
  config_.routes[1].settings.first_byte_timeout_ms = 1000;
  reload();
  EXPECT_TRUE(counts().up) << "the same one";
  config_.routes[1].feeds.target = "/other";
  reload();
  std::string request_text = request(2);
  EXPECT_THAT(request_text, HasSubstr("GET /other HTTP/1.1\r\n"));
  EXPECT_THAT(request_text, Not(HasSubstr("Last-Event-ID")));
}

TEST_F(HubSources, EndWithTheDrain) {
  start();
  request(1);
  answer(kStreamHead + std::string("id: 1\ndata: 1\n\n"));
  take_events(1);
  rig_->gateway.drain();
  rig_->settle();
  EXPECT_EQ(upstream_->await_end(), 0);
  EXPECT_EQ(rig_->snapshot().streams, 0U);
  rig_->pass(kMinuteMs);
  EXPECT_EQ(counts().attempts, 1U);
}

TEST_F(HubSources, AreNotOpenedForWhoComesDuringTheDrain) {
  start();
  request(1);
  Wire client = Wire::connect_to(port_);
  client.send("GET /hub/streams/news HTTP/1.1\r\nhost: test\r\n");
  rig_->turn_until_true([this] { return rig_->streams().size() == 2; });
  rig_->gateway.drain();
  rig_->settle();
  client.send("accept: text/event-stream\r\n\r\n");
  rig_->turn_until_true([this] { return rig_->streams().empty(); });
  rig_->pass(kMinuteMs);
  EXPECT_EQ(counts().attempts, 1U);
}

// What it has taken is published, and it goes on behind that.
TEST_F(HubSources, AreShedLikeOthersWhereMemoryHasRunOut) {
  config_.routes[0].settings.hub_rate = 1;
  start();
  request(1);
  answer(kStreamHead + std::string("id: 1\ndata: 1\n\n"));
  take_events(1);
  answer("id: 2\ndata: 2\n\n");
  rig_->settle();
  answer("id: 3\ndata: 3\n\n");
  rig_->turn_until_true([this] { return rig_->streams().front().events == 3; });
  rig_->gateway.streams().first()->shut_down();
  rig_->settle();
  EXPECT_EQ(rig_->snapshot().streams, 0U);
  for (int i = 0; i < 20 && counts().attempts == 1; ++i) rig_->pass(1000);
  EXPECT_EQ(counts().events, 3U);
  EXPECT_THAT(request(2), HasSubstr("\r\nLast-Event-ID: 3\r\n"));
}

}  // namespace
}  // namespace sluice::test
