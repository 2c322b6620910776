// A worker serves real sockets; the test plays client and upstream.
#include "net/http1/upstream_conn.h"

#include <string>
#include <string_view>
#include <utility>

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
using testing::Not;
using testing::StartsWith;

// --- responses ---

TEST(UpstreamConn, PassesInterimHeadsOn) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n");
  EXPECT_THAT(client.receive_through("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 103"), HasSubstr("link: </style.css>\r\n")));
  upstream.send("HTTP/1.1 102 Processing\r\n\r\n" + ok("final"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 102"));
  EXPECT_THAT(client.receive_through("final"), StartsWith("HTTP/1.1 200"));
  between.await_upstreams(1, 1);
}

TEST(UpstreamConn, AFloodOfInterimHeadsIsABadResponse) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  for (unsigned i = 0; i <= limits::kInterimHeadsMax; ++i)
    upstream.send("HTTP/1.1 102 Processing\r\n\r\n");
  EXPECT_THAT(client.receive_through("HTTP/1.1 502"), StartsWith("HTTP/1.1 102"));
  between.await_ending(Ending::kUpstreamBadResponse);
  EXPECT_EQ(upstream.receive_to_end(), "");
}

TEST(UpstreamConn, ABadResponseIsAnsweredAndCounted) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab");
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(upstream.receive_to_end(), "");
  between.await_ending(Ending::kUpstreamBadResponse);
  Metrics metrics = between.metrics();
  EXPECT_EQ(metrics.bad_responses[static_cast<unsigned>(ParseError::kBadFraming)], 1U);
}

TEST(UpstreamConn, SaysThatItWasAChunkThatWasBad) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n");
  EXPECT_EQ(client.receive_to_end().find("0\r\n\r\n"), std::string::npos);
  between.await_ending(Ending::kUpstreamBadResponse);
  Metrics metrics = between.metrics();
  EXPECT_EQ(metrics.bad_responses[static_cast<unsigned>(ParseError::kBadChunk)], 1U);
}

// --- reuse ---

TEST(UpstreamConn, CarriesTheNextRequestAfterAWholeResponse) {
  Between between;
  Between::Exchange exchange = between.exchange("/1");
  exchange.finish("one");
  between.await_upstreams(1, 1);
  exchange.client.send(get("/2"));
  Between::expect_request(exchange.upstream, "/2");
  exchange.finish("two");
  EXPECT_EQ(between.metrics().bytes_from_upstreams, ok("one").size() + ok("two").size());
  EXPECT_EQ(between.metrics().upstream_reuses, 1U);
  EXPECT_EQ(between.metrics().upstream_connects, 1U);
}

TEST(UpstreamConn, CarriesTheNextRequestOfAnotherClient) {
  Between between;
  Between::Exchange exchange = between.exchange("/1");
  exchange.finish("one");
  between.await_upstreams(1, 1);
  Wire other = between.worker.connect();
  other.send(get("/2"));
  Between::expect_request(exchange.upstream, "/2");
}

// A whole answer, to the client, that says nothing of the connection to the upstream: what is it
// about this answer that the connection is not used again?
struct LastResponse {
  const char* name;
  const char* request;
  const char* response;
};

class UpstreamConnLast : public testing::TestWithParam<LastResponse> {};

TEST_P(UpstreamConnLast, ClosesTheConnection) {
  Between between;
  Wire client = between.worker.connect();
  client.send(GetParam().request);
  Wire upstream = between.upstreams.accept();
  upstream.receive_through("\r\n\r\n");
  upstream.send(GetParam().response);
  EXPECT_THAT(client.receive_through("whole"), StartsWith("HTTP/1.1 200"));
  upstream.receive_to_end();
  between.await_upstreams(0, 0);
  between.exchange("/next").finish("next");
  Metrics metrics = between.metrics();
  EXPECT_EQ(metrics.upstream_reuses, 0U);
  EXPECT_EQ(metrics.upstream_connects, 2U);
  EXPECT_EQ(metrics.endings[static_cast<unsigned>(Ending::kComplete)], 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Reasons, UpstreamConnLast,
    testing::Values(
        LastResponse{"BytesLeftOver", "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
                     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwholeHTTP/1.1 200 OK\r\n"},
        LastResponse{"RequestIncomplete",
                     "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
                     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole"},
        LastResponse{"ConnectionClose", "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
                     "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nwhole"},
        LastResponse{"Http10", "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
                     "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nwhole"}),
    [](const auto& last) { return last.param.name; });

TEST(UpstreamConn, IsNotUsedAgainOnceItsPeerHasClosed) {
  Between between;
  Between::Exchange exchange = between.exchange("/1");
  exchange.finish("one");
  between.await_upstreams(1, 1);
  exchange.upstream.hang_up();
  between.await_upstreams(0, 0);
  between.exchange("/2").finish("two");
  EXPECT_EQ(between.metrics().upstream_reuses, 0U);
  EXPECT_EQ(between.metrics().upstream_retries, 0U);
}

TEST(UpstreamConn, BytesThatNobodyAskedForCloseAnIdleOne) {
  Between between;
  Between::Exchange exchange = between.exchange("/1");
  exchange.finish("one");
  between.await_upstreams(1, 1);
  exchange.upstream.send(ok("poison"));
  EXPECT_EQ(exchange.upstream.receive_to_end(), "");
  between.await_upstreams(0, 0);
  exchange.client.send(get("/2"));
  Wire fresh = between.upstreams.accept();
  Between::expect_request(fresh, "/2");
  fresh.send(ok("two"));
  EXPECT_THAT(exchange.client.receive_through("two"), Not(HasSubstr("poison")));
}

// --- responses that are cut ---

TEST(UpstreamConn, AnEndBeforeTheHeadIsABadGateway) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.hang_up();
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 502"));
  between.await_ending(Ending::kUpstreamTruncated);
}

TEST(UpstreamConn, AnEndWithinALengthIsNotPassedOnAsWhole) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
  upstream.hang_up();
  EXPECT_TRUE(client.receive_to_end().ends_with("\r\n\r\nabc"));
  between.await_ending(Ending::kUpstreamTruncated);
}

TEST(UpstreamConn, AnEndWithinChunksIsNotPassedOnAsWhole) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
  upstream.hang_up();
  std::string answer = client.receive_to_end();
  EXPECT_THAT(answer, HasSubstr("abc"));
  EXPECT_THAT(answer, Not(HasSubstr("\r\n0\r\n")));
  between.await_ending(Ending::kUpstreamTruncated);
}

