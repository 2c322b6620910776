#include "net/gateway/gateway.h"

#include <algorithm>
#include <set>
#include <string>
#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/gateway/gateway_testing.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kRequest = "GET /a HTTP/1.1\r\nhost: test\r\n\r\n";

// A gateway with a listener, and an upstream.
class GatewayTest : public ::testing::Test {
 protected:
  void start(uint64_t clients_max = 1000) {
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener}, clients_max);
  }
  Gateway& gateway() { return rig_->gateway; }
  Wire connect() const { return Wire::connect_to(port_); }
  uint64_t clients() const { return rig_->snapshot().client_connections; }
  void turn_until_clients(uint64_t count) {
    rig_->turn_until_true([&] { return clients() == count; });
  }
  // A client whose request has reached the upstream.
  struct Exchange {
    Wire client;
    Wire upstream;
  };
  Exchange begin_exchange() {
    Wire client = connect();
    client.send(kRequest);
    size_t others = rig_->streams().size();
    rig_->turn_until_true([&] {
      auto streams = rig_->streams();  // the latest first
      return streams.size() > others && streams[0].phase == "awaiting_head";
    });
    Wire upstream = upstreams_.accept();
    return {std::move(client), std::move(upstream)};
  }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
  uint16_t port_ = 0;
  std::unique_ptr<GatewayRig> rig_;
};

// --- accepting ---

TEST_F(GatewayTest, AcceptsWhoComesAndCountsThem) {
  start();
  EXPECT_EQ(rig_->limit.taken(), 0U);
  Wire first = connect();
  Wire second = connect();
  turn_until_clients(2);
  EXPECT_EQ(rig_->limit.taken(), 2U);
  first.hang_up();
  turn_until_clients(1);
  EXPECT_EQ(rig_->limit.taken(), 1U);
  EXPECT_EQ(gateway().metrics().client_connections, 2U);
  EXPECT_EQ(gateway().metrics().client_connections_closed, 1U);
}

TEST_F(GatewayTest, LeavesWhoFindsNoRoomInTheBacklogUntilAnotherHasLeft) {
  start(/*clients_max=*/2);
  Wire first = connect();
  Wire second = connect();
  turn_until_clients(2);
  Wire third = connect();
  rig_->settle();
  EXPECT_EQ(clients(), 2U);
  EXPECT_TRUE(rig_->limit.full());
  EXPECT_EQ(gateway().metrics().accept_pauses, 1U);
  EXPECT_THAT(rig_->messages_so_far(), HasSubstr("RLIMIT_NOFILE leaves room for 2 clients"));
  first.hang_up();
  rig_->turn_until_true([this] { return gateway().metrics().client_connections == 3; });
  EXPECT_EQ(clients(), 2U);
}

TEST_F(GatewayTest, AcceptsAWholeBacklogAtOnceWhereThereIsRoomForIt) {
  start(/*clients_max=*/2 * SOMAXCONN + 10);
  EXPECT_EQ(rig_->limit.taken(), features_here().multishot_accept ? SOMAXCONN : 0U) << "reserved";
  std::vector<Wire> wires;
  for (int i = 0; i < 12; ++i) wires.push_back(connect());
  turn_until_clients(12);
  rig_->settle();
  EXPECT_EQ(rig_->limit.taken(), 12U) << "single accepts from here on";
  wires.push_back(connect());
  turn_until_clients(13);
}

TEST_F(GatewayTest, LeavesTheRoomForItsBacklogToOthersWhoNeedIt) {
  if (!features_here().multishot_accept) GTEST_SKIP();
  constexpr uint64_t kMost = 2 * SOMAXCONN + 10;
  start(kMost);
  rig_->settle();
  for (int i = 0; i < 10; ++i) rig_->limit.enter();  // another worker's
  EXPECT_EQ(rig_->limit.taken(), SOMAXCONN + 10U);
  rig_->pass(1000);  // nobody comes here
  rig_->settle();
  EXPECT_EQ(rig_->limit.taken(), 10U);
  Wire client = connect();
  turn_until_clients(1);
  for (int i = 0; i < 10; ++i) rig_->limit.leave();
}

