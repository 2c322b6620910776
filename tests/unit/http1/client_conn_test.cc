// A worker serves real sockets; the test plays client and upstream.
#include "net/http1/client_conn.h"

#include <future>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice {
namespace {

using test::Between;
using test::get;
using test::ok;
using test::Wire;
using testing::HasSubstr;
using testing::StartsWith;

uint64_t refusals(const Metrics& metrics, Refusal refusal) {
  return metrics.refusals[static_cast<unsigned>(refusal)];
}

// --- keep-alive ---

TEST(ClientConn, CarriesOneRequestAfterTheOther) {
  Between between;
  auto [client, upstream] = between.exchange("/1");
  upstream.send(ok("one"));
  EXPECT_THAT(client.receive_through("one"), Not(HasSubstr("Connection: close")));
  client.send(get("/2"));
  Between::expect_request(upstream, "/2");
  upstream.send(ok("two"));
  client.receive_through("two");
  EXPECT_EQ(between.metrics().client_connections, 1U);
}

TEST(ClientConn, EndsAfterTheAnswerWhereTheClientSaysSo) {
  Between between;
  Wire client = between.worker.connect();
  client.send(get("/", "connection: close\r\n"));
  Wire upstream = between.upstreams.accept();
  Between::expect_request(upstream, "/");
  upstream.send(ok("last"));
  std::string answer = client.receive_to_end();
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nlast")) << answer;
  client.hang_up();
  between.await_client_closed();
  between.await_ending(Ending::kComplete);
}

TEST(ClientConn, IsClosedWhenIdleForTheKeepAliveTime) {
  Between between([](StreamSettings& settings) {
    settings.keepalive_timeout_ms = 50;
    settings.header_timeout_ms = 60'000;  // of a connection that never sent a request
  });
  Between::Exchange exchange = between.exchange("/");
  exchange.finish("done");
  between.await_client_closed();
  EXPECT_EQ(exchange.client.receive_to_end(), "");
}

TEST(ClientConn, StaysOpenDuringARequestLongerThanTheKeepAliveTime) {
  Between between([](StreamSettings& settings) { settings.keepalive_timeout_ms = 20; });
  Wire client = between.worker.connect();
  client.send(get("/1") + get("/2"));
  Wire upstream = between.upstreams.accept();
  Between::expect_request(upstream, "/1");
  upstream.send(ok("one"));
  Between::expect_request(upstream, "/2");
  between.await([](Gateway& gateway) {
    std::vector<StreamInfo> infos;
    gateway.list_streams(infos);
    return infos.size() == 1 && infos[0].age_ms > 60;
  });
  upstream.send(ok("two"));
  EXPECT_THAT(client.receive_through("two"), HasSubstr("\r\n\r\none"));
}

TEST(ClientConn, IsClosedWithoutAnAnswerWhereNoRequestComes) {
  Between between([](StreamSettings& settings) { settings.header_timeout_ms = 50; });
  Wire client = between.worker.connect();
  between.await_client_closed();
  EXPECT_EQ(client.receive_to_end(), "");
  EXPECT_EQ(between.metrics().streams_started, 0U);
}

// --- pipelining ---

TEST(ClientConn, AnswersPipelinedRequestsInOrder) {
  Between between;
  Wire client = between.worker.connect();
  client.send(get("/0") + get("/1") + get("/2"));
  Wire upstream = between.upstreams.accept();
  for (std::string_view target : {"/0", "/1", "/2"}) {
    Between::expect_request(upstream, target);
    EXPECT_EQ(between.metrics().streams_started - between.metrics().streams_ended, 1U)
        << "one at a time";
    upstream.send(ok(target));
    EXPECT_TRUE(client.receive_through("\r\n\r\n" + std::string(target)).starts_with("HTTP/1.1 2"));
  }
}

TEST(ClientConn, ReadsAheadNoMoreThanItsLimit) {
  constexpr size_t kRequests = 64;
  Between between;
  Between::Exchange exchange = between.exchange("/first");
  std::string filler = "filler: " + std::string(4000, 'f') + "\r\n";
  std::string ahead;
  for (size_t i = 0; i < kRequests; ++i) ahead += get("/" + std::to_string(i), filler);
  uint64_t before = between.metrics().bytes_from_clients;
  exchange.client.send(ahead);
  auto read_ahead = [&] { return between.metrics().bytes_from_clients - before; };
  between.await([before](Gateway& gateway) {
    return (gateway.metrics().bytes_from_clients - before) * 2 > limits::kPipelineBytes;
  });
  size_t slot_bytes = Config{}.pool_http_message.slot_bytes;
  for (int looks = 0; looks < 100; ++looks)
    ASSERT_LE(read_ahead(), limits::kPipelineBytes + slot_bytes);

  exchange.finish("first");
  for (size_t i = 0; i < kRequests; ++i) {
    std::string target = "/" + std::to_string(i);
    Between::expect_request(exchange.upstream, target);
    exchange.finish(target);
  }
  EXPECT_EQ(read_ahead(), ahead.size());
}

// --- refusals ---

struct BadRequest {
  const char* name;
  const char* bytes;
  const char* status;
  ParseError error;
};

class ClientConnRefusal : public testing::TestWithParam<BadRequest> {};

TEST_P(ClientConnRefusal, IsAnsweredCountedAndTheLast) {
  Between between;
  Wire client = between.worker.connect();
  client.send(GetParam().bytes);
  client.send(get("/never"));
  std::string answer = client.receive_to_end();
  EXPECT_THAT(answer, StartsWith(std::string("HTTP/1.1 ") + GetParam().status));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  client.hang_up();
  between.await_client_closed();
  Metrics metrics = between.metrics();
  EXPECT_EQ(metrics.bad_requests[static_cast<unsigned>(GetParam().error)], 1U);
  EXPECT_EQ(metrics.endings[static_cast<unsigned>(Ending::kRefused)], 1U);
  EXPECT_EQ(metrics.streams_started, 1U);
  EXPECT_EQ(metrics.upstream_connects, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ClientConnRefusal,
    testing::Values(BadRequest{"NoFieldName", "GET / HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n", "400",
                               ParseError::kBadField},
                    BadRequest{"NoHost", "GET / HTTP/1.1\r\n\r\n", "400", ParseError::kBadHost},
                    BadRequest{"BothFramings",
                               "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n"
                               "transfer-encoding: chunked\r\n\r\n",
                               "400", ParseError::kBadFraming},
                    BadRequest{"Version", "GET / HTTP/2.0\r\nhost: a\r\n\r\n", "505",
                               ParseError::kBadVersion}),
    [](const auto& refused) { return refused.param.name; });

TEST(ClientConn, RefusesAPipelinedRequestAfterTheAnswerBeforeIt) {
  Between between;
  Wire client = between.worker.connect();
  client.send(get("/good") + "GET / HTTP/1.1\r\n\r\n");
  Wire upstream = between.upstreams.accept();
  Between::expect_request(upstream, "/good");
  upstream.send(ok("good"));
  EXPECT_THAT(client.receive_through("good"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 400"));
}

TEST(ClientConn, RefusesABodyThatGoesWrong) {
  Between between;
  Wire client = between.worker.connect();
  client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
  Wire upstream = between.upstreams.accept();
  upstream.receive_through("3\r\nabc\r\n");
  client.send("no chunk\r\n");
  EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(upstream.receive_to_end(), "") << "cut off, without a last chunk";
}

// --- time-outs ---

TEST(ClientConn, AHeadThatComesTooLateIsAnswered408) {
  Between between([](StreamSettings& settings) { settings.header_timeout_ms = 300; });
  Wire client = between.worker.connect();
  client.send("GET / HTTP/1.1\r\nhost: te");
  EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 408"));
  between.await_ending(Ending::kClientTimedOut);
  EXPECT_EQ(refusals(between.metrics(), Refusal::kHeaderTimeout), 1U);
}

TEST(ClientConn, ABodyThatComesTooLateIsAnswered408) {
  Between between([](StreamSettings& settings) { settings.body_timeout_ms = 200; });
  Wire client = between.worker.connect();
  client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nabc");
  Wire upstream = between.upstreams.accept();
  upstream.receive_through("abc");
  EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(upstream.receive_to_end(), "");
  between.await_ending(Ending::kClientTimedOut);
  EXPECT_EQ(refusals(between.metrics(), Refusal::kBodyTimeout), 1U);
}

TEST(ClientConn, AClientThatDoesNotReadIsGivenUp) {
  Between between([](StreamSettings& settings) { settings.write_timeout_ms = 50; });
  auto [client, upstream] = between.exchange("/");
  std::string much(32 << 20, 'm');
  auto sending = std::async(std::launch::async, [&much, &wire = upstream] { wire.send(ok(much)); });
  between.await_ending(Ending::kClientStalled);
  between.await_upstreams(0, 0);
  sending.get();
  EXPECT_LT(client.receive_to_end().size(), much.size());
}

// --- the client leaves ---

TEST(ClientConn, TakesAFinForTheClientsEnd) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  client.shut_down_sending();
  EXPECT_EQ(upstream.receive_to_end(), "");
  between.await_ending(Ending::kClientLeft);
}

// Such a client may read on, and would take the end for that of the body.
TEST(ClientConn, ResetsWhatTheConnectionDelimitsBehindAFin) {
  Between between;
  Wire client = between.worker.connect();
  client.send("GET / HTTP/1.0\r\nhost: test\r\n\r\n");
  Wire upstream = between.upstreams.accept();
  upstream.receive_through("\r\n\r\n");
  upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
  client.receive_through("part");
  client.shut_down_sending();
  EXPECT_EQ(client.await_end(), ECONNRESET);
  between.await_ending(Ending::kClientLeft);
}

TEST(ClientConn, AnswersAfterAFinWhereThatIsAllowed) {
  Between between([](StreamSettings& settings) { settings.half_close = true; });
  auto [client, upstream] = between.exchange("/");
  client.shut_down_sending();
  upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
  client.receive_through("\r\n\r\n");
  upstream.send("answer");
  EXPECT_EQ(client.receive_to_end(), "answer");
  between.await_client_closed();
  between.await_ending(Ending::kComplete);
}

TEST(ClientConn, AnAllowedFinDoesNotCompleteARequest) {
  Between between([](StreamSettings& settings) { settings.half_close = true; });
  Wire client = between.worker.connect();
  client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nabc");
  Wire upstream = between.upstreams.accept();
  upstream.receive_through("abc");
  client.shut_down_sending();
  EXPECT_EQ(upstream.receive_to_end(), "");
  between.await_ending(Ending::kClientLeft);
}

TEST(ClientConn, LeavingInTheHeadIsNoRequest) {
  Between between;
  Wire client = between.worker.connect();
  client.send("GET / HTT");
  client.shut_down_sending();
  EXPECT_EQ(client.receive_to_end(), "");
  between.await_ending(Ending::kClientLeft);
  EXPECT_EQ(between.metrics().upstream_connects, 0U);
}

// --- draining ---

void drain(Between& between) {
  between.worker.ask([](Gateway& gateway) {
    gateway.drain();
    return true;
  });
}

TEST(ClientConn, DrainingClosesAnIdleConnection) {
  Between between;
  Between::Exchange busy = between.exchange("/busy");  // or the worker would end
  Between::Exchange idle = between.exchange("/idle");
  idle.finish("done");
  drain(between);
  between.await_client_closed();
  EXPECT_EQ(idle.client.receive_to_end(), "");
}

TEST(ClientConn, DrainingLetsARequestFinishAsTheLast) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  drain(between);
  upstream.send(ok("whole"));
  std::string answer = client.receive_to_end();
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nwhole")) << answer;
}

// --- sockets ---

// The socket of this process between these two ports; -1: none.
int socket_between(uint16_t local_port, uint16_t peer_port) {
  for (int fd = 0; fd < 1024; ++fd) {
    Address local;
    Address peer;
    local.size = local_address(fd, &local.storage);
    peer.size = peer_address(fd, &peer.storage);
    if (local.size > 0 && peer.size > 0 && local.storage.ss_family == AF_INET &&
        local.port() == local_port && peer.port() == peer_port)
      return fd;
  }
  return -1;
}

int no_delay(int fd) {
  int value = -1;
  socklen_t size = sizeof(value);
  getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size);
  return value;
}

TEST(ClientConn, NeitherSideDelaysSmallSegments) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  int accepted = socket_between(between.worker.port(), client.local_port());
  ASSERT_GE(accepted, 0);
  EXPECT_EQ(no_delay(accepted), 1);
  int connected = socket_between(upstream.peer_port(), between.upstreams.port());
  ASSERT_GE(connected, 0);
  EXPECT_EQ(no_delay(connected), 1);
}

}  // namespace
}  // namespace sluice
