// Upstreams that have names: requests wait for the first answer and no longer, all addresses are
// used, and a change of them moves what is new. The test's resolver says what the names are; the
// addresses are this host's.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using enum IpFamily;

// A listener on that address of this host, at a port that others may have on theirs.
class UpstreamAt {
 public:
  UpstreamAt(std::string_view address, uint16_t port) {
    Address at = ip(address);
    at.set_port(port);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(fd_, at.sa(), at.size), 0) << std::strerror(errno);
    EXPECT_EQ(listen(fd_, SOMAXCONN), 0);
    timeval deadline{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
  }
  ~UpstreamAt() { close_socket(fd_); }
  // No connection is taken any more, nor refused.
  void fill_backlog() {
    listen(fd_, 0);
    Address at;
    at.size = local_address(fd_, &at.storage);
    backlog_ = std::make_unique<Wire>(open_stream_socket(AF_INET));
    EXPECT_EQ(::connect(backlog_->fd(), at.sa(), at.size), 0);
  }
  UpstreamAt(const UpstreamAt&) = delete;
  UpstreamAt& operator=(const UpstreamAt&) = delete;

  Wire accept() const { return Wire(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  int fd_;
  std::unique_ptr<Wire> backlog_;
};

class GatewayNames : public ::testing::Test {
 protected:
  static constexpr uint64_t kTtlMs = 2'000;

  GatewayNames() {
    config_.routes[0].upstreams[0] = named("a.test");
    config_.dns_ttl_min_ms = kTtlMs;
  }

  Upstream named(const std::string& name) const {
    std::string authority = name + ":" + std::to_string(upstreams_.port());
    Upstream upstream{"http://" + authority, authority, {}};
    upstream.name = name;
    upstream.port = upstreams_.port();
    return upstream;
  }
  void start() {
    config_.listen = {loopback(1)};
    listener_ = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener_});
  }
  void reload() {
    std::vector<ListeningSocket> none;
    rig_->gateway.reload(
        std::make_shared<ConfigSnapshot>(config_, &*rig_->gateway.context().snapshot), none, [] {});
    rig_->loop.turn(false);
  }
  FakeResolver& dns() { return rig_->resolver; }
  Metrics& metrics() { return rig_->gateway.metrics(); }
  // The one family that a test is about; the other has none.
  void found(std::vector<std::string_view> ips) {
    dns().none(kV6);
    dns().found(kV4, std::move(ips), kTtlMs);
  }
  // Looks up again, and finds that.
  void now_found(std::vector<std::string_view> ips) {
    rig_->pass(kTtlMs);
    found(std::move(ips));
  }
  Wire request(std::string_view target, std::string_view phase) {
    Wire client = Wire::connect_to(port_);
    client.send(get(target));
    await_phase(target, phase);
    return client;
  }
  void await_phase(std::string_view target, std::string_view phase) {
    rig_->turn_until_true([&] {
      for (const StreamInfo& one : rig_->streams())
        if (one.target == target && one.phase == phase) return true;
      return false;
    });
    rig_->settle();
  }
  void finish(Wire& upstream, Wire& client) {
    uint64_t ended = metrics().streams_ended;
    upstream.send(ok("done"));
    rig_->turn_until_true([&] { return metrics().streams_ended > ended; });
    EXPECT_THAT(client.receive_through("done"), StartsWith("HTTP/1.1 200"));
  }
  std::string answer(Wire& client) {
    uint64_t ended = metrics().streams_ended;
    rig_->turn_until_true([&] { return metrics().streams_ended > ended; });
    rig_->settle();
    return client.receive_through("\"}");
  }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
  uint16_t port_ = 0;
  int listener_ = -1;
  std::unique_ptr<GatewayRig> rig_;
  std::vector<Wire> clients_;
};

TEST_F(GatewayNames, ItIsLookedUpBeforeAnybodyAsks) {
  start();
  ASSERT_EQ(dns().questions.size(), 2U);
  EXPECT_EQ(dns().questions[0].name, "a.test");
}

