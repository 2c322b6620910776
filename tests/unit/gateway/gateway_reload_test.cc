// A reload on one worker: what begins follows the new configuration, what is under way keeps its
// own, and what nobody uses any more is given back.
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice::test {
namespace {

using ::testing::StartsWith;

class GatewayReload : public ::testing::Test {
 protected:
  void start(std::string_view disabled = "", uint64_t clients_max = 1000) {
    config_.listen = {loopback(1)};  // the name of the one listener
    listener_ = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener_}, clients_max, nullptr,
                                        5, disabled);
    snapshot_ = rig_->gateway.context().snapshot;
  }
  // Asks, and comes to the end of a turn.
  void reload(std::vector<ListeningSocket> sockets = {}) {
    auto next = std::make_shared<ConfigSnapshot>(config_, &*snapshot_);
    latest_ = next;
    bool done = false;
    rig_->gateway.reload(std::move(next), std::move(sockets), [&done] { done = true; });
    EXPECT_FALSE(done) << "not before the turn's end";
    rig_->loop.turn(false);
    EXPECT_TRUE(done);
    snapshot_ = rig_->gateway.context().snapshot;
  }
  Wire connect() const { return Wire::connect_to(port_); }
  Metrics& metrics() { return rig_->gateway.metrics(); }
  // Sends a request; the upstream's end of it.
  Wire ask(const Wire& client, std::string_view path) {
    uint64_t connects = metrics().upstream_connects;
    client.send(get(path));
    rig_->turn_until_true([&] {
      auto streams = rig_->streams();
      return metrics().upstream_connects > connects && streams[0].phase == "awaiting_head";
    });
    return upstreams_.accept();
  }
  void finish(Wire& upstream, Wire& client) {
    uint64_t ended = metrics().streams_ended;
    upstream.send(ok("done"));
    rig_->turn_until_true([&] { return metrics().streams_ended > ended; });
    EXPECT_THAT(client.receive_through("done"), StartsWith("HTTP/1.1 200"));
  }
  size_t idle() { return rig_->gateway.upstreams().idle(); }
  size_t connections() { return rig_->gateway.upstreams().connections(); }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
  uint16_t port_ = 0;
  int listener_ = -1;
  std::unique_ptr<GatewayRig> rig_;
  ConfigRef snapshot_{std::make_shared<ConfigSnapshot>(Config{})};
  std::weak_ptr<const ConfigSnapshot> latest_;
};

TEST_F(GatewayReload, AStreamKeepsItsSnapshotAndTheLastOneFreesIt) {
  start();
  config_.routes[0].settings.first_byte_timeout_ms = 1000;
  reload();
  std::weak_ptr<const ConfigSnapshot> held = latest_;
  Wire client = connect();
  Wire upstream = ask(client, "/");
  config_.routes[0].settings.first_byte_timeout_ms = 5000;
  reload();
  EXPECT_FALSE(held.expired());
  rig_->pass(1001);
  rig_->settle();
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 504")) << "its own time-out";
  client.hang_up();
  rig_->turn_until_true([this] { return rig_->snapshot().client_connections == 0; });
  rig_->settle();
  EXPECT_TRUE(held.expired());
  EXPECT_FALSE(latest_.expired());
}

TEST_F(GatewayReload, AnIdleConnectionHoldsNoSnapshot) {
  start();
  reload();
  std::weak_ptr<const ConfigSnapshot> held = latest_;
  Wire client = connect();
  Wire upstream = ask(client, "/");
  finish(upstream, client);
  config_.routes[0].settings.keepalive_timeout_ms = 1;
  reload();
  rig_->settle();
  EXPECT_TRUE(held.expired());
  rig_->pass(1000);
  rig_->settle();
  EXPECT_EQ(rig_->snapshot().client_connections, 1U)
      << "it has the time of its latest request's route";
}

TEST_F(GatewayReload, AnUpstreamThatStaysKeepsItsConnections) {
  start();
  Wire client = connect();
  Wire upstream = ask(client, "/");
  finish(upstream, client);
  ASSERT_EQ(idle(), 1U);
  config_.routes[0].path = "/moved";
  reload();
  EXPECT_EQ(idle(), 1U);
  client.send(get("/moved"));
  rig_->turn_until_true([this] { return metrics().upstream_reuses == 1; });
  finish(upstream, client);
}

