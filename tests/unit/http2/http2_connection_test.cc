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
using test::NoSlots;
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
  // The upstream of the client's first stream, which has its head and waits for events.
  std::unique_ptr<Peer> begin_event_stream() {
    client_->send(first_frames() + request_frame(1, "/"));
    auto upstream = accept_request();
    upstream->send(kHead);
    rig_->turn_until_true([&] { return rig_->snapshot().event_streams == 1; });
    rig_->settle();
    return upstream;
  }
  uint64_t cancels() {
    return metrics().upstream_cancels[static_cast<unsigned>(Phase::kFirstEvent)];
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
  const Metrics& metrics() { return rig_->gateway.metrics(); }
  uint64_t endings(Ending ending) { return metrics().endings[static_cast<unsigned>(ending)]; }
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

// The kernel tells of few sockets a turn, so events wait here until windows open for all at once.
TEST_F(Http2ConnectionTest, EventsOf55StreamsHaveRoomInOneSend) {
  constexpr uint32_t kStreams = 55;
  client_->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
                frame(4, 0, 0, std::string_view("\0\4\0\0\0\0", 6)));
  std::vector<std::unique_ptr<Peer>> upstreams;
  for (uint32_t i = 0; i < kStreams; ++i) {
    client_->send(request_frame(2 * i + 1, "/" + std::to_string(i)));
    upstreams.push_back(accept_request());
    upstreams.back()->send(std::string(kHead) + "9\r\ndata: x\n\n\r\n");
  }
  rig_->turn_until_true([&] { return metrics().events == kStreams; });
  rig_->settle();
  uint64_t sends = rig_->ring->counters().sends;
  client_->send(frame(4, 0, 0, std::string_view("\0\4\0\0\xff\xff", 6)));
  rig_->turn_until_true([&] {
    take_frames();
    return data_frames_ == kStreams;
  });
  EXPECT_EQ(rig_->ring->counters().sends, sends + 1);
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
  auto upstream = begin_event_stream();
  client_->send(frame(3, 0, 1, std::string_view("\0\0\0\x08", 4)));
  rig_->turn_until_true([&] { return metrics().http2_resets[8] == 1; });
  EXPECT_EQ(cancels(), 1U);
  rig_->turn_until_true([&] { return upstream->ended() && rig_->snapshot().streams == 0; });
}

// An upstream is not to wait until such a client has taken our GOAWAY.
TEST_F(Http2ConnectionTest, AGoawayWithAnErrorCancelsTheUpstreamInTheSameTurn) {
  auto upstream = begin_event_stream();
  client_->send(frame(7, 0, 0, std::string_view("\0\0\0\0\0\0\0\x02", 8)));
  rig_->turn_until_true([&] { return metrics().http2_goaways[0] == 1; });
  EXPECT_EQ(cancels(), 1U);
  rig_->turn_until_true([&] { return upstream->ended(); });
}

TEST_F(Http2ConnectionTest, AFloodCancelsTheUpstreamInTheSameTurn) {
  auto upstream = begin_event_stream();
  std::string pings;
  for (uint32_t i = 0; i <= limits::kHttp2IdleFrames; ++i) pings += frame(6, 1, 0, "12345678");
  client_->send(pings);
  rig_->turn_until_true(
      [&] { return metrics().http2_floods[static_cast<unsigned>(Http2Flood::kPing)] == 1; });
  EXPECT_EQ(cancels(), 1U);
  rig_->turn_until_true([&] { return upstream->ended(); });
}

TEST_F(Http2ConnectionTest, ATruncatedResponseIsReset) {
  client_->send(first_frames() + request_frame(1, "/"));
  auto upstream = accept_request();
  upstream->send(std::string(kHead) + "9\r\ndata: x\n\n\r\n");
  await_body(1, "data: x\n\n");
  upstream->hang_up();
  // A client may drop what it reads together with a reset, so it has time.
  rig_->turn_until_true([&] { return rig_->streams()[0].phase == "draining"; });
  rig_->pass(limits::kAbortDelayMs - 1);
  take_frames();
  EXPECT_EQ(bodies_[1], "data: x\n\n");
  rig_->pass(1);
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

// The preface has its slot only after a wait, during which the connection watches for a hang-up.
TEST_F(Http2ConnectionTest, BeginsOnceThereIsASlot) {
  {
    NoSlots none(*rig_, rig_->http_message);
    client_->send(first_frames() + request_frame(1, "/"));
    rig_->settle();
  }
  auto upstream = accept_request();
  EXPECT_EQ(metrics().http2_connections, 1U);
}

TEST_F(Http2ConnectionTest, WhoIsNotReadIsNotLate) {
  std::string head = request_frame(1, "/", {{"content-length", "6"}});
  head[4] = 4;  // a body follows
  client_->send(first_frames() + head);
  auto upstream = accept_request();
  {
    NoSlots none(*rig_, rig_->http_message);
    client_->send(frame(0, 0, 1, "one") + frame(0, 1, 1, "two"));
    rig_->settle();
    rig_->pass(StreamSettings{}.body_timeout_ms);
    rig_->settle();
  }
  rig_->turn_until_true([&] {
    upstream->receive();
    return upstream->received.ends_with("onetwo");
  });
}

TEST_F(Http2ConnectionTest, AnEndThatNoWindowIsOpenedForFallsUnderTheWriteTimeout) {
  client_->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
                frame(4, 0, 0, std::string_view("\0\4\0\0\0\0", 6)) + request_frame(1, "/"));
  auto upstream = accept_request();
  upstream->send(kHead);
  rig_->turn_until_true([&] { return rig_->snapshot().event_streams == 1; });
  rig_->settle();
  upstream->send("0\r\n\r\n");
  rig_->settle();
  take_frames();
  EXPECT_EQ(bodies_[1], "");
  rig_->pass(StreamSettings{}.write_timeout_ms / 2);
  rig_->pass(StreamSettings{}.write_timeout_ms);
  await_body(1, "<reset>");
  EXPECT_EQ(endings(Ending::kClientStalled), 1U);
}