TEST_F(GatewayNames, RequestsWaitForTheFirstAnswer) {
  start();
  Wire one = request("/1", "resolving");
  Wire two = request("/2", "resolving");
  found({"127.0.0.1"});
  await_phase("/1", "awaiting_head");
  await_phase("/2", "awaiting_head");
  Wire first = upstreams_.accept();
  Wire second = upstreams_.accept();
  finish(first, one);
  finish(second, two);
  Wire three = request("/3", "awaiting_head");
  EXPECT_EQ(metrics().upstream_reuses, 1U);
}

TEST_F(GatewayNames, WhoWaitsForAnAddressHasNoPlaceYet) {
  config_.routes[0].settings.upstream_max_connections = 1;
  start();
  Wire one = request("/1", "resolving");
  Wire two = request("/2", "resolving");
  found({"127.0.0.1"});
  await_phase("/1", "awaiting_head");
  await_phase("/2", "queued");
  Wire upstream = upstreams_.accept();
  finish(upstream, one);
  await_phase("/2", "awaiting_head");
  finish(upstream, two);
}

TEST_F(GatewayNames, ANameWithoutAnAddressIsABadGateway) {
  start();
  Wire waits = request("/1", "resolving");
  dns().none(kV4);
  EXPECT_EQ(metrics().streams_ended, 0U) << "there may be an IPv6 address";
  dns().failed(kV6);
  EXPECT_THAT(answer(waits), AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("has no address")));
  Wire at_once = Wire::connect_to(port_);
  at_once.send(get("/2"));
  EXPECT_THAT(answer(at_once), StartsWith("HTTP/1.1 502"));
  EXPECT_TRUE(dns().questions.empty()) << "it has just been looked up";
  EXPECT_EQ(metrics().endings[static_cast<unsigned>(Ending::kUpstreamUnresolved)], 2U);
  EXPECT_EQ(metrics().upstream_connects, 0U);
}

TEST_F(GatewayNames, AfterAWhileARequestHasItLookedUpAnew) {
  config_.dns_ttl_min_ms = 60'000;
  start();
  dns().failed(kV4);
  dns().failed(kV6);
  rig_->pass(limits::kDnsRetryMs);
  Wire client = request("/", "resolving");
  found({"127.0.0.1"});
  await_phase("/", "awaiting_head");
  Wire upstream = upstreams_.accept();
  finish(upstream, client);
}

TEST_F(GatewayNames, TheWaitForAnAddressHasAnEnd) {
  config_.routes[0].settings.connect_timeout_ms = 3'000;
  start();
  Wire client = request("/", "resolving");
  rig_->pass(2'999);
  EXPECT_EQ(metrics().streams_ended, 0U);
  rig_->pass(1);
  EXPECT_THAT(answer(client), AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("has no address")));
  found({"127.0.0.1"});
}

TEST_F(GatewayNames, AClientThatLeavesWhileItWaitsIsForgotten) {
  start();
  Wire client = request("/", "resolving");
  client.hang_up();
  rig_->turn_until_true([this] { return metrics().streams_ended == 1; });
  found({"127.0.0.1"});
  EXPECT_EQ(metrics().upstream_connects, 0U);
}

TEST_F(GatewayNames, WhereANameHasNoAddressAnotherUpstreamHas) {
  config_.routes[0].upstreams.push_back(config_to(upstreams_.port()).routes[0].upstreams[0]);
  config_.routes[0].upstreams[1].backup = true;
  start();
  Wire client = request("/", "resolving");
  dns().none(kV4);
  dns().none(kV6);
  rig_->pass(2);
  await_phase("/", "awaiting_head");
  Wire upstream = upstreams_.accept();
  finish(upstream, client);
  EXPECT_EQ(metrics().retries[static_cast<unsigned>(Failure::kDns)], 1U);
}

