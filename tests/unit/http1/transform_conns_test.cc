// HTTP/1 over a transform, on the client's side and the upstream's: the rooms of a worker as the
// gateway wires them, with a toy transform on every socket and peers that speak its records.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/gateway/clients.h"
#include "net/http1/upstream_conn.h"
#include "net/observe/stream_endings.h"
#include "net/upstream/endpoints.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/dns/fake_resolver.h"
#include "tests/unit/random_source.h"
#include "tests/unit/transport/conn_testing.h"
#include "tests/unit/transport/toy_transform.h"

namespace sluice {
namespace {

using test::FakeResolver;
using test::joined;
using test::Peer;
using test::ToyOptions;
using test::ToyTalk;
using test::ToyTransform;
using test::ToyType;
using test::turn_until;

constexpr std::string_view kEventStream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
// From one end of the connection to the other.
constexpr std::string_view kToTheEnd =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

class ToyConnector final : public Connector {
 public:
  explicit ToyConnector(WorkerContext& context) : context_(context) {}
  PooledConn& connect(UpstreamPool& pool) override {
    auto transform = std::make_unique<ToyTransform>(options);
    auto wire = std::make_unique<WireQueue>(context_.memory, std::move(transform));
    return *new UpstreamConn(pool, std::move(wire));
  }
  const RequestWriter& writer() const override { return http1_request_writer(); }

  ToyOptions options;

 private:
  WorkerContext& context_;
};

// The allocator's classes: a plain connection pays for no transform.
static_assert(sizeof(ClientConn) <= 256 && sizeof(UpstreamConn) <= 320);

// A peer and what it speaks.
struct Talker {
  explicit Talker(int fd) : peer(fd) {}

  void say(std::string_view wire) { EXPECT_EQ(peer.send(wire), wire.size()); }
  std::string& hear(size_t bytes_max = SIZE_MAX) {
    peer.receive(bytes_max);
    talk.hear(std::string_view(peer.received).substr(heard));
    heard = peer.received.size();
    return talk.plain;
  }

  Peer peer;
  ToyTalk talk;
  size_t heard = 0;
};

// The body of a chunked response.
std::string body_of(std::string_view response) {
  std::string body;
  response.remove_prefix(response.find("\r\n\r\n") + 4);
  while (!response.empty()) {
    size_t size = std::stoul(std::string(response.substr(0, 16)), nullptr, 16);
    response.remove_prefix(response.find('\n') + 1);
    body += response.substr(0, size);
    response.remove_prefix(size + 2);
  }
  return body;
}

class TransformConnsTest : public testing::Test, public CloseWatcher {
 protected:
  TransformConnsTest() {
    EXPECT_TRUE(sse_event_.ok() && http_message_.ok());
    fcntl(listener_, F_SETFL, O_NONBLOCK);
  }
  ~TransformConnsTest() override {
    context_.draining = true;
    clients_.drain();
    upstreams_.close_idle();
    streams_.shut_down();
    clients_.drop_all();
    turn_until(loop_, [this] { return loop_.operations() == 0; });
    loop_.turn(false);
    EXPECT_EQ(clients_.count(), 0U);
    EXPECT_EQ(limit_.taken(), 0U);
    EXPECT_EQ(upstreams_.connections(), 0U);
    EXPECT_EQ(sse_event_.leased() + http_message_.leased(), 0U);
    EXPECT_EQ(memory_.nodes.in_use(), 0U);
    EXPECT_EQ(memory_limit_.heap, 0U);
    close_socket(listener_);
  }
  void connection_closed() override {}

