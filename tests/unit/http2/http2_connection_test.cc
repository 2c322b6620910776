// A gateway on the test's own thread serves a real socket, which the test plays frame by frame.
#include <fcntl.h>
#include <map>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "net/http2/connection.h"
#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/http2/frames_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice {
namespace {

using test::first_frames;
using test::frame;
using test::GatewayRig;
using test::Peer;
using test::request_frame;
using test::SeenFrame;

class Http2ConnectionTest : public testing::Test {
 protected:
  Http2ConnectionTest() {
    upstream_listener_ = test::listen_on_loopback(&upstream_port_);
    fcntl(upstream_listener_, F_SETFL, O_NONBLOCK);
    uint16_t port = 0;
    int listener = test::listen_on_loopback(&port);
    Config config = test::config_to(upstream_port_);
    config.routes[0].settings.heal = Heal::kOff;
    rig_ = std::make_unique<GatewayRig>(config, std::vector<int>{listener});
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Address address = test::loopback(port);
    EXPECT_EQ(::connect(fd, address.sa(), address.size), 0);
    client_ = std::make_unique<Peer>(fd);
  }
  ~Http2ConnectionTest() override { close_socket(upstream_listener_); }

  // The upstream's end of the next request, which has arrived.
  std::unique_ptr<Peer> accept_request() {
    int fd = -1;
    rig_->turn_until_true([&] {
      if (fd < 0) fd = accept4(upstream_listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      return fd >= 0;
    });
    auto peer = std::make_unique<Peer>(fd);
    rig_->turn_until_true([&] {
      peer->receive();
      return peer->received.find("\r\n\r\n") != std::string::npos;
    });
    return peer;
  }
  // Bytes of the streams' bodies, and marks for how they end.
  void take_frames() {
    client_->receive();
    for (SeenFrame& seen : test::take_frames(client_->received)) {
      std::string& body = bodies_[seen.id];
      if (seen.type == 0) {
        body += seen.payload;
        ++data_frames_;
      }
      if (seen.type <= 1 && (seen.flags & 1) != 0) body += "<end>";
      if (seen.type == 3) body += "<reset>";
    }
  }
  void await_body(uint32_t id, std::string_view body) {
    rig_->turn_until_true([&] {
      take_frames();
      return bodies_[id] == body;
    });
  }
  static constexpr std::string_view kHead =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

  uint16_t upstream_port_ = 0;
  int upstream_listener_ = -1;
  std::unique_ptr<GatewayRig> rig_;
  std::unique_ptr<Peer> client_;
  std::map<uint32_t, std::string> bodies_;
  size_t data_frames_ = 0;
};

TEST_F(Http2ConnectionTest, ReadsBytesThatComeOneByOne) {
  std::string bytes = first_frames() + request_frame(1, "/one") + request_frame(3, "/two");
  for (char byte : bytes) {
    client_->send({&byte, 1});
    rig_->loop.turn(false);
  }
  auto one = accept_request();
  auto two = accept_request();
  EXPECT_NE((one->received + two->received).find("GET /one HTTP/1.1\r\n"), std::string::npos);
  EXPECT_NE((one->received + two->received).find("GET /two HTTP/1.1\r\n"), std::string::npos);
  EXPECT_EQ(rig_->gateway.metrics().http2_connections, 1U);
  EXPECT_EQ(rig_->gateway.metrics().streams_started, 2U);
}

TEST_F(Http2ConnectionTest, EventsOfManyStreamsLeaveInOneSend) {
  constexpr uint32_t kStreams = 20;
  client_->send(first_frames());
  std::vector<std::unique_ptr<Peer>> upstreams;
  for (uint32_t i = 0; i < kStreams; ++i) {
    client_->send(request_frame(2 * i + 1, "/" + std::to_string(i)));
    upstreams.push_back(accept_request());
    upstreams.back()->send(kHead);
  }
  rig_->turn_until_true([&] { return rig_->snapshot().event_streams == kStreams; });
  rig_->settle();
  take_frames();
  uint64_t sends = rig_->ring->counters().sends;
  for (auto& upstream : upstreams) upstream->send("9\r\ndata: x\n\n\r\n");
  rig_->turn_until_true([&] {
    take_frames();
    return data_frames_ == kStreams;
  });
  EXPECT_LE(rig_->ring->counters().sends, sends + 2);  // one, unless the sockets' data took two
  for (uint32_t i = 0; i < kStreams; ++i) EXPECT_EQ(bodies_[2 * i + 1], "data: x\n\n");
}

TEST_F(Http2ConnectionTest, AStreamGivesASendNoMoreThanOneFrame) {
  client_->send(first_frames() + frame(8, 0, 0, std::string_view("\x7f\xff\0\0", 4)));
  client_->send(request_frame(1, "/bulk") + request_frame(3, "/event"));
  auto a = accept_request();
  auto b = accept_request();
  bool first = a->received.find("/bulk") != std::string::npos;
  Peer& bulk = first ? *a : *b;
  Peer& event = first ? *b : *a;
  bulk.send("HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n");
  event.send(kHead);
  std::string body(200'000, 'b');
  std::string_view rest = body;
  size_t events = 0;
  rig_->turn_until_true([&] {
    rest.remove_prefix(bulk.send(rest.substr(0, 50'000)));
    if (events < 5 && event.send("9\r\ndata: x\n\n\r\n") > 0) ++events;
    take_frames();
    return bodies_[1].size() == body.size() + 5 && bodies_[3].size() == 45;
  });
  EXPECT_TRUE(bodies_[1] == body + "<end>");
}

TEST_F(Http2ConnectionTest, AResetCancelsTheUpstreamInTheSameTurn) {
  client_->send(first_frames() + request_frame(1, "/"));
  auto upstream = accept_request();
  upstream->send(kHead);
  rig_->turn_until_true([&] { return rig_->snapshot().event_streams == 1; });
  client_->send(frame(3, 0, 1, std::string_view("\0\0\0\x08", 4)));
  rig_->turn_until_true([&] { return rig_->gateway.metrics().http2_resets[8] == 1; });
  EXPECT_EQ(rig_->gateway.metrics().upstream_cancels[static_cast<unsigned>(Phase::kFirstEvent)],
            1U);
  rig_->turn_until_true([&] { return upstream->ended() && rig_->snapshot().streams == 0; });
}

TEST_F(Http2ConnectionTest, ATruncatedResponseIsReset) {
  client_->send(first_frames() + request_frame(1, "/"));
  auto upstream = accept_request();
  upstream->send(std::string(kHead) + "9\r\ndata: x\n\n\r\n");
  await_body(1, "data: x\n\n");
  upstream->hang_up();
  await_body(1, "data: x\n\n<reset>");
}

TEST_F(Http2ConnectionTest, AResetWhileBytesOfTheStreamAreOnTheirWayDropsNothingThatIsInUse) {
  // The client reads nothing, so that a send stays in flight; the rig checks what is left.
  client_->send(first_frames() + frame(8, 0, 0, std::string_view("\x7f\xff\0\0", 4)) +
                request_frame(1, "/"));
  auto upstream = accept_request();
  upstream->send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
  std::string piece(60'000, 'b');
  rig_->turn_until_true([&] {
    upstream->send(piece);
    return rig_->streams().size() == 1 && rig_->streams()[0].stalled;
  });
  client_->send(frame(3, 0, 1, std::string_view("\0\0\0\x08", 4)));
  rig_->turn_until_true([&] { return upstream->ended(); });
  // The batch that was under way comes whole, and the next stream is served.
  client_->send(request_frame(3, "/next"));
  auto next = accept_request();
  next->send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  await_body(3, "ok<end>");
}

TEST_F(Http2ConnectionTest, IsSmall) {
  EXPECT_LE(sizeof(Http2Stream), 96U);
  EXPECT_LE(sizeof(Http2ClientConn), 640U);
}

}  // namespace
}  // namespace sluice