// Two workers of a process with room for 4 clients.
class TwoGatewaysTest : public ::testing::Test {
 protected:
  struct Side {
    explicit Side(const Config& config, ClientLimit* limit)
        : rig(config, {listen_on_loopback(&port)}, 0, limit) {}
    uint64_t clients() const { return rig.snapshot().client_connections; }
    void turn_until_clients(uint64_t count) {
      rig.turn_until_true([&] { return clients() == count; });
    }
    uint16_t port = 0;
    GatewayRig rig;
  };

  Config config_ = config_to(1);
  ClientLimit limit_{4};
  Side one_{config_, &limit_};
  Side other_{config_, &limit_};
};

TEST_F(TwoGatewaysTest, OneTakesAllTheRoomWhereTheOtherHasNobody) {
  std::vector<Wire> wires;
  for (int i = 0; i < 4; ++i) wires.push_back(Wire::connect_to(one_.port));
  one_.turn_until_clients(4);
  EXPECT_EQ(limit_.taken(), 4U);
}

TEST_F(TwoGatewaysTest, TogetherTheyTakeNoMoreThanTheLimitAndOneForEachListener) {
  std::vector<Wire> wires;
  for (int i = 0; i < 10; ++i) {
    wires.push_back(Wire::connect_to(one_.port));
    wires.push_back(Wire::connect_to(other_.port));
  }
  for (int i = 0; i < 10; ++i) {
    one_.rig.settle();
    other_.rig.settle();
    one_.rig.pass(limits::kAcceptPauseMs);
    other_.rig.loop.turn(false);
    EXPECT_LE(limit_.taken(), 4U + 2U);
  }
  EXPECT_GE(limit_.taken(), 4U);
  EXPECT_EQ(limit_.taken(), one_.clients() + other_.clients());
}

TEST_F(TwoGatewaysTest, APausedOneLooksAgainWhenTheOthersClientHasLeft) {
  std::vector<Wire> wires;
  for (int i = 0; i < 4; ++i) wires.push_back(Wire::connect_to(one_.port));
  one_.turn_until_clients(4);
  Wire first = Wire::connect_to(other_.port);
  other_.turn_until_clients(1);  // its accept was armed already
  Wire second = Wire::connect_to(other_.port);
  other_.rig.settle();
  ASSERT_EQ(other_.clients(), 1U);
  wires.pop_back();
  one_.turn_until_clients(3);
  other_.rig.pass(limits::kAcceptPauseMs);
  other_.rig.settle();
  EXPECT_EQ(other_.clients(), 1U) << "it was one too many before";
  wires.pop_back();
  one_.turn_until_clients(2);
  other_.rig.settle();
  EXPECT_EQ(other_.clients(), 1U) << "nobody has told it yet";
  other_.rig.pass(limits::kAcceptPauseMs);
  other_.turn_until_clients(2);
  EXPECT_EQ(other_.rig.gateway.metrics().accept_pauses, 2U) << "one each time it stopped";
}