TEST_F(GatewayReload, AnUpstreamThatIsGoneKeepsNothingIdleAndServesWhatItHas) {
  start();
  Wire one = connect();
  Wire two = connect();
  Wire at_one = ask(one, "/1");
  Wire at_two = ask(two, "/2");
  finish(at_one, one);
  ASSERT_EQ(idle(), 1U);
  config_.routes[0].upstreams = config_to(1).routes[0].upstreams;
  reload();
  rig_->pass(1);
  rig_->turn_until_true([this] { return connections() == 1; });
  finish(at_two, two);
  rig_->turn_until_true([this] { return connections() == 0; });
  rig_->pass(1000);
  rig_->settle();
  EXPECT_EQ(rig_->gateway.upstreams().count(), 0U);
  EXPECT_EQ(metrics().of_upstream(0).begun, 2U) << "what it has counted stays";
  EXPECT_EQ(metrics().of_upstream(0).under_way(), 0U);
}

TEST_F(GatewayReload, ANumberIsAnotherUpstreamsOnceNothingUsesIt) {
  config_ = config_to(1);
  start();
  auto reload_to = [this](uint16_t port) {
    config_.routes[0].upstreams = config_to(port).routes[0].upstreams;
    reload();
    return snapshot_->routes()[0].upstreams[0].id;
  };
  const uint32_t ours = reload_to(upstreams_.port());
  Wire client = connect();
  Wire upstream = ask(client, "/");
  for (uint16_t port : {uint16_t{2}, uint16_t{3}, uint16_t{4}})
    EXPECT_NE(reload_to(port), ours) << "a stream uses it";
  EXPECT_EQ(metrics().of_upstream(ours).begun, 1U);
  finish(upstream, client);
  rig_->turn_until_true([this] { return connections() == 0; });
  for (uint16_t port : {uint16_t{5}, uint16_t{6}})
    EXPECT_NE(reload_to(port), ours) << "its endpoint does";
  rig_->pass(1000);
  rig_->settle();
  uint16_t port = 7;
  while (port < 10 && reload_to(port) != ours) ++port;
  EXPECT_LT(port, 10);
  EXPECT_EQ(metrics().of_upstream(ours).begun, 0U);
}

TEST_F(GatewayReload, OneThatComesBackKeepsConnectionsAgain) {
  start();
  Wire client = connect();
  Wire upstream = ask(client, "/");
  std::vector<Upstream> ours = config_.routes[0].upstreams;
  config_.routes[0].upstreams = config_to(1).routes[0].upstreams;
  reload();
  config_.routes[0].upstreams = ours;
  reload();
  finish(upstream, client);
  EXPECT_EQ(idle(), 1U);
}

TEST_F(GatewayReload, RoutesShareAnUpstreamWhereTheirConnectionsAreAlike) {
  Route other = config_.routes[0];
  other.path = "/other";
  config_.routes.push_back(other);
  other.path = "/paced";
  other.settings.pace_ms = 10;
  config_.routes.push_back(other);
  start();
  Wire client = connect();
  Wire upstream = ask(client, "/");
  finish(upstream, client);
  client.send(get("/other"));
  rig_->turn_until_true([this] { return metrics().upstream_reuses == 1; });
  finish(upstream, client);
  Wire second = ask(client, "/paced");
  finish(second, client);
  EXPECT_EQ(connections(), 2U);
  EXPECT_EQ(metrics().of_upstream(0).begun, 3U);
}

// A request waits in the queue of an upstream that a reload removes.
TEST_F(GatewayReload, WhoWaitsForAnUpstreamThatIsGoneStillGetsIt) {
  config_.routes[0].settings.upstream_max_connections = 1;
  start();
  Wire one = connect();
  Wire two = connect();
  Wire upstream = ask(one, "/1");
  two.send(get("/2"));
  rig_->turn_until_true([this] { return rig_->streams()[0].phase == "queued"; });
  config_.routes[0].path = "/elsewhere";
  config_.routes[0].upstreams = config_to(1).routes[0].upstreams;
  reload();
  finish(upstream, one);
  rig_->turn_until_true([this] { return rig_->streams()[0].phase == "awaiting_head"; });
  upstream.receive_through("/2 HTTP/1.1\r\n");
  finish(upstream, two);
  rig_->turn_until_true([this] { return connections() == 0; });
}