  // `receive_buffer`: the socket's, and that of the other end's sends.
  std::unique_ptr<Talker> connect(uint64_t receive_buffer = 0) {
    uint16_t port = 0;
    int listener = test::listen_on_loopback(&port);
    Address address = test::loopback(port);
    int theirs = open_stream_socket(AF_INET);
    set_receive_buffer(theirs, receive_buffer);
    EXPECT_EQ(::connect(theirs, address.sa(), address.size), 0);
    auto client = std::make_unique<Talker>(theirs);
    ToyOptions options = client_options_;
    options.server = true;
    int ours = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    set_send_buffer(ours, receive_buffer);
    clients_.accepted(ours, std::make_unique<ToyTransform>(options));
    close_socket(listener);
    return client;
  }
  std::unique_ptr<Talker> accept() {
    int fd = -1;
    turn_until(loop_, [&] {
      if (fd < 0) fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      return fd >= 0;
    });
    return std::make_unique<Talker>(fd);
  }
  // One whose request has reached the upstream.
  struct Exchange {
    std::unique_ptr<Talker> client;
    std::unique_ptr<Talker> upstream;
  };
  Exchange exchange(std::string_view request, uint64_t receive_buffer = 0) {
    Exchange both{connect(receive_buffer), nullptr};
    both.client->say(joined({both.client->talk.begin(), both.client->talk.data(request, 7)}));
    both.upstream = accept();
    both.upstream->say(both.upstream->talk.hello());
    await(*both.upstream, "\r\n\r\n");
    return both;
  }
  void await(Talker& talker, std::string_view text) {
    turn_until(loop_, [&] { return talker.hear().find(text) != std::string::npos; });
  }
  void await_hello(Talker& talker) {
    turn_until(loop_, [&] {
      talker.hear();
      return talker.talk.heard(ToyType::kHello);
    });
  }
  void await_end(Talker& talker) {
    turn_until(loop_, [&] {
      talker.hear();
      return talker.peer.ended();
    });
    talker.hear();
  }
  void await_ending(Ending ending) {
    turn_until(loop_, [&] { return context_.metrics.endings[static_cast<unsigned>(ending)] > 0; });
  }
  // The route's settings, before the first request.
  template <typename Adjust>
  void adjust(Adjust change) {
    change(config_.routes[0].settings);
    context_.snapshot = ConfigRef(std::make_shared<ConfigSnapshot>(config_));
  }
  void turns(int count) {
    while (count-- > 0) loop_.turn(false);
  }

