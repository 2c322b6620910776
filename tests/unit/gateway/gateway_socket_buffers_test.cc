// The sizes of the sockets' buffers, which follow how fast a stream's client is.
#include <algorithm>
#include <array>
#include <linux/socket.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/gateway/gateway_testing.h"

namespace sluice::test {
namespace {

// The gateway's end of that connection, which is in this process.
int other_end(const Wire& wire) {
  for (int fd = 0; fd < 1000; ++fd) {
    Address local;
    Address peer;
    local.size = local_address(fd, &local.storage);
    peer.size = peer_address(fd, &peer.storage);
    bool both = local.size > 0 && peer.size > 0;
    if (both && local.port() == wire.peer_port() && peer.port() == wire.local_port()) return fd;
  }
  ADD_FAILURE() << "no such connection";
  return -1;
}

int option_of(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(getsockopt(fd, SOL_SOCKET, name, &value, &size), 0);
  return value;
}

// The time stands still, so whatever passes is fast. wmem_max and rmem_max are at least 208 KiB.
class GatewaySocketBuffers : public ::testing::Test {
 protected:
  static constexpr int kUsual = 2 * 64 * 1024;  // the kernel doubles it
  static constexpr int kLarge = 2 * 150'000;
  static constexpr size_t kMuch = 8 * size_t{limits::kWindowTrialBytes};

  static constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

  void open(std::string_view fields, uint64_t buffer_max = kLarge / 2) {
    config_.routes[0].settings.socket_buffer_max = buffer_max;
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener});
    client_.emplace(Wire::connect_to(port_));
    ask();
    upstream_->send("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n");
    rig_->turn_until_true([this] { return rig_->streams()[0].status == 200; });
  }
  // On a new connection to the upstream.
  void ask() {
    uint64_t connects = rig_->gateway.metrics().upstream_connects;
    client_->send(kRequest);
    rig_->turn_until_true(
        [=, this] { return rig_->gateway.metrics().upstream_connects > connects; });
    rig_->settle();
    upstream_.emplace(upstreams_.accept());
  }
  void send_some() {
    left_ -= static_cast<size_t>(std::max<ssize_t>(
        ::send(upstream_->fd(), much_.data() + (kMuch - left_), left_, MSG_DONTWAIT), 0));
  }
  void receive_some() {
    std::array<char, 65536> into{};
    while (recv(client_->fd(), into.data(), into.size(), MSG_DONTWAIT) > 0) {
    }
  }
  int receive_buffer() { return option_of(other_end(*upstream_), SO_RCVBUF); }
  int send_buffer() { return option_of(other_end(*client_), SO_SNDBUF); }
  void turn_until_large() {
    rig_->turn_until_true([this] {
      send_some();
      receive_some();
      return both_are(kLarge);
    });
  }
  bool both_are(int bytes) { return receive_buffer() == bytes && send_buffer() == bytes; }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
  uint16_t port_ = 0;
  std::unique_ptr<GatewayRig> rig_;
  std::string event_ = "data: " + std::string(4090, 'x') + "\n\n";
  std::string much_ = [this] {
    std::string all;
    while (all.size() < kMuch) all += event_;
    return all;
  }();
  size_t left_ = kMuch;
  std::optional<Wire> client_;
  std::optional<Wire> upstream_;
};

// The upstream's stays large: the kernel would drop what comes in the window that it has announced.
TEST_F(GatewaySocketBuffers, AreLargeForAClientThatTakesAllAtOnceAndItsOwnUsualOnceItHasStalled) {
  open("content-type: text/event-stream\r\n");
  EXPECT_TRUE(both_are(kUsual));
  EXPECT_EQ(option_of(other_end(*upstream_), SO_BUF_LOCK), SOCK_RCVBUF_LOCK);
  turn_until_large();
  rig_->turn_until_true([this] {
    send_some();
    return rig_->streams()[0].stalled;
  });
  rig_->pass(2 * limits::kFastWindowMs);
  rig_->turn_until_true([this] {
    receive_some();
    return send_buffer() == kUsual;
  });
  EXPECT_EQ(receive_buffer(), kLarge);
}

TEST_F(GatewaySocketBuffers, AreUsualForTheNextRequestWhichGetsAnotherConnection) {
  open("content-type: text/event-stream\r\ncontent-length: " + std::to_string(kMuch) + "\r\n");
  turn_until_large();
  rig_->turn_until_true([this] {
    send_some();
    receive_some();
    return rig_->streams().empty();
  });
  ask();
  upstream_->send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + event_);
  rig_->turn_until_true([this] { return rig_->streams()[0].events == 1; });
  EXPECT_TRUE(both_are(kUsual));
}

// However large the window is that all streams begin with.
TEST_F(GatewaySocketBuffers, AreUsualForAClientThatHasTakenNothing) {
  config_.routes[0].settings.buffer_size = limits::kWideWindow;
  open("content-type: text/event-stream\r\n");
  rig_->turn_until_true([this] {
    send_some();
    return rig_->streams()[0].stalled;
  });
  EXPECT_TRUE(both_are(kUsual));
}

// Its upstream's connection has more to do.
TEST_F(GatewaySocketBuffers, AreUsualForADownload) {
  open("content-length: " + std::to_string(kMuch) + "\r\n");
  rig_->turn_until_true([this] {
    send_some();
    receive_some();
    return !rig_->streams().empty() && rig_->streams()[0].window > limits::kWideWindow;
  });
  rig_->settle();
  EXPECT_TRUE(both_are(kUsual));
}

// As where net.core.rmem_max allows no more: the connection is as good as before.
TEST_F(GatewaySocketBuffers, ThatCannotGrowCostNoConnection) {
  config_.routes[0].settings.upstream_rcvbuf = uint64_t{1} << 29;
  open("content-type: text/event-stream\r\ncontent-length: " + std::to_string(kMuch) + "\r\n",
       uint64_t{1} << 30);
  rig_->turn_until_true([this] {
    send_some();
    receive_some();
    return rig_->streams().empty();
  });
  rig_->settle();
  client_->send(kRequest);
  rig_->turn_until_true([this] { return rig_->gateway.metrics().upstream_reuses == 1; });
}

TEST_F(GatewaySocketBuffers, StayTheKernelsWhereTheyAreTheKernels) {
  config_.routes[0].settings.upstream_rcvbuf = 0;
  config_.routes[0].settings.client_sndbuf = 0;
  open("content-type: text/event-stream\r\n");
  rig_->turn_until_true([this] {
    send_some();
    receive_some();
    return rig_->streams()[0].window >= limits::kWideWindow;
  });
  rig_->settle();
  EXPECT_EQ(option_of(other_end(*upstream_), SO_BUF_LOCK), 0);
  EXPECT_EQ(option_of(other_end(*client_), SO_BUF_LOCK), 0);
}

}  // namespace
}  // namespace sluice::test
