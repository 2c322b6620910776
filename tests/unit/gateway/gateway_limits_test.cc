// What peers' bytes may occupy and for how long: bytes sent too early, heads that arrive slowly,
// uploads and downloads that nobody takes, answers to a client that is still sending. One client's
// or one route's standstill must not be another's.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/gateway/gateway_testing.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string get(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nhost: test\r\n\r\n";
}
std::string post(std::string_view target, size_t length, std::string_view fields = "") {
  return "POST " + std::string(target) + " HTTP/1.1\r\nhost: test\r\n" + std::string(fields) +
         "content-length: " + std::to_string(length) + "\r\n\r\n";
}
std::string ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

class GatewayLimits : public ::testing::Test {
 protected:
  void start(std::string_view disabled = "") {
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener}, 1000, nullptr, 5,
                                        disabled);
  }
  Metrics& metrics() { return rig_->gateway.metrics(); }
  uint64_t endings(Ending ending) { return metrics().endings[static_cast<unsigned>(ending)]; }
  Wire connect() const { return Wire::connect_to(port_); }
  void turn_until_ended(uint64_t streams) {
    rig_->turn_until_true([=, this] { return metrics().streams_ended == streams; });
  }
  void turn_until_phase(std::string_view phase) {
    rig_->turn_until_true([&] {
      auto streams = rig_->streams();
      return !streams.empty() && streams[0].phase == phase;
    });
  }
  // So many connections to upstreams have been begun, and the last is there to be accepted.
  void turn_until_connected(uint64_t upstreams) {
    rig_->turn_until_true([=, this] { return metrics().upstream_connects == upstreams; });
    rig_->settle();
  }
  void turn_until_received(uint64_t bytes) {
    rig_->turn_until_true([=, this] { return metrics().bytes_from_clients >= bytes; });
  }
  // A client that waits to be told before it sends its body, which may then take a second.
  Wire start_with_a_client_that_expects() {
    config_.routes[0].settings.body_timeout_ms = 1000;
    start();
    Wire client = connect();
    client.send(post("/", 5, "expect: 100-continue\r\n"));
    turn_until_connected(1);
    return client;
  }
  // Until all is closed. A peer whose send waits may learn that only when it asks for a window, in
  // many seconds: it is for the test to end it.
  void abort_all() {
    rig_->gateway.abort_all();
    rig_->turn_until_true([this] { return rig_->loop.operations() == 0; });
  }
  // So many more bytes may be kept on the heap, and no class may grow.
  void leave_room_for(uint64_t bytes) {
    rig_->memory_limit.bytes_max = rig_->memory_limit.bytes;
    rig_->memory_limit.heap_max = rig_->memory_limit.heap + bytes;
  }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
  uint16_t port_ = 0;
  std::unique_ptr<GatewayRig> rig_;
};

// --- bytes that come too early ---

TEST_F(GatewayLimits, AByteSentDuringAResponseHoldsNoSlot) {
  start();
  constexpr size_t kClients = 50;  // more than there are slots
  std::vector<Wire> clients;
  std::vector<Wire> servers;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(connect());
    clients.back().send(get("/" + std::to_string(i)));
    turn_until_connected(i + 1);
    servers.push_back(upstreams_.accept());
  }
  turn_until_phase("awaiting_head");
  uint64_t before = metrics().bytes_from_clients;
  for (Wire& client : clients) client.send("G");
  rig_->settle();
  EXPECT_EQ(rig_->http_message.leased(), 0U);
  EXPECT_LE(metrics().bytes_from_clients - before, kClients);
  // A byte each, and the requests' heads, which another attempt may need.
  EXPECT_LE(rig_->memory_limit.heap, kClients * 128);
  // It is the first of the next request.
  servers[0].receive_through("\r\n\r\n");
  servers[0].send(ok("one"));
  clients[0].send(get("/again").substr(1));
  turn_until_ended(1);
  clients[0].receive_through("one");
  rig_->turn_until_true([&] { return metrics().upstream_reuses == 1; });
  rig_->settle();
  EXPECT_THAT(servers[0].receive_through("\r\n\r\n"), StartsWith("GET /again HTTP/1.1\r\n"));
}