TEST_F(GatewayNames, AllAddressesAreUsed) {
  UpstreamAt second("127.0.0.2", upstreams_.port());
  start();
  found({"127.0.0.1", "127.0.0.2"});
  Wire one = request("/1", "awaiting_head");
  Wire two = request("/2", "awaiting_head");
  Wire first = upstreams_.accept();
  first.receive_through("/1 HTTP/1.1\r\n");
  Wire other = second.accept();
  other.receive_through("/2 HTTP/1.1\r\n");
}

// Nobody listens on 127.0.0.2.
TEST_F(GatewayNames, ADeadAddressOfTwoIsNotSeen) {
  start();
  found({"127.0.0.1", "127.0.0.2"});
  std::vector<Wire> wires;
  for (int i = 0; i < 6; ++i) {
    wires.push_back(request("/" + std::to_string(i), "awaiting_head"));
    wires.push_back(upstreams_.accept());
  }
  EXPECT_EQ(metrics().upstream_connect_errors, 0U);
  EXPECT_EQ(metrics().streams_ended, 0U);
}

TEST_F(GatewayNames, WhereAllAddressesFailTheNameIsInDoubt) {
  start();
  found({"127.0.0.2"});
  rig_->pass(limits::kDnsRetryMs);
  Wire client = Wire::connect_to(port_);
  client.send(get("/"));
  EXPECT_THAT(answer(client), AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("refused")));
  ASSERT_EQ(dns().questions.size(), 2U);
  found({"127.0.0.1"});
  Wire again = request("/again", "awaiting_head");
  Wire upstream = upstreams_.accept();
  finish(upstream, again);
}

TEST_F(GatewayNames, AChangeOfAddressMovesWhatIsNew) {
  UpstreamAt second("127.0.0.2", upstreams_.port());
  start();
  found({"127.0.0.1"});
  Wire runs = request("/runs", "awaiting_head");
  Wire running = upstreams_.accept();
  Wire short_one = request("/short", "awaiting_head");
  Wire idle = upstreams_.accept();
  idle.receive_through("/short HTTP/1.1\r\n");
  finish(idle, short_one);
  ASSERT_EQ(rig_->gateway.upstreams().idle(), 1U);
  running.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
  await_phase("/runs", "first_event");
  now_found({"127.0.0.2"});
  rig_->settle();
  EXPECT_EQ(idle.await_end(), 0) << "an idle connection to the old address is of no use";

  Wire next = request("/next", "awaiting_head");
  Wire moved = second.accept();
  moved.receive_through("/next HTTP/1.1\r\n");
  finish(moved, next);
  running.send("data: x\n\n");
  rig_->settle();
  runs.receive_through("data: x\n\n");
  running.hang_up();
  rig_->turn_until_true([this] { return metrics().streams_ended == 3; });
}

TEST_F(GatewayNames, WhatIsDoneAtAnOldAddressIsNotKept) {
  UpstreamAt second("127.0.0.2", upstreams_.port());
  start();
  found({"127.0.0.1"});
  Wire client = request("/", "awaiting_head");
  Wire upstream = upstreams_.accept();
  now_found({"127.0.0.2"});
  finish(upstream, client);
  rig_->settle();
  EXPECT_EQ(rig_->gateway.upstreams().connections(), 0U);
}

TEST_F(GatewayNames, NorPassedOnToWhoWaits) {
  config_.routes[0].settings.upstream_max_connections = 1;
  UpstreamAt second("127.0.0.2", upstreams_.port());
  start();
  found({"127.0.0.1"});
  Wire client = request("/1", "awaiting_head");
  Wire upstream = upstreams_.accept();
  Wire waits = request("/2", "queued");
  now_found({"127.0.0.2"});
  finish(upstream, client);
  await_phase("/2", "awaiting_head");
  Wire moved = second.accept();
  finish(moved, waits);
}