// No fd is left while it lives, apart from those that are open already.
class NoFdsLeft {
 public:
  NoFdsLeft() {
    getrlimit(RLIMIT_NOFILE, &before_);
    int next = dup(STDERR_FILENO);
    close(next);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(next);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoFdsLeft() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoFdsLeft(const NoFdsLeft&) = delete;
  NoFdsLeft& operator=(const NoFdsLeft&) = delete;

 private:
  rlimit before_{};
};

TEST_F(GatewayTest, RestsForAMomentWhenFdsHaveRunOut) {
  start();
  {
    Wire client = connect();
    NoFdsLeft limit;
    rig_->turn_until_true([this] { return gateway().metrics().accept_pauses == 1; });
    rig_->settle();
    EXPECT_EQ(gateway().metrics().accept_pauses, 1U) << "it tried again at once";
  }
  Wire client = connect();
  rig_->settle();
  EXPECT_EQ(gateway().metrics().client_connections, 0U);
  rig_->pass(limits::kAcceptPauseMs);
  rig_->turn_until_true([this] { return gateway().metrics().client_connections > 0; });
}

// Any error but those of a connection that was about to be accepted.
TEST_F(GatewayTest, RestsForAMomentWhenAcceptFails) {
  int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // does not listen: EINVAL
  rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{bound});
  rig_->settle();
  EXPECT_EQ(gateway().metrics().accept_errors, 1U) << "it tried again at once";
  EXPECT_THAT(rig_->messages_so_far(), HasSubstr("cannot accept clients: Invalid argument; "));
  for (uint64_t tries = 2; tries < 5; ++tries) {
    rig_->pass(limits::kAcceptPauseMs);
    rig_->settle();
    EXPECT_EQ(gateway().metrics().accept_errors, tries);
  }
  EXPECT_EQ(rig_->messages_so_far(), "") << "said once in a while";
  EXPECT_EQ(gateway().metrics().accept_pauses, 4U);
  rig_->pass(limits::kAcceptWarningMs);
  rig_->settle();
  EXPECT_THAT(rig_->messages_so_far(), HasSubstr("cannot accept clients: "));
}

// --- what it knows ---

TEST_F(GatewayTest, FindsTheLongestRoute) {
  config_.routes.insert(config_.routes.begin(), config_.routes[0]);
  config_.routes[0].path = "/v1";
  start();
  EXPECT_EQ(gateway().context().snapshot->find_route("/v1/x")->path, "/v1");
  EXPECT_EQ(gateway().context().snapshot->find_route("/v10")->path, "/");
}

TEST_F(GatewayTest, GoesByTheDefaultRouteBeforeARouteIsKnown) {
  config_.defaults.header_timeout_ms = 1;
  config_.routes[0].settings.header_timeout_ms = 2;
  start();
  EXPECT_EQ(gateway().context().default_settings().header_timeout_ms, 2U);
}

TEST_F(GatewayTest, GoesByTheGlobalSettingsWithoutADefaultRoute) {
  config_.defaults.header_timeout_ms = 1;
  config_.routes[0].settings.header_timeout_ms = 2;
  config_.routes[0].path = "/v1";
  start();
  EXPECT_EQ(gateway().context().default_settings().header_timeout_ms, 1U);
  EXPECT_EQ(gateway().context().snapshot->find_route("/"), nullptr);
}

TEST_F(GatewayTest, TrustsTheRangesThatItWasGiven) {
  std::string error;
  for (const char* range : {"10.0.0.0/8", "::1"})
    config_.trusted_proxies.push_back(*parse_address_range(range, &error));
  start();
  auto trusts = [&](const char* text) {
    return gateway().context().trusts(*parse_address(text, &error));
  };
  EXPECT_TRUE(trusts("10.1.2.3:4"));
  EXPECT_TRUE(trusts("[::1]:4"));
  EXPECT_FALSE(trusts("11.1.2.3:4"));
  EXPECT_FALSE(trusts("[::2]:4"));
}

TEST_F(GatewayTest, MemoryIsTightAboveHalfOfItsLimit) {
  start();
  rig_->memory_limit.bytes_max = rig_->memory_limit.bytes * 2;
  EXPECT_FALSE(gateway().context().memory_tight());
  rig_->memory_limit.bytes_max -= 1;
  EXPECT_TRUE(gateway().context().memory_tight());
}

TEST_F(GatewayTest, ScratchIsEmptyEveryTime) {
  start();
  gateway().context().scratch() += "something";
  EXPECT_EQ(gateway().context().scratch(), "");
}

// --- what it tells ---