TEST_F(GatewayLimits, RequestsReadAheadThatFindNoRoomAreGivenUpAndTheConnectionEnds) {
  start();
  Wire client = connect();
  rig_->settle();
  leave_room_for(4096);
  client.send(get("/1") + post("/2", 8000) + std::string(8000, 'x'));
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  rig_->settle();
  server.receive_through("\r\n\r\n");
  server.send(ok("one"));
  turn_until_ended(1);
  client.shut_down_sending();
  rig_->turn_until_true([&] { return rig_->snapshot().client_connections == 0; });
  EXPECT_THAT(client.receive_to_end(), EndsWith("one"));
  EXPECT_EQ(metrics().streams_started, 1U) << "it was never begun";
  EXPECT_EQ(rig_->memory_limit.heap, 0U);
}

TEST_F(GatewayLimits, WhatIsReadAheadStaysWithinItsBoundHoweverManyRequestsAreAnswered) {
  config_.routes[0].path = "/only";
  start();
  Wire client = connect();
  std::string requests;
  for (int i = 0; i < 10'000; ++i) requests += get("/" + std::to_string(i));  // each is a 404
  std::thread sender([&] { client.send(requests); });
  uint64_t most = 0;
  rig_->turn_until_true([&] {
    most = std::max(most, rig_->memory_limit.heap);
    return metrics().streams_ended >= 500;
  });
  EXPECT_LE(most, uint64_t{4} * limits::kPipelineBytes);
  abort_all();
  client.shut_down_sending();
  sender.join();
}

TEST_F(GatewayLimits, HeadsThatArriveSlowlyCount) {
  start();
  leave_room_for(20'000);
  std::vector<Wire> clients;
  std::string head = "GET / HTTP/1.1\r\nhost: test\r\nx: " + std::string(8000, 'x');
  for (size_t i = 1; i <= 4; ++i) {
    clients.push_back(connect());
    clients.back().send(head);
    turn_until_received(i * head.size());
  }
  rig_->turn_until_true([&] { return endings(Ending::kOverloaded) >= 1; });
  EXPECT_LE(rig_->memory_limit.heap, rig_->memory_limit.heap_max + 1000)
      << "but for our own answers";
  uint64_t refused = endings(Ending::kOverloaded);
  EXPECT_LT(refused, 4U) << "there was room for one at least";
  rig_->settle();
  EXPECT_THAT(clients.back().receive_through("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nConnection: close\r\n")));
}

// No slot is left, nor room on the heap, while the leases last.
TEST_F(GatewayLimits, ARequestWhoseHeadFindsNoRoomAtTheUpstreamsSideIsRefused) {
  start();
  Wire client = connect();
  rig_->settle();
  std::string request = get("/");
  client.send(request.substr(0, 5));
  turn_until_received(5);
  leave_room_for(64);
  std::vector<Lease> leases;
  while (Lease lease = rig_->http_message.take()) leases.push_back(lease);
  client.send(request.substr(5));
  turn_until_ended(1);
  EXPECT_EQ(endings(Ending::kOverloaded), 1U);
  EXPECT_EQ(metrics().upstream_connects, 0U);
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(GatewayLimits, AnAnswerWhoseHeadFindsNoRoomIsReplacedByOurs) {
  start();
  Wire client = connect();
  client.send(get("/"));
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  leave_room_for(10);
  std::vector<Lease> leases;
  while (Lease lease = rig_->sse_event.take()) leases.push_back(lease);
  server.receive_through("\r\n\r\n");
  server.send(ok("never seen"));
  turn_until_ended(1);
  EXPECT_EQ(endings(Ending::kOverloaded), 1U);
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(GatewayLimits, AnAnswersHeadThatArrivesSlowlyCounts) {
  start();
  Wire client = connect();
  client.send(get("/"));
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  leave_room_for(4096);
  server.receive_through("\r\n\r\n");
  server.send("HTTP/1.1 200 OK\r\nx: " + std::string(9000, 'x'));
  turn_until_ended(1);
  EXPECT_EQ(endings(Ending::kOverloaded), 1U);
}

TEST_F(GatewayLimits, AHeadThatOurFieldsMakeTooLargeEndsTheConnectionIfABodyFollows) {
  config_.max_header_size = 1024;
  start();
  Wire client = connect();
  client.send(post("/", 5, "x: " + std::string(900, 'x') + "\r\n") + "hello" + get("/smuggled"));
  turn_until_ended(1);
  client.shut_down_sending();
  rig_->turn_until_true([&] { return rig_->snapshot().client_connections == 0; });
  EXPECT_THAT(client.receive_to_end(),
              AllOf(StartsWith("HTTP/1.1 431 "), HasSubstr("\r\nConnection: close\r\n")));
  EXPECT_EQ(metrics().streams_started, 1U);
}

// --- memory that has run out ---

// Uploads to an upstream that reads nothing fill the slots; they are given up after a while, and
// others get through.
TEST_F(GatewayLimits, AStandstillOfOneRouteDoesNotStarveTheOther) {
  Upstreams other;
  Config with_other = config_to(other.port());
  config_.routes[0].path = "/";
  with_other.routes[0].path = "/other";
  config_.routes.insert(config_.routes.begin(), with_other.routes[0]);
  config_.routes[1].settings.upstream_rcvbuf = 4096;
  start();
  leave_room_for(10'000);
  std::string much(1 << 20, 'x');
  std::vector<Wire> clients;
  std::vector<Wire> servers;
  constexpr size_t kUploads = 40;
  for (size_t i = 0; i < kUploads; ++i) {
    clients.push_back(connect());
    clients.back().send(post("/upload", size_t{1} << 30));
    turn_until_connected(i + 1);
    servers.push_back(upstreams_.accept());
  }
  // More than sockets hold: from a thread, since it blocks.
  std::vector<std::thread> uploads;
  for (Wire& client : clients)
    uploads.emplace_back([&] {
      for (int i = 0; i < 8; ++i) client.send(much);
    });
  rig_->turn_until_true([&] { return rig_->http_message.exhausted(); });
  rig_->settle();
  Wire client = connect();
  client.send(get("/other"));
  rig_->settle();
  EXPECT_EQ(endings(Ending::kOverloaded), 0U) << "they have just begun";
  rig_->pass(limits::kShedAfterMs);
  turn_until_connected(kUploads + 1);
  Wire server = other.accept();
  server.receive_through("\r\n\r\n");
  server.send(ok("served"));
  rig_->settle();
  rig_->pass(limits::kShedAfterMs);  // those that waited behind the first
  rig_->turn_until_true([&] { return metrics().routes[0].of(200) == 1; });
  client.receive_through("served");
  abort_all();
  for (Wire& each : clients) each.shut_down_sending();
  for (std::thread& upload : uploads) upload.join();
}

// The same in the other direction: answers that their clients do not take.
TEST_F(GatewayLimits, ClientsThatTakeNothingAreGivenUpWhereMemoryHasRunOut) {
  config_.routes[0].settings.buffer_size = config_.routes[0].settings.buffer_size_max = 64 * 1024;
  start();
  leave_room_for(30'000);
  constexpr size_t kStreams = 70;  // more than there are slots
  std::vector<Wire> clients;
  std::vector<Wire> servers;
  for (size_t i = 0; i < kStreams; ++i) {
    clients.push_back(connect());
    clients.back().send(get("/"));
    turn_until_connected(i + 1);
    servers.push_back(upstreams_.accept());
  }
  std::vector<std::thread> answers;
  for (Wire& server : servers)
    answers.emplace_back([&] {
      server.receive_through("\r\n\r\n");
      server.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
      for (int i = 0; i < 10'000; ++i) server.send("data: " + std::string(1000, 'x') + "\n\n");
    });
  rig_->turn_until_true([&] { return rig_->sse_event.exhausted(); });
  rig_->settle();
  EXPECT_EQ(endings(Ending::kOverloaded), 0U);
  rig_->pass(limits::kShedAfterMs);
  // Where sockets have taken more in the meantime, that is not long enough. The time stands still
  // while they do.
  auto turn_in_time_until = [&](auto condition) {
    bool met = false;
    rig_->turn_until_true([&] {
      if (!met && rig_->sse_event.exhausted()) rig_->pass(limits::kRelieveEveryMs);
      met = met || condition();
      return met;
    });
  };
  turn_in_time_until([&] { return endings(Ending::kOverloaded) > 0; });
  turn_in_time_until([&] { return !rig_->sse_event.exhausted(); });
  // Cut in the middle: the client can tell.
  abort_all();
  for (Wire& server : servers) server.shut_down_sending();
  for (Wire& client : clients) EXPECT_THAT(client.receive_to_end(), Not(EndsWith("0\r\n\r\n")));
  for (std::thread& answer : answers) answer.join();
}

class GatewayRelief : public GatewayLimits {
 protected:
  // An event stream whose upstream has sent the beginning of an event, which is held.
  void begin_event() {
    clients_.push_back(connect());
    clients_.back().send(get("/"));
    turn_until_connected(servers_.size() + 1);
    servers_.push_back(upstreams_.accept());
    servers_.back().send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata:");
    rig_->turn_until_true([this] { return rig_->streams()[0].held == 5; });
  }
  // More requests than are asked in one turn: they wait for the only connection.
  void queue_requests(size_t count) {
    for (size_t others = rig_->streams().size(); count > 0; --count) {
      clients_.push_back(connect());
      clients_.back().send(get("/"));
      rig_->turn_until_true([&] { return rig_->streams().size() == others + 1; });
      ++others;
    }
  }

  std::vector<Wire> clients_;
  std::vector<Wire> servers_;
};

TEST_F(GatewayRelief, IsAskedForAgainOnlyAfterAWhile) {
  start();
  begin_event();
  {
    NoSlots none(*rig_, rig_->sse_event);
    rig_->settle();
    EXPECT_EQ(metrics().torn_events, 1U);
  }
  rig_->settle();
  begin_event();
  NoSlots none(*rig_, rig_->sse_event);
  rig_->settle();
  rig_->pass(limits::kRelieveEveryMs - 1);
  rig_->settle();
  EXPECT_EQ(metrics().torn_events, 1U);
  rig_->pass(1);
  rig_->settle();
  EXPECT_EQ(metrics().torn_events, 2U);
}

TEST_F(GatewayRelief, IsAskedOfAllInTheEndHoweverManyThereAre) {
  config_.routes[0].settings.upstream_max_connections = 1;
  start();
  begin_event();
  queue_requests(2 * limits::kRelievedPerTurn);  // the newest are asked first
  NoSlots none(*rig_, rig_->sse_event);
  rig_->loop.turn(false);
  rig_->loop.turn(false);
  EXPECT_EQ(metrics().torn_events, 0U) << "not of so many at once";
  rig_->loop.turn(false);
  EXPECT_EQ(metrics().torn_events, 1U);
}

// It was the next to be asked; ASan would see that it still is.
TEST_F(GatewayRelief, GoesOnBehindAStreamThatEndsInTheMiddleOfARound) {
  config_.routes[0].settings.upstream_max_connections = 1;
  start();
  begin_event();
  queue_requests(limits::kRelievedPerTurn + 1);
  NoSlots none(*rig_, rig_->sse_event);
  rig_->loop.turn(false);
  clients_[1].reset();
  turn_until_ended(1);
  rig_->settle();
  EXPECT_EQ(metrics().torn_events, 1U);
}

// --- an answer before the request is complete ---

TEST_F(GatewayLimits, TheRestOfARequestThatWasAnsweredIsReadForAWhileAndDropped) {
  start();
  Wire client = connect();
  client.send(post("/", 1 << 30) + std::string(1000, 'x'));
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  rig_->settle();
  server.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno");
  turn_until_ended(1);
  uint64_t slots = rig_->http_message.leased();
  // Slowly, for longer than any silence may last, and more than fits any buffer.
  for (int i = 0; i < 7; ++i) {
    rig_->pass(limits::kUploadSilenceMs - 1000);
    client.send(std::string(100'000, 'x'));
    rig_->turn_until_true([&] { return rig_->snapshot().client_connections == 1; });
    rig_->settle();
  }
  EXPECT_EQ(rig_->http_message.leased(), slots);
  EXPECT_THAT(client.receive_through("no"),
              AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("\r\nConnection: close\r\n")));
  rig_->pass(limits::kUploadSilenceMs);
  rig_->turn_until_true([&] { return rig_->snapshot().client_connections == 0; });
}

TEST_F(GatewayLimits, ARequestThatWasAnsweredIsNotReadForEver) {
  start();
  Wire client = connect();
  client.send(post("/", 1 << 30));
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  rig_->settle();
  server.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
  turn_until_ended(1);
  for (uint64_t ms = 0; ms < limits::kUploadLingerMs; ms += 1000) {
    EXPECT_EQ(rig_->snapshot().client_connections, 1U) << ms;
    rig_->pass(1000);
    client.send("x");
    rig_->settle();
  }
  rig_->turn_until_true([&] { return rig_->snapshot().client_connections == 0; });
}

TEST_F(GatewayLimits, ADrainDoesNotWaitForAnUploadThatHasItsAnswer) {
  start();
  Wire client = connect();
  client.send(post("/", 1 << 30));
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  server.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
  turn_until_ended(1);
  rig_->settle();
  rig_->gateway.drain();
  rig_->pass(limits::kLingerMs);
  rig_->turn_until_true([&] { return rig_->snapshot().client_connections == 0; });
}

// --- Expect: 100-continue ---

TEST_F(GatewayLimits, ABodyIsNotDueBeforeItsClientWasToldToGoOn) {
  Wire client = start_with_a_client_that_expects();
  Wire server = upstreams_.accept();
  for (int i = 0; i < 10; ++i) rig_->pass(1000);
  server.receive_through("\r\n\r\n");
  server.send("HTTP/1.1 100 Continue\r\n\r\n");
  rig_->settle();
  EXPECT_EQ(client.receive_through("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  rig_->pass(900);
  EXPECT_EQ(endings(Ending::kClientTimedOut), 0U);
  for (int i = 0; i < 3; ++i) rig_->pass(1000);
  rig_->settle();
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
}

TEST_F(GatewayLimits, ABodyIsDueOnceItsClientHasBegunToSendIt) {
  Wire client = start_with_a_client_that_expects();
  rig_->pass(3000);
  client.send("a");
  rig_->settle();
  for (int i = 0; i < 3; ++i) rig_->pass(1000);
  rig_->settle();
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
}

TEST_F(GatewayLimits, ABodyThatNobodyAskedForIsNotDueAfterAnEarlyAnswer) {
  Wire client = start_with_a_client_that_expects();
  Wire server = upstreams_.accept();
  server.receive_through("\r\n\r\n");
  server.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
  turn_until_phase("streaming");
  for (int i = 0; i < 10; ++i) rig_->pass(1000);
  EXPECT_EQ(metrics().streams_ended, 0U);
  server.send("data: 2\n\n");
  server.hang_up();
  turn_until_ended(1);
  EXPECT_THAT(client.receive_through("0\r\n\r\n"), HasSubstr("data: 2\n\n"));
}

// --- a watch that outlives its request ---

TEST_F(GatewayLimits, AFinThatTheLaterRoutesAllowIsNoLeavingForAnEarlierWatch) {
  config_.routes[0].settings.half_close = true;
  Route deny = config_.routes[0];
  deny.path = "/deny";
  deny.settings.half_close = false;
  config_.routes.insert(config_.routes.begin(), deny);
  // A receive ends with the request then, so that a watch takes its place.
  start("recv-budget");
  Wire client = connect();
  client.send(get("/deny"));
  turn_until_connected(1);
  Wire first = upstreams_.accept();
  first.receive_through("\r\n\r\n");
  first.send(ok("one"));
  turn_until_ended(1);
  client.receive_through("one");
  client.send(get("/allow"));
  client.shut_down_sending();
  rig_->turn_until_true([this] { return metrics().upstream_reuses == 1; });
  rig_->settle();
  first.receive_through("\r\n\r\n");
  first.send(ok("two"));
  turn_until_ended(2);
  EXPECT_EQ(endings(Ending::kComplete), 2U);
  EXPECT_THAT(client.receive_to_end(), EndsWith("two"));
}

// Waits for a slot again as soon as it has one, so that others have to wait for theirs, too.
class InFront final : public SlotWaiter {
 public:
  explicit InFront(SlotPool& pool) : pool_(pool) { pool_.wait(*this); }
  ~InFront() override { pool_.stop_waiting(*this); }
  InFront(const InFront&) = delete;
  InFront& operator=(const InFront&) = delete;
  void on_slot_available() override { pool_.wait(*this); }

 private:
  SlotPool& pool_;
};

TEST_F(GatewayLimits, AFinBehindARequestThatWaitsToBeReadIsNoLeaving) {
  config_.routes[0].settings.half_close = true;
  start("recv-budget");
  Wire client = connect();
  client.send("GET / HTTP/1.1\r\n");
  InFront in_front(rig_->http_message);
  rig_->turn_until_true([this] { return metrics().streams_started == 1; });
  client.send("host: test\r\n\r\n");
  client.shut_down_sending();
  turn_until_connected(1);
  Wire server = upstreams_.accept();
  server.send(ok("one"));
  turn_until_ended(1);
  EXPECT_EQ(endings(Ending::kComplete), 1U);
  EXPECT_THAT(client.receive_to_end(), EndsWith("one"));
}

}  // namespace
}  // namespace sluice::test