TEST_F(GatewayNames, AReloadLooksUpNewNamesAndLeavesOldOnesAlone) {
  start();
  found({"127.0.0.1"});
  config_.routes[0].upstreams[0] = named("b.test");
  reload();
  EXPECT_EQ(dns().reloads, 1U);
  ASSERT_EQ(dns().questions.size(), 2U);
  EXPECT_EQ(dns().questions[0].name, "b.test");
  found({"127.0.0.1"});
  rig_->pass(1000);
  EXPECT_EQ(rig_->gateway.upstreams().count(), 1U) << "nobody uses the old one";
  rig_->pass(kTtlMs - 1000);
  ASSERT_EQ(dns().questions.size(), 2U);
  EXPECT_EQ(dns().questions[0].name, "b.test");
}

TEST_F(GatewayNames, AReloadTakesOverTheBounds) {
  start();
  found({"127.0.0.1"});
  config_.dns_ttl_min_ms = 10'000;
  reload();
  found({"127.0.0.1"});
  rig_->pass(8'999);
  EXPECT_TRUE(dns().questions.empty());
  rig_->pass(1'001);
  EXPECT_EQ(dns().questions.size(), 2U);
}

TEST_F(GatewayNames, AReloadLooksUpAtOnce) {
  start();
  found({"127.0.0.1"});
  reload();
  EXPECT_EQ(dns().questions.size(), 2U);
}

// Nobody answers there, and the client's patience ends before the kernel's.
TEST_F(GatewayNames, SilenceIsAFailureOfTheAddress) {
  UpstreamAt silent("127.0.0.2", upstreams_.port());
  silent.fill_backlog();
  config_.routes[0].settings.connect_timeout_ms = 1'000;
  start();
  found({"127.0.0.2"});
  rig_->pass(limits::kDnsRetryMs);
  Wire client = request("/", "connecting");
  rig_->pass(1'000);
  EXPECT_THAT(answer(client), StartsWith("HTTP/1.1 504"));
  EXPECT_EQ(dns().questions.size(), 2U) << "the name is in doubt";
  found({"127.0.0.1", "127.0.0.2"});
  for (int i = 0; i < 3; ++i) {
    std::string target = "/" + std::to_string(i);
    clients_.push_back(request(target, "awaiting_head"));
    clients_.push_back(upstreams_.accept());
  }
}

TEST_F(GatewayNames, ANameThatComesBackBringsItsUpstreamBack) {
  config_.routes[0].upstreams.push_back(config_to(upstreams_.port()).routes[0].upstreams[0]);
  config_.routes[0].settings.eject_after = 1;
  config_.routes[0].settings.balance.method = Balance::Method::kRoundRobin;
  start();
  dns().none(kV4);
  dns().none(kV6);
  for (int i = 0; i < 4; ++i) clients_.push_back(request("/" + std::to_string(i), "awaiting_head"));
  EXPECT_EQ(metrics().of_upstream(0).begun, 0U) << "nobody is sent where there is no address";
  EXPECT_EQ(metrics().of_upstream(1).begun, 4U);
  now_found({"127.0.0.1"});
  clients_.push_back(request("/5", "awaiting_head"));
  clients_.push_back(request("/6", "awaiting_head"));
  EXPECT_EQ(metrics().of_upstream(0).begun, 1U);
}

TEST_F(GatewayNames, ALogLineNamesNoAddressThatIsNotKnown) {
  start();
  found({"127.0.0.2"});
  Wire client = Wire::connect_to(port_);
  client.send(get("/"));
  EXPECT_THAT(answer(client), StartsWith("HTTP/1.1 502"));
  EXPECT_THAT(rig_->messages_so_far(),
              AllOf(HasSubstr("to http://a.test:"), Not(HasSubstr("[::]"))));
}

TEST_F(GatewayNames, NoNameKeepsADrainUp) {
  start();
  Wire client = request("/", "resolving");
  rig_->gateway.abort_all();
  rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
}

}  // namespace
}  // namespace sluice::test