TEST_F(GatewayTest, ListsLiveStreams) {
  start();
  EXPECT_TRUE(rig_->streams().empty());
  Exchange exchange = begin_exchange();
  exchange.upstream.send(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
      "e\r\ndata: 1\n\ndata:\r\n");
  rig_->turn_until_true([this] { return rig_->streams()[0].events == 1; });
  StreamInfo stream = rig_->streams()[0];
  EXPECT_EQ(stream.worker, 5U);
  EXPECT_EQ(stream.route, "/");
  EXPECT_EQ(stream.upstream, config_.routes[0].upstreams[0].url);
  EXPECT_EQ(stream.method, "GET");
  EXPECT_EQ(stream.target, "/a");
  EXPECT_EQ(stream.client, "127.0.0.1");
  EXPECT_EQ(stream.phase, "streaming");
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(stream.bytes, 14U);
  EXPECT_EQ(stream.held, 5U);
  EXPECT_EQ(stream.window, config_.routes[0].settings.buffer_size);
  EXPECT_TRUE(stream.event_stream);
  EXPECT_FALSE(stream.stalled);
  rig_->pass(kMinuteMs / 2);
  EXPECT_GE(rig_->streams()[0].age_ms, kMinuteMs / 2);
  exchange.client.hang_up();
  rig_->turn_until_true([this] { return rig_->streams().empty(); });
}

TEST_F(GatewayTest, NoTwoStreamsOfAnyWorkersHaveOneId) {
  std::set<uint64_t> ids;
  for (unsigned worker : {0U, 1U, 255U, 256U, 512U, limits::kWorkersMax - 1}) {
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener}, 1000, nullptr, worker);
    for (int i = 0; i < 3; ++i) {
      Exchange exchange = begin_exchange();
      ids.insert(rig_->streams()[0].id);
      exchange.client.hang_up();
      rig_->turn_until_true([this] { return rig_->streams().empty(); });
    }
  }
  EXPECT_EQ(ids.size(), 6U * 3U);
}

TEST_F(GatewayTest, SnapshotHoldsTheCountsOfNow) {
  start();
  Exchange exchange = begin_exchange();
  WorkerSnapshot now = rig_->snapshot();
  EXPECT_EQ(now.client_connections, 1U);
  EXPECT_EQ(now.upstream_connections, 1U);
  EXPECT_EQ(now.upstream_idle, 0U);
  EXPECT_EQ(now.streams, 1U);
  EXPECT_EQ(now.event_streams, 0U);
  EXPECT_EQ(now.metrics.streams_started, 1U);
  EXPECT_EQ(now.metrics.upstream_connects, 1U);
  EXPECT_GT(now.operations, 0U);
  EXPECT_GT(now.loop.turns, 0U);
  ASSERT_EQ(now.pools.size(), 2U);
  EXPECT_STREQ(now.pools[0].name, "sse_event");
  EXPECT_STREQ(now.pools[1].name, "http_message");
  for (const PoolSnapshot& pool : now.pools)
    EXPECT_EQ(pool.provided + pool.free + pool.leased, pool.slots);
  exchange.upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
  rig_->turn_until_true([this] { return rig_->snapshot().streams == 0; });
  EXPECT_EQ(rig_->snapshot().upstream_idle, 1U);
}

TEST_F(GatewayTest, CountsAnswersByRouteAndStatus) {
  config_.routes[0].path = "/a";
  start();
  Exchange exchange = begin_exchange();
  exchange.upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
  rig_->turn_until_true([this] { return gateway().metrics().streams_ended == 1; });
  exchange.client.send("GET /b HTTP/1.1\r\nhost: test\r\n\r\n");
  rig_->turn_until_true([this] { return gateway().metrics().streams_ended == 2; });
  exchange.client.send(kRequest);
  rig_->turn_until_true([this] { return rig_->snapshot().streams == 1; });
  exchange.client.hang_up();
  rig_->turn_until_true([this] { return gateway().metrics().streams_ended == 3; });
  const Metrics& metrics = gateway().metrics();
  ASSERT_EQ(metrics.routes.size(), 1U);
  EXPECT_EQ(metrics.routes[0].of(204), 1U);
  EXPECT_EQ(metrics.routes[0].of(404), 0U);
  EXPECT_EQ(metrics.no_route.of(404), 1U);
  EXPECT_EQ(metrics.routes[0].unanswered, 1U);
}