TEST_F(GatewayReload, ListenersGoAndComeAndKeepTheirClients) {
  start();
  Wire client = connect();
  rig_->turn_until_true([this] { return rig_->snapshot().client_connections == 1; });
  uint16_t former = port_;
  config_.listen = {loopback(2)};
  int listener = listen_on_loopback(&port_);
  reload({{loopback(2).text(), listener}});
  rig_->settle();
  int probe = open_stream_socket(AF_INET);
  Address address = loopback(former);
  EXPECT_NE(::connect(probe, address.sa(), address.size), 0) << "nobody listens there";
  close_socket(probe);
  Wire late = connect();
  rig_->turn_until_true([this] { return rig_->snapshot().client_connections == 2; });
  for (Wire* each : {&client, &late}) {
    Wire upstream = ask(*each, "/");
    finish(upstream, *each);
    upstream.hang_up();
    rig_->turn_until_true([this] { return connections() == 0; });
  }
}

TEST_F(GatewayReload, AListenerThatStaysTakesTheNewSettings) {
  start();
  auto send_buffer = [this] {
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    getsockopt(listener_, SOL_SOCKET, SO_SNDBUF, &bytes, &size);
    return bytes;
  };
  config_.routes[0].settings.client_sndbuf = 32 * 1024;
  reload();
  EXPECT_EQ(send_buffer(), 2 * 32 * 1024) << "the kernel doubles it";
  config_.routes[0].settings.client_sndbuf = 48 * 1024;
  reload();
  EXPECT_EQ(send_buffer(), 2 * 48 * 1024);
}

// One accept at a time, so that the others are in the queue when their listener goes.
TEST_F(GatewayReload, ThoseWhoHaveConnectedToAListenerThatGoesAreTakenIn) {
  start("multishot-accept");
  std::vector<Wire> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect());
  config_.listen = {loopback(2)};
  reload();
  rig_->turn_until_true([this] { return rig_->snapshot().client_connections == 5; });
}

TEST_F(GatewayReload, AListenerThatGoesTakesInNoMoreThanThereIsRoomFor) {
  start("multishot-accept", 2);
  std::vector<Wire> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(connect());
  rig_->turn_until_true([this] { return rig_->snapshot().client_connections >= 2; });
  config_.listen = {loopback(2)};
  reload();
  rig_->settle();
  EXPECT_LE(rig_->snapshot().client_connections, 3U);  // a listener may be one over
}

TEST_F(GatewayReload, AnIdleConnectionOfAnotherKindMakesRoom) {
  config_.routes[0].settings.upstream_max_connections = 1;
  Route paced = config_.routes[0];
  paced.path = "/paced";
  paced.settings.pace_ms = 10;
  config_.routes.push_back(paced);
  start();
  Wire client = connect();
  Wire upstream = ask(client, "/");
  finish(upstream, client);
  ASSERT_EQ(idle(), 1U);
  Wire other = ask(client, "/paced");
  finish(other, client);
  EXPECT_EQ(connections(), 1U);
}

// It was made by a stream of the configuration before, for an upstream that nobody had asked.
TEST_F(GatewayReload, APoolThatIsWantedKeepsItsConnectionsWhoeverMadeIt) {
  Upstreams second;
  config_.routes[0].upstreams.push_back(config_to(second.port()).routes[0].upstreams[0]);
  config_.routes[0].settings.balance.method = Balance::Method::kRoundRobin;
  config_.routes[0].settings.eject_after = 0;
  start();
  Wire old_client = connect();
  Wire first = ask(old_client, "/old");
  config_.routes[0].settings.heartbeat_ms = 1000;
  reload();
  first.hang_up();
  rig_->turn_until_true([this] { return metrics().of_upstream(1).begun == 1; });
  rig_->turn_until_true([this] { return rig_->streams()[0].phase == "awaiting_head"; });
  Wire old_upstream = second.accept();
  // Turns begin anew with a reload: this is the first one's.
  Wire other_client = connect();
  Wire other = ask(other_client, "/other");
  finish(other, other_client);
  other.hang_up();
  rig_->turn_until_true([this] { return connections() == 1; });
  Wire new_client = connect();
  new_client.send(get("/new"));
  rig_->turn_until_true([this] { return metrics().of_upstream(1).begun == 2; });
  rig_->turn_until_true([this] { return rig_->streams()[0].phase == "awaiting_head"; });
  Wire new_upstream = second.accept();
  finish(old_upstream, old_client);
  finish(new_upstream, new_client);
  EXPECT_EQ(idle(), 2U);
}

TEST_F(GatewayReload, WhileItDrainsNewListenersAreClosed) {
  start();
  Wire client = connect();
  Wire upstream = ask(client, "/");
  rig_->gateway.drain();
  uint16_t port = 0;
  int listener = listen_on_loopback(&port);
  reload({{"late", listener}});
  EXPECT_EQ(::fcntl(listener, F_GETFD), -1);
}

}  // namespace
}  // namespace sluice::test
