// A worker serves real sockets; the test plays clients and upstreams, one or more.
#include <future>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/upstream/pool.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice {
namespace {

using test::Between;
using test::get;
using test::ok;
using test::TestWorker;
using test::Upstreams;
using test::Wire;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// --- idle connections ---

TEST(UpstreamPool, TheLastConnectionToGoIdleIsUsedFirst) {
  Between between;
  Between::Exchange a = between.exchange("/a");
  Between::Exchange b = between.exchange("/b");
  Between::Exchange c = between.exchange("/c");
  b.finish("b");
  between.await_upstreams(3, 1);
  c.finish("c");
  between.await_upstreams(3, 2);
  a.finish("a");
  between.await_upstreams(3, 3);
  a.client.send(get("/1"));
  Between::expect_request(a.upstream, "/1");
  b.client.send(get("/2"));
  Between::expect_request(c.upstream, "/2");
  c.client.send(get("/3"));
  Between::expect_request(b.upstream, "/3");
  EXPECT_EQ(between.metrics().upstream_connects, 3U);
  EXPECT_EQ(between.metrics().upstream_reuses, 3U);
}

// The answer and the end have come together, and the request in the queue must not go out twice.
TEST(UpstreamPool, AConnectionThatHasEndedIsNotPassedOnToWhoWaits) {
  Between between([](StreamSettings& settings) { settings.upstream_max_connections = 1; });
  Between::Exchange first = between.exchange("/1");
  Wire second = between.worker.connect();
  second.send("POST /2 HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\nx");
  between.await_phase(Phase::kQueued, 1);
  // Held up, so that the worker sees both at once.
  std::promise<void> go;
  between.worker.post([&go](Gateway&) { go.get_future().wait(); });
  first.upstream.send(ok("one"));
  first.upstream.hang_up();
  go.set_value();
  Wire fresh = between.upstreams.accept();
  Between::expect_request(fresh, "/2");
  fresh.send(ok("two"));
  EXPECT_THAT(second.receive_through("two"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(between.metrics().upstream_reuses, 0U);
}

TEST(UpstreamPool, NoMoreThanTheLimitAreKeptIdle) {
  Between between([](StreamSettings& settings) { settings.upstream_keepalive = 1; });
  Between::Exchange kept = between.exchange("/a");
  Between::Exchange surplus = between.exchange("/b");
  kept.finish("a");
  between.await_upstreams(2, 1);
  surplus.finish("b");
  EXPECT_EQ(surplus.upstream.receive_to_end(), "");
  between.await_upstreams(1, 1);
  surplus.client.send(get("/next"));
  Between::expect_request(kept.upstream, "/next");
}

TEST(UpstreamPool, NoneIsKeptWhereTheLimitIsZero) {
  Between between([](StreamSettings& settings) { settings.upstream_keepalive = 0; });
  Between::Exchange exchange = between.exchange("/");
  exchange.finish("done");
  EXPECT_EQ(exchange.upstream.receive_to_end(), "");
  between.await_upstreams(0, 0);
}

TEST(UpstreamPool, AnIdleConnectionIsClosedInTime) {
  Between between([](StreamSettings& settings) { settings.upstream_keepalive_timeout_ms = 50; });
  Between::Exchange exchange = between.exchange("/");
  exchange.finish("done");
  EXPECT_EQ(exchange.upstream.receive_to_end(), "");
  between.await_upstreams(0, 0);
  EXPECT_EQ(between.metrics().upstream_connections_closed, 1U);
}

TEST(UpstreamPool, DrainingClosesIdleConnectionsOnly) {
  Between between;
  Between::Exchange idle = between.exchange("/idle");
  Between::Exchange busy = between.exchange("/busy");
  idle.finish("done");
  between.await_upstreams(2, 1);
  between.worker.ask([](Gateway& gateway) {
    gateway.drain();
    return true;
  });
  EXPECT_EQ(idle.upstream.receive_to_end(), "");
  between.await_upstreams(1, 0);
  busy.finish("whole");
  EXPECT_EQ(busy.upstream.receive_to_end(), "") << "nor is it kept when it is done";
}

// --- the limit, and the queue ---

class UpstreamQueue : public testing::Test {
 protected:
  // One more in the queue, where `queued` are already.
  Wire queue(std::string_view request, size_t queued) {
    Wire client = between_.worker.connect();
    client.send(request);
    between_.await_phase(Phase::kQueued, queued + 1);
    return client;
  }
  void answer(Wire& upstream, std::string_view target, Wire& client) {
    Between::expect_request(upstream, target);
    upstream.send(ok(target));
    EXPECT_THAT(client.receive_through("\r\n\r\n" + std::string(target)), StartsWith("HTTP/1.1 2"));
  }

  Between between_{[](StreamSettings& settings) { settings.upstream_max_connections = 1; }};
  Between::Exchange first_ = between_.exchange("/first");
};

TEST_F(UpstreamQueue, FirstComeFirstServed) {
  Wire a = queue(get("/a"), 0);
  Wire b = queue(get("/b"), 1);
  Wire c = queue(get("/c"), 2);
  first_.finish("first");
  answer(first_.upstream, "/a", a);
  answer(first_.upstream, "/b", b);
  answer(first_.upstream, "/c", c);
  EXPECT_EQ(between_.metrics().upstream_connects, 1U);
  EXPECT_EQ(between_.metrics().upstream_reuses, 3U);
}

TEST_F(UpstreamQueue, AConnectionThatClosesMakesRoomForANewOne) {
  Wire a = queue(get("/a"), 0);
  Wire b = queue(get("/b"), 1);
  first_.upstream.send(ok("first", "connection: close\r\n"));
  Wire next = between_.upstreams.accept();
  answer(next, "/a", a);
  answer(next, "/b", b);
  between_.await_upstreams(1, 1);
}

TEST_F(UpstreamQueue, WhoLeavesIsForgotten) {
  Wire a = queue(get("/a"), 0);
  Wire b = queue(get("/b"), 1);
  Wire c = queue(get("/c"), 2);
  b.hang_up();
  between_.await_phase(Phase::kQueued, 2);
  c.hang_up();  // the last in the queue
  between_.await_phase(Phase::kQueued, 1);
  Wire d = queue(get("/d"), 1);
  first_.finish("first");
  answer(first_.upstream, "/a", a);
  answer(first_.upstream, "/d", d);
  between_.await_upstreams(1, 1);
  Metrics metrics = between_.metrics();
  EXPECT_EQ(metrics.upstream_cancels[static_cast<unsigned>(Phase::kQueued)], 2U);
  EXPECT_EQ(metrics.cancelled_before_first_byte, 2U);
}

// The second request on a connection that has gone stale waits for a fresh one, which there is room
// for once the stale one has closed: before those who came in the meantime.
TEST_F(UpstreamQueue, WhoTriesAgainGoesFirst) {
  first_.finish("first");
  between_.await_upstreams(1, 1);
  Wire again = between_.worker.connect();
  again.send(get("/again"));
  Between::expect_request(first_.upstream, "/again");
  Wire later = queue(get("/later"), 0);
  first_.upstream.hang_up();
  Wire fresh = between_.upstreams.accept();
  answer(fresh, "/again", again);
  answer(fresh, "/later", later);
  EXPECT_EQ(between_.metrics().upstream_retries, 1U);
  EXPECT_EQ(between_.metrics().upstream_connects, 2U);
}

TEST(UpstreamPool, WhoWaitsTooLongIsRefusedAndForgotten) {
  Between between([](StreamSettings& settings) {
    settings.upstream_max_connections = 1;
    settings.connect_timeout_ms = 200;
  });
  Between::Exchange first = between.exchange("/first");
  Wire client = between.worker.connect();
  client.send(get("/queued"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: ")));
  between.await_ending(Ending::kUnavailable);
  first.finish("first");
  between.await_upstreams(1, 1);
  EXPECT_EQ(between.metrics().upstream_reuses, 0U);
}

// --- connecting ---

TEST(UpstreamPool, AConnectionThatIsRefusedIsABadGateway) {
  uint16_t port = 0;
  close_socket(test::listen_on_loopback(&port));
  TestWorker worker(test::config_to(port));
  Wire client = worker.connect();
  client.send(get("/1"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 502"));
  client.send(get("/2"));
  EXPECT_THAT(client.receive_through("HTTP/1.1 502"), HasSubstr("HTTP/1.1 502"));
  auto [metrics, connections] = worker.ask([](Gateway& gateway) {
    return std::pair(gateway.metrics(), gateway.upstreams().connections());
  });
  EXPECT_EQ(metrics.upstream_connects, 2U);
  EXPECT_EQ(metrics.upstream_connect_errors, 2U);
  EXPECT_EQ(connections, 0U);
}

// The backlog is full, so that the connect stays under way.
TEST(UpstreamPool, AConnectionThatIsNotAcceptedTimesOut) {
  uint16_t port = 0;
  int listener = test::listen_on_loopback(&port);
  listen(listener, 0);
  Wire backlog = Wire::connect_to(port);
  Config config = test::config_to(port);
  config.routes[0].settings.connect_timeout_ms = 50;
  TestWorker worker(std::move(config));
  Wire client = worker.connect();
  client.send(get("/"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 504"));
  client.hang_up();
  worker.stop();  // with nothing left of the connect
  close_socket(listener);
}

// --- a group ---

TEST(UpstreamPools, AGroupIsAskedInTurn) {
  Upstreams first;
  Upstreams second;
  Config config = test::config_to(first.port());
  config.routes[0].upstreams.push_back(test::config_to(second.port()).routes[0].upstreams[0]);
  TestWorker worker(std::move(config));
  std::vector<Wire> wires;
  for (std::string_view target : {"/1", "/2", "/3", "/4"}) {
    wires.push_back(worker.connect());
    wires.back().send(get(target));
    bool odd = target == "/1" || target == "/3";
    wires.push_back((odd ? first : second).accept());
    Between::expect_request(wires.back(), target);
  }
}

}  // namespace
}  // namespace sluice