TEST_F(GatewayTest, WarnsOfAnUpstreamThatFailedAndNotOfAClientThatLeft) {
  start();
  Exchange exchange = begin_exchange();
  exchange.upstream.hang_up();
  rig_->turn_until_true([this] { return gateway().metrics().streams_ended == 1; });
  EXPECT_EQ(rig_->messages_so_far(),
            "sluice: upstream_truncated (no_answer): GET /a from 127.0.0.1 to " +
                config_.routes[0].upstreams[0].url + ", request 0-405, after 0 events\n");
  Exchange second = begin_exchange();
  second.client.hang_up();
  rig_->turn_until_true([this] { return gateway().metrics().streams_ended == 2; });
  EXPECT_EQ(rig_->messages_so_far(), "");
}

// --- the end ---

TEST_F(GatewayTest, DrainsByClosingWhoIsIdleAndRefusingWhoComes) {
  start();
  Wire idle = connect();
  turn_until_clients(1);
  gateway().drain();
  EXPECT_TRUE(gateway().context().draining);
  turn_until_clients(0);
  EXPECT_EQ(idle.receive_to_end(), "");
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  int fd = open_stream_socket(AF_INET);
  Address address = loopback(port_);
  EXPECT_NE(::connect(fd, address.sa(), address.size), 0);
  EXPECT_EQ(errno, ECONNREFUSED);
  close_socket(fd);
}