TEST(UpstreamConn, TheEndOfTheConnectionMayBeTheEndOfTheResponse) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 200 OK\r\n\r\nto the end");
  upstream.hang_up();
  EXPECT_THAT(client.receive_through("0\r\n\r\n"), HasSubstr("to the end"));
  between.await_ending(Ending::kComplete);
}

TEST(UpstreamConn, AResetIsNeverTheEndOfTheResponse) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.send("HTTP/1.1 200 OK\r\n\r\nnot to the end");
  client.receive_through("not to the end");
  upstream.reset();
  EXPECT_THAT(client.receive_to_end(), Not(HasSubstr("\r\n0\r\n")));
  between.await_ending(Ending::kUpstreamReset);
}

TEST(UpstreamConn, AnAnswerBeforeTheUpstreamStopsReadingIsPassedOn) {
  Between between;
  Wire client = between.worker.connect();
  client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc");
  Wire upstream = between.upstreams.accept();
  upstream.receive_through("abc");
  upstream.send("HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nstop");
  upstream.hang_up();
  EXPECT_THAT(client.receive_through("stop"), StartsWith("HTTP/1.1 413"));
  between.await_ending(Ending::kComplete);
}

// --- stale connections ---

class StaleConn : public testing::Test {
 protected:
  // The second request is on a connection that was kept alive.
  void send_on_kept_alive(std::string_view request) {
    exchange_.finish("first");
    between_.await_upstreams(1, 1);
    exchange_.client.send(request);
    exchange_.upstream.receive_through("PUT /again");
    exchange_.upstream.receive_through("\r\n\r\nthe body");
  }

  static constexpr std::string_view kRequest =
      "PUT /again HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nthe body";
  Between between_;
  Between::Exchange exchange_ = between_.exchange("/");
};

TEST_F(StaleConn, TheWholeRequestGoesOutOnceMore) {
  send_on_kept_alive(kRequest);
  exchange_.upstream.hang_up();
  Wire fresh = between_.upstreams.accept();
  EXPECT_THAT(fresh.receive_through("\r\n\r\nthe body"), StartsWith("PUT /again HTTP/1.1\r\n"));
  fresh.send(ok("second"));
  EXPECT_THAT(exchange_.client.receive_through("second"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(between_.metrics().upstream_retries, 1U);
}

TEST_F(StaleConn, ARequestIsNotTriedAThirdTime) {
  send_on_kept_alive(kRequest);
  exchange_.upstream.reset();
  Wire fresh = between_.upstreams.accept();
  fresh.receive_through("the body");
  fresh.hang_up();
  EXPECT_THAT(exchange_.client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(between_.metrics().upstream_retries, 1U);
  EXPECT_EQ(between_.metrics().upstream_connects, 2U);
}

TEST_F(StaleConn, APostThatMayHaveBeenReadIsNotTriedAgain) {
  exchange_.finish("first");
  between_.await_upstreams(1, 1);
  exchange_.client.send("POST /again HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nthe body");
  exchange_.upstream.receive_through("the body");
  exchange_.upstream.hang_up();
  EXPECT_THAT(exchange_.client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(between_.metrics().upstream_retries, 0U);
  EXPECT_EQ(between_.metrics().upstream_connects, 1U);
}

TEST_F(StaleConn, ARequestIsNotTriedAgainOnceAByteOfTheAnswerHasCome) {
  send_on_kept_alive(kRequest);
  exchange_.upstream.send("H");
  exchange_.upstream.hang_up();
  EXPECT_THAT(exchange_.client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(between_.metrics().upstream_retries, 0U);
  EXPECT_EQ(between_.metrics().upstream_connects, 1U);
}

TEST(UpstreamConn, AFreshConnectionIsNotTriedAgain) {
  Between between;
  auto [client, upstream] = between.exchange("/");
  upstream.hang_up();
  client.receive_through("502");
  EXPECT_EQ(between.metrics().upstream_retries, 0U);
  EXPECT_EQ(between.metrics().upstream_connects, 1U);
}

}  // namespace
}  // namespace sluice