// It says GOAWAY, and goes on to talk while its last answer is on its way.
TEST_F(Http2ConnectionTest, AClientThatAsksForNothingMoreHasItsAnswers) {
  client_->send(first_frames() + frame(8, 0, 0, std::string_view("\x7f\xff\0\0", 4)) +
                request_frame(1, "/") + frame(7, 0, 0, std::string(8, '\0')));
  auto upstream = accept_request();
  // More than the sockets between gateway and client hold.
  constexpr size_t kBytes = 30'000'000;
  upstream->send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(kBytes) + "\r\n\r\n");
  const std::string piece(60'000, 'b');
  // What is left of the answer comes to be one batch, the end in it.
  size_t written = 0;
  rig_->turn_until_true([&] {
    written += upstream->send(std::string_view(piece).substr(0, kBytes - written));
    std::vector<StreamInfo> streams = rig_->streams();
    if (streams.empty()) return true;
    if (written == kBytes && streams[0].phase == "draining" && streams[0].backlog < 60'000)
      return true;
    client_->receive(16'384);
    return false;
  });
  ASSERT_EQ(rig_->streams().size(), 1U);
  rig_->settle();
  client_->send(frame(6, 0, 0, "12345678"));
  rig_->settle();
  EXPECT_EQ(endings(Ending::kClientLeft), 0U);
  rig_->turn_until_true([&] {
    take_frames();
    return endings(Ending::kComplete) == 1;
  });
  rig_->turn_until_true([&] { return client_->ended(); });
}

TEST_F(Http2ConnectionTest, PaddingAloneIsAFlood) {
  std::string head = request_frame(1, "/");
  head[4] = 4;
  client_->send(first_frames() + head);
  auto upstream = accept_request();
  std::string padding;
  for (uint32_t i = 0; i <= limits::kHttp2IdleFrames; ++i)
    padding += frame(0, 8, 1, std::string_view("\x01\0", 2));
  client_->send(padding);
  rig_->turn_until_true(
      [&] { return metrics().http2_floods[static_cast<unsigned>(Http2Flood::kEmptyData)] == 1; });
  rig_->turn_until_true([&] { return client_->ended(); });
}

TEST_F(Http2ConnectionTest, WhatOnlyBeginsLikeThePrefaceIsNoHttp) {
  client_->send("PRI * HTTP/2.0\r\n\r\nNO\r\n\r\n");
  rig_->turn_until_true([&] { return client_->ended(); });
  EXPECT_EQ(metrics().bad_requests[static_cast<unsigned>(ParseError::kNotHttp)], 1U);
  for (uint64_t count : metrics().http2_goaways) EXPECT_EQ(count, 0U);
}

// Nobody else would give the slots back that a reset stream's bytes lie in.
TEST_F(Http2ConnectionTest, ABatchOfAStreamThatHasGoneGivesWayWhereMemoryHasRunOut) {
  client_->send(first_frames() + frame(8, 0, 0, std::string_view("\x7f\xff\0\0", 4)) +
                request_frame(1, "/"));
  auto upstream = accept_request();
  upstream->send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
  const std::string piece(60'000, 'b');
  rig_->turn_until_true([&] {
    upstream->send(piece);
    return rig_->streams().size() == 1 && rig_->streams()[0].stalled;
  });
  client_->send(frame(3, 0, 1, std::string_view("\0\0\0\x08", 4)));
  rig_->turn_until_true([&] { return upstream->ended(); });
  rig_->pass(limits::kShedAfterMs);
  rig_->settle();
  EXPECT_EQ(rig_->snapshot().client_connections, 1U) << "nobody wants them";
  NoSlots none(*rig_, rig_->http_message);
  rig_->turn_until_true([&] {
    rig_->pass(limits::kRelieveEveryMs);
    return rig_->snapshot().client_connections == 0;
  });
}

TEST_F(Http2ConnectionTest, IsSmall) {
  EXPECT_LE(sizeof(Http2Stream), 96U);
  EXPECT_LE(sizeof(Http2ClientConn), 640U);
}

}  // namespace
}  // namespace sluice