TEST_F(GatewayTest, DrainsByFinishingWhatIsUnderWay) {
  start();
  Exchange exchange = begin_exchange();
  gateway().drain();
  rig_->settle();
  EXPECT_EQ(clients(), 1U);
  exchange.upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  rig_->turn_until_true([this] { return gateway().metrics().streams_ended == 1; });
  EXPECT_THAT(exchange.client.receive_through("ok"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\nConnection: close\r\n")));
  exchange.client.hang_up();
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  EXPECT_EQ(clients(), 0U);
  EXPECT_EQ(rig_->snapshot().upstream_connections, 0U);
}

TEST_F(GatewayTest, DrainsIdleUpstreamConnectionsToo) {
  start();
  Exchange exchange = begin_exchange();
  exchange.upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
  rig_->turn_until_true([this] { return rig_->snapshot().upstream_idle == 1; });
  gateway().drain();
  rig_->turn_until_true([this] { return rig_->snapshot().upstream_connections == 0; });
  EXPECT_THAT(exchange.upstream.receive_to_end(), StartsWith("GET /a "));
}

TEST_F(GatewayTest, AbortsWhatTheGraceHasLeft) {
  start();
  Exchange exchange = begin_exchange();
  Wire idle = connect();
  turn_until_clients(2);
  gateway().abort_all();
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  EXPECT_EQ(clients(), 0U);
  EXPECT_TRUE(rig_->streams().empty());
  EXPECT_EQ(gateway().metrics().endings[static_cast<unsigned>(Ending::kShutdown)], 1U);
  EXPECT_EQ(exchange.client.receive_to_end(), "");
  EXPECT_THAT(rig_->messages_so_far(), HasSubstr("shutdown"));
}

TEST_F(GatewayTest, EndsItsClientsSpreadOverASecond) {
  start();
  constexpr uint64_t kClients = 10;
  std::vector<Exchange> exchanges;
  for (uint64_t i = 0; i < kClients; ++i) exchanges.push_back(begin_exchange());
  gateway().end_all();
  EXPECT_TRUE(gateway().context().draining);
  std::vector<uint64_t> left;
  for (uint64_t ms = 0; ms <= limits::kEndingMs; ms += limits::kEndingStepMs) {
    rig_->settle();
    left.push_back(clients());
    rig_->pass(limits::kEndingStepMs);
  }
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  for (size_t i = 1; i < left.size(); ++i) EXPECT_LE(left[i - 1] - left[i], 1U) << i;
  EXPECT_NEAR(static_cast<double>(left[left.size() / 2]), kClients / 2.0, 1);
  EXPECT_EQ(left.back(), 0U);
  EXPECT_EQ(gateway().metrics().endings[static_cast<unsigned>(Ending::kShutdown)], kClients);
}

// Its client may hear of the end before its decoder has the last bytes.
TEST_F(GatewayTest, EndsAPackedAnswerThatIsAbortedAMomentBehindItsLastBytes) {
  config_.routes.back().settings.compress = {ContentCoding::kGzip};
  start();
  Wire client = connect();
  client.send("GET /a HTTP/1.1\r\nhost: test\r\naccept-encoding: gzip\r\n\r\n");
  rig_->turn_until_true([this] {
    auto streams = rig_->streams();
    return !streams.empty() && streams[0].phase == "awaiting_head";
  });
  Wire upstream = upstreams_.accept();
  upstream.send(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
      "9\r\ndata: x\n\n\r\n");
  rig_->turn_until_true([this] { return gateway().metrics().bytes_to_clients > 0; });
  upstream.hang_up();
  rig_->turn_until_true([this] {
    auto streams = rig_->streams();
    return streams.empty() || streams[0].phase == "draining";
  });
  rig_->pass(limits::kAbortDelayMs - 1);
  rig_->settle();
  EXPECT_EQ(rig_->streams().size(), 1U);
  rig_->pass(1);
  rig_->turn_until_true([this] { return rig_->streams().empty(); });
  EXPECT_EQ(client.await_end(), 0);
}

// An abort follows what the client is told by a moment.
TEST_F(GatewayTest, LeavesTheLastOfThemTimeForAnAbort) {
  start();
  std::vector<Exchange> exchanges;
  for (int i = 0; i < 60; ++i) exchanges.push_back(begin_exchange());
  gateway().end_all();
  for (uint64_t ms = 0; ms + limits::kAbortDelayMs < limits::kEndingMs;
       ms += limits::kEndingStepMs) {
    rig_->settle();
    rig_->pass(limits::kEndingStepMs);
  }
  rig_->settle();
  EXPECT_EQ(clients(), 0U);
}

TEST_F(GatewayTest, EndsThoseWhoAreLeftWhenOthersHaveGoneMeanwhile) {
  start();
  std::vector<Exchange> exchanges;
  for (int i = 0; i < 10; ++i) exchanges.push_back(begin_exchange());
  gateway().end_all();
  for (size_t i : {0, 1, 2, 8, 9}) exchanges[i].client.hang_up();
  for (uint64_t ms = 0; ms <= limits::kEndingMs; ms += limits::kEndingStepMs)
    rig_->pass(limits::kEndingStepMs);
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  EXPECT_EQ(clients(), 0U);
}

TEST_F(GatewayTest, EndsTheRestAtOnceWhenItIsToldTo) {
  start();
  std::vector<Exchange> exchanges;
  for (int i = 0; i < 10; ++i) exchanges.push_back(begin_exchange());
  gateway().end_all();
  rig_->settle();
  EXPECT_GE(clients(), 8U);
  gateway().abort_all();
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  EXPECT_EQ(clients(), 0U);
}

TEST_F(GatewayTest, GivesGrownMemoryBackOnceASecond) {
  start();
  rig_->settle();
  uint64_t slots = rig_->sse_event.slots();
  {
    std::vector<Lease> leases;
    for (uint64_t i = 0; i < slots; ++i) leases.push_back(rig_->sse_event.take());
    rig_->settle();
    ASSERT_GT(rig_->sse_event.slots(), slots);
  }
  rig_->settle();
  ASSERT_GT(rig_->sse_event.slots(), slots) << "nobody has asked for it yet";
  for (int i = 0; i < 5; ++i) {
    rig_->pass(1000);
    rig_->settle();
  }
  EXPECT_EQ(rig_->sse_event.slots(), slots);
}

}  // namespace
}  // namespace sluice::test