  uint16_t port_ = 0;
  int listener_ = test::listen_on_loopback(&port_);
  Config config_ = test::config_to(port_);
  std::unique_ptr<Ring> ring_ = test::make_ring();
  Loop loop_{*ring_};
  MemoryLimit memory_limit_{.bytes_max = 4 << 20, .heap_max = 1 << 20};
  SlotPool sse_event_{loop_, memory_limit_, {"sse_event", 0, 4096, 64}};
  SlotPool http_message_{loop_, memory_limit_, {"http_message", 1, 16384, 32}};
  Memory memory_{sse_event_, http_message_, {}};
  LogQueue log_;
  MessageLog messages_{log_, LogLevel::kError};
  WorkerContext context_{
      loop_, memory_, memory_limit_, std::make_shared<ConfigSnapshot>(config_), messages_, 0};
  ToyConnector connector_{context_};
  FakeResolver resolver_;
  Endpoints upstreams_{context_, resolver_, connector_, *this};
  StreamEndings endings_{context_, log_};
  Streams streams_{context_, upstreams_, endings_};
  ClientLimit limit_{1000};
  Clients clients_{streams_, limit_, *this};
  ToyOptions client_options_{.record_bytes = 50};
};

TEST_F(TransformConnsTest, ConnectionsCarryOneRequestAfterTheOther) {
  Exchange both = exchange(test::get("/1"));
  EXPECT_EQ(both.upstream->talk.plain.find("GET /1 HTTP/1.1\r\n"), 0U);
  both.upstream->say(both.upstream->talk.data(test::ok("first"), 3));
  await(*both.client, "\r\n\r\nfirst");
  both.client->say(both.client->talk.data(test::get("/2")));
  await(*both.upstream, "GET /2 HTTP/1.1\r\n");
  both.upstream->say(both.upstream->talk.data(test::ok("second")));
  await(*both.client, "\r\n\r\nsecond");
  EXPECT_EQ(context_.metrics.upstream_connects, 1U);
  EXPECT_EQ(context_.metrics.upstream_reuses, 1U);
}

TEST_F(TransformConnsTest, RequestAndResponseMayBeCutAnywhere) {
  const std::string answer = std::string(kEventStream) +
                             "transfer-encoding: chunked\r\n\r\n"
                             "f\r\ndata: event 1\n\n\r\n"
                             "1c\r\nid: 2\ndata: the second one\n\n\r\n0\r\n\r\n";
  std::string expected = "data: event 1\n\nid: 2\ndata: the second one\n\n";
  ToyTalk once;
  size_t request_size = joined({once.begin(), once.data(test::get("/"), 9)}).size();
  size_t answer_size = joined({once.hello(), once.data(answer, 11)}).size();
  for (size_t cut = 0; cut < std::max(request_size, answer_size); ++cut) {
    auto client = connect();
    std::string request = joined({client->talk.begin(), client->talk.data(test::get("/"), 9)});
    size_t request_cut = std::min(cut, request.size());
    client->say(request.substr(0, request_cut));
    turns(3);
    client->say(request.substr(request_cut));
    auto upstream = accept();
    std::string response = joined({upstream->talk.hello(), upstream->talk.data(answer, 11)});
    size_t response_cut = std::min(cut, response.size());
    upstream->say(response.substr(0, response_cut));
    turns(3);
    upstream->say(response.substr(response_cut));
    await(*client, "\r\n0\r\n\r\n");
    ASSERT_EQ(body_of(client->talk.plain), expected) << cut;
    upstream->peer.hang_up();
    client->peer.hang_up();
    turn_until(loop_, [this] { return clients_.count() + upstreams_.connections() == 0; });
  }
}

// --- endings ---

TEST_F(TransformConnsTest, ABodyUpToTheEndingIsComplete) {
  Exchange both = exchange(test::get("/"));
  Talker& upstream = *both.upstream;
  upstream.say(
      joined({upstream.talk.data(std::string(kToTheEnd) + "data: 1\n\n"), upstream.talk.end()}));
  upstream.peer.shut_down_sending();
  await(*both.client, "\r\n0\r\n\r\n");
  await_ending(Ending::kComplete);
}

TEST_F(TransformConnsTest, ABodyUpToAMereFinIsCut) {
  Exchange both = exchange(test::get("/"));
  both.upstream->say(both.upstream->talk.data(std::string(kToTheEnd) + "data: 1\n\n"));
  both.upstream->peer.shut_down_sending();
  await_ending(Ending::kUpstreamTruncated);
  await_end(*both.client);
  EXPECT_NE(both.client->talk.plain.find("data: 1\n\n"), std::string::npos);
  EXPECT_EQ(both.client->talk.plain.find("\r\n0\r\n\r\n"), std::string::npos);
}

TEST_F(TransformConnsTest, ABodyThatWasCompleteNeedsNoEnding) {
  Exchange both = exchange(test::get("/"));
  both.upstream->say(both.upstream->talk.data(test::ok("all")));
  both.upstream->peer.shut_down_sending();
  await(*both.client, "\r\n\r\nall");
  await_ending(Ending::kComplete);
  turn_until(loop_, [this] { return upstreams_.connections() == 0; });
}

TEST_F(TransformConnsTest, WhatTheConnectionDelimitsEndsWithTheEndingOrAReset) {
  for (bool cut : {false, true}) {
    Exchange both = exchange("GET / HTTP/1.0\r\n\r\n");
    Talker& upstream = *both.upstream;
    upstream.say(upstream.talk.data(std::string(kToTheEnd) + "data: 1\n\n"));
    await(*both.client, "data: 1\n\n");
    if (!cut) upstream.say(upstream.talk.end());
    upstream.peer.shut_down_sending();
    await_end(*both.client);
    EXPECT_EQ(both.client->peer.end, cut ? ECONNRESET : 0);
    EXPECT_EQ(both.client->talk.ended(), !cut);
  }
}

TEST_F(TransformConnsTest, AnUpstreamThatBreaksItsRecordsIsLost) {
  Exchange both = exchange(test::get("/"));
  both.upstream->say(
      joined({both.upstream->talk.data(std::string(kToTheEnd) + "data: 1\n\n"), "?!?"}));
  await_ending(Ending::kUpstreamReset);
  await_end(*both.client);
  EXPECT_NE(both.client->talk.plain.find("data: 1\n\n"), std::string::npos);
}

TEST_F(TransformConnsTest, AClientThatLeavesTakesItsUpstreamAlong) {
  for (int how = 0; how < 3; ++how) {
    Exchange both = exchange(test::get("/"));
    both.upstream->say(both.upstream->talk.data(std::string(kToTheEnd) + "data: 1\n\n"));
    await(*both.client, "data: 1\n\n");
    if (how == 0) both.client->say(both.client->talk.end());
    if (how <= 1) both.client->peer.shut_down_sending();
    if (how == 2) both.client->peer.reset();
    await_end(*both.upstream);
  }
}

TEST_F(TransformConnsTest, AnIdleClientIsToldThatItsConnectionEnds) {
  Exchange both = exchange(test::get("/"));
  both.upstream->say(both.upstream->talk.data(test::ok("all")));
  await(*both.client, "\r\n\r\nall");
  clients_.drain();
  await_end(*both.client);
  EXPECT_EQ(both.client->peer.end, 0);
  EXPECT_TRUE(both.client->talk.ended());
}

// --- the handshake ---

TEST_F(TransformConnsTest, AHandshakeCountsAsAClient) {
  auto client = connect();
  client->say(client->talk.hello());
  await_hello(*client);
  EXPECT_EQ(clients_.count(), 1U);
  EXPECT_EQ(limit_.taken(), 1U);
  clients_.drain();
  turn_until(loop_, [this] { return clients_.count() == 0; });
  await_end(*client);
  EXPECT_FALSE(client->talk.ended()) << "nobody could read that";
}

TEST_F(TransformConnsTest, AHandshakeKeepsItsPlaceAmongTheOthers) {
  std::vector<std::unique_ptr<Talker>> talkers;
  for (int i = 0; i < 5; ++i) talkers.push_back(connect());
  for (size_t i : {3U, 0U, 4U}) talkers[i]->say(talkers[i]->talk.begin());
  for (size_t i : {3U, 0U, 4U})
    turn_until(loop_, [&] {
      talkers[i]->hear();
      return talkers[i]->talk.heard(ToyType::kTicket);
    });
  talkers[1]->peer.hang_up();
  talkers[3]->peer.hang_up();
  turn_until(loop_, [this] { return clients_.count() == 3; });
  clients_.drop_all();
  turn_until(loop_, [this] { return clients_.count() == 0; });
}

TEST_F(TransformConnsTest, AnUpstreamWhoseHandshakeFailsWasNotReached) {
  auto client = connect();
  client->say(
      joined({client->talk.begin(),
              client->talk.data("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx")}));
  auto upstream = accept();
  upstream->say("no record");
  await(*client, "HTTP/1.1 502");
  await_ending(Ending::kUpstreamTls);
  await_end(*upstream);
  EXPECT_EQ(upstream->talk.plain, "");
}

TEST_F(TransformConnsTest, TheConnectTimeoutBoundsTheHandshake) {
  adjust([](StreamSettings& settings) { settings.connect_timeout_ms = 20; });
  auto client = connect();
  client->say(joined({client->talk.begin(), client->talk.data(test::get("/"))}));
  auto upstream = accept();
  await_ending(Ending::kUpstreamConnectTimeout);
  await(*client, "HTTP/1.1 504");
}

// --- backpressure ---

TEST_F(TransformConnsTest, AClientThatDoesNotReadStopsItsUpstream) {
  adjust([](StreamSettings& settings) {
    settings.upstream_rcvbuf = 4096;
    settings.buffer_size_max = 32 << 10;  // so that it stays with small slots
  });
  Exchange both = exchange(test::get("/"), 4096);
  Talker& upstream = *both.upstream;
  upstream.say(upstream.talk.data(kToTheEnd));
  std::string events;
  for (size_t i = 0; events.size() < (6U << 20); ++i)
    events += "data: " + std::to_string(i) + "\n\n";
  std::string wire = joined({upstream.talk.data(events, 900), upstream.talk.end()});
  std::string_view rest = wire;
  auto send_more = [&] { rest.remove_prefix(upstream.peer.send(rest)); };
  turn_until(loop_, [&] {
    send_more();
    return both.client->hear().size() > 100'000;
  });
  for (int i = 0; i < 300; ++i) {
    send_more();
    turns(2);
  }
  ASSERT_FALSE(rest.empty()) << "the upstream was not held up";
  uint32_t leased = sse_event_.leased() * 4096 + http_message_.leased() * 16384;
  EXPECT_LT(leased, 1U << 20);
  EXPECT_EQ(http_message_.leased(), 0U) << "others' requests need these";
  turn_until(loop_, [&] {
    send_more();
    return both.client->hear().ends_with("\r\n0\r\n\r\n");
  });
  EXPECT_TRUE(body_of(both.client->talk.plain) == events);
}

// More streams than there are slots for, and memory that does not grow: they wait for slots and
// for one another, and all that comes, comes whole and in order.
TEST_F(TransformConnsTest, WhereMemoryIsShortStreamsWaitAndLoseNothing) {
  memory_limit_.bytes_max = 0;

  test::RandomSource random;
  SCOPED_TRACE(random.trace());
  struct OneStream {
    Exchange both;
    std::string events;
    std::string wire;
    size_t sent = 0;
  };
  std::vector<OneStream> all;
  for (int i = 0; i < 40; ++i) {
    all.push_back({exchange(test::get("/"), 4096), {}, {}});
    OneStream& one = all.back();
    for (int n = 0; one.events.size() < 60'000; ++n)
      one.events +=
          "data: " + std::to_string(n) + std::string(random.between(0, 300), 'e') + "\n\n";
    ToyTalk& talk = one.both.upstream->talk;
    size_t record_bytes = 1 + random.between(0, 6000);
    one.wire = joined({talk.data(std::string(kToTheEnd) + one.events, record_bytes), talk.end()});
  }
  bool waited = false;
  auto done = [](const OneStream& one) {
    return one.both.client->talk.plain.ends_with("\r\n0\r\n\r\n");
  };
  turn_until(loop_, [&] {
    for (OneStream& one : all) {
      std::string_view rest = std::string_view(one.wire).substr(one.sent);
      one.sent += one.both.upstream->peer.send(rest.substr(0, random.between(0, 9000)));
      if (random.between(0, 4) == 0) one.both.client->hear(random.between(0, 20'000));
    }
    waited |= sse_event_.awaited() || http_message_.awaited();
    return std::ranges::all_of(all, done);
  });
  for (OneStream& one : all) EXPECT_TRUE(body_of(one.both.client->talk.plain) == one.events);
  EXPECT_TRUE(waited) << "memory was not short";
}

TEST_F(TransformConnsTest, ALargeRequestGoesThrough) {
  auto client = connect();
  std::string body(1 << 20, 'b');
  std::string wire = joined(
      {client->talk.begin(), client->talk.data("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: " +
                                                   std::to_string(body.size()) + "\r\n\r\n" + body,
                                               16'000)});
  std::string_view rest = wire;
  rest.remove_prefix(client->peer.send(rest));
  auto upstream = accept();
  upstream->say(upstream->talk.hello());
  turn_until(loop_, [&] {
    rest.remove_prefix(client->peer.send(rest));
    upstream->hear();
    return upstream->talk.plain.ends_with(body);
  });
  upstream->say(upstream->talk.data(test::ok("taken")));
  await(*client, "\r\n\r\ntaken");
}

}  // namespace
}  // namespace sluice
