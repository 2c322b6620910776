#include "net/stream/stream.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nhost: test\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

// --- whole events ---

TEST(StreamEvents, LeaveWholeAndPartsAreHeld) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\ndata: 2\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n"));
  EXPECT_EQ(rig.stream().held(), 8U);
  rig.body("data: 2b\n");
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
  rig.body("\ndata");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 2\ndata: 2b\n\n"));
  EXPECT_EQ(rig.stream().held(), 4U);
  EXPECT_EQ(rig.stream().events(), 2U);
}

TEST(StreamEvents, ThatArriveTogetherLeaveTogether) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\ndata: 2\n\n");
  rig.body("data: 3\n\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  EXPECT_EQ(rig.metrics().events, 3U);
}

TEST(StreamEvents, ThatArriveDuringASendFollowInTheNext) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  Outbox& outbox = rig.stream().response();
  std::string first = batch_of(outbox);
  rig.body("data: 2\n\ndata: 3\n\n");
  EXPECT_EQ(first, "9\r\ndata: 1\n\n\r\n");
  rig.stream().on_client_sent(outbox.sent(first.size()));
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 2\n\ndata: 3\n\n"));
}

TEST(StreamEvents, LastOneWithoutItsBlankLineIsPassedOnAtACleanEnd) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\ndata: 2");
  rig.stream().on_response_end();
  EXPECT_EQ(rig.send(), "10\r\ndata: 1\n\ndata: 2\r\n" + std::string(kLastChunk));
  EXPECT_TRUE(rig.stream().response().complete());
}

TEST(StreamEvents, AboveTheHoldLimitAreCutThrough) {
  StreamSettings settings = StreamRig::quiet();
  settings.event_hold = 100;
  StreamRig rig(settings);
  rig.open_event_stream();
  std::string event = event_of(300);
  rig.body(event.substr(0, 100));
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
  rig.body(event.substr(100, 1));
  EXPECT_THAT(rig.send_chunks(), ElementsAre(event.substr(0, 101)));
  rig.body(event.substr(101, 50));
  EXPECT_THAT(rig.send_chunks(), ElementsAre(event.substr(101, 50)));
  EXPECT_EQ(rig.metrics().torn_events, 1U);
  // Behind its end events are held again.
  rig.body(event.substr(151) + "data: 2");
  EXPECT_THAT(rig.send_chunks(), ElementsAre(event.substr(151)));
  EXPECT_EQ(rig.stream().held(), 7U);
  EXPECT_EQ(rig.metrics().torn_events, 1U);
}

TEST(StreamEvents, GiveUpTheirHeldPartWhereMemoryRunsOut) {
  StreamRig rig;
  rig.open_event_stream();
  const SlotPool& pool = rig.rig().sse_event;
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.metrics().torn_events, 0U) << "nothing was held";
  rig.body("data: 1");
  rig.stream().relieve_memory(rig.rig().http_message);
  EXPECT_EQ(rig.metrics().torn_events, 0U) << "its slots are of the other class";
  rig.stream().relieve_memory(pool);
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1"));
  EXPECT_EQ(rig.metrics().torn_events, 1U);
}

TEST(StreamEvents, AreNotLookedForInAnEncodedBody) {
  StreamRig rig;
  rig.request(kEventsRequest);
  rig.connect();
  rig.respond(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: compress\r\n"
      "transfer-encoding: chunked\r\n\r\n");
  rig.send();
  EXPECT_FALSE(rig.stream().event_stream());
  rig.body("\x1f\x9d no blank line");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("\x1f\x9d no blank line"));
  EXPECT_EQ(rig.metrics().events, 0U);
  EXPECT_EQ(rig.metrics().event_streams, 0U);
}

// "data: 1\n\n", in a gzip member of a stored block, cut at each of its bytes.
TEST(StreamEvents, AreFoundInAnEncodedBodyThatIsDecoded) {
  const std::string packed(
      "\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x09\0\xf6\xff"
      "data: 1\n\n\xce\xcd\x78\x54\x09\0\0\0",
      32);
  for (size_t cut = 0; cut <= packed.size(); ++cut) {
    StreamRig rig;
    rig.request(kEventsRequest);
    rig.connect();
    rig.respond(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
        "transfer-encoding: chunked\r\n\r\n");
    EXPECT_THAT(rig.send(), Not(HasSubstr("ncoding: gzip")));
    EXPECT_TRUE(rig.stream().event_stream());
    std::string sent;
    for (const std::string& part : {packed.substr(0, cut), packed.substr(cut)}) {
      if (part.empty()) continue;
      rig.body(part);
      for (const std::string& chunk : rig.send_chunks()) sent += chunk;
    }
    EXPECT_EQ(sent, "data: 1\n\n") << "cut at byte " << cut;
    EXPECT_EQ(rig.metrics().events, 1U);
  }
}

TEST(StreamEvents, AreNotLookedForInOtherBodies) {
  StreamRig rig;
  rig.request(kGet);
  rig.connect();
  rig.respond("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n");
  rig.body("ab");
  EXPECT_THAT(rig.send(), AllOf(HasSubstr("\r\nContent-Length: 5\r\n"), EndsWith("\r\n\r\nab")));
  rig.body("cde");
  rig.stream().on_response_end();
  EXPECT_EQ(rig.send(), "cde");
  EXPECT_TRUE(rig.stream().response().complete());
}

TEST(StreamEvents, EndWithTheConnectionForAnHttp10Client) {
  StreamRig rig;
  rig.request("GET /events HTTP/1.0\r\naccept: text/event-stream\r\n\r\n");
  rig.connect();
  rig.respond(kEventsResponse);
  rig.send();
  rig.body("data: 1\n\n");
  EXPECT_EQ(rig.send(), "data: 1\n\n");
  EXPECT_TRUE(rig.stream().close_delimited());
  EXPECT_FALSE(rig.stream().keep_alive());
}

// --- the response's head ---

TEST(StreamHead, InterimOnesAreForwardedUpToALimit) {
  StreamRig rig;
  rig.request(kGet);
  rig.connect();
  for (unsigned i = 0; i < limits::kInterimHeadsMax; ++i)
    rig.respond("HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 103 "));
  EXPECT_EQ(rig.stream().phase(), Phase::kAwaitingHead);
  rig.respond("HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamBadResponse);
}

TEST(StreamHead, InterimOnesAreUnknownToHttp10) {
  StreamRig rig;
  rig.request("GET /a HTTP/1.0\r\n\r\n");
  rig.connect();
  rig.respond("HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_EQ(rig.send(), "");
}

TEST(StreamHead, BeforeTheRequestIsCompleteEndsTheConnection) {
  StreamRig rig;
  rig.request_head("POST /a HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n");
  rig.connect();
  EXPECT_TRUE(rig.stream().keep_alive());
  rig.respond("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  EXPECT_FALSE(rig.stream().keep_alive());
  EXPECT_THAT(rig.send(), HasSubstr("\r\nConnection: close\r\n"));
}

// --- failures ---

TEST(StreamFailure, BeforeTheHeadIsAProblemResponse) {
  struct Case {
    Ending ending;
    const char* status;
  };
  for (auto [ending, status] :
       {Case{Ending::kUpstreamRefused, "502"}, Case{Ending::kUpstreamReset, "502"},
        Case{Ending::kUpstreamTruncated, "502"}, Case{Ending::kUpstreamConnectTimeout, "504"},
        Case{Ending::kUpstreamFirstByteTimeout, "504"}}) {
    SCOPED_TRACE(ending_name(ending));
    StreamRig rig;
    rig.request(kGet);
    rig.connect();
    rig.stream().on_upstream_lost(ending, "", false);
    EXPECT_THAT(rig.send(), AllOf(StartsWith(std::string("HTTP/1.1 ") + status),
                                  HasSubstr("application/problem+json")));
    EXPECT_TRUE(rig.stream().response().complete());
    EXPECT_FALSE(rig.stream().aborted());
    EXPECT_TRUE(rig.stream().keep_alive());
    rig.client_done();
    EXPECT_EQ(rig.endings(ending), 1U);
  }
}

TEST(StreamFailure, ForWantOfAnUpstreamAsksToComeBack) {
  StreamRig rig;
  rig.request(kGet);
  rig.gateway().upstreams().forget(rig.stream());
  rig.stream().on_no_upstream(Ending::kUnavailable, "");
  EXPECT_THAT(rig.send(), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: "),
                                HasSubstr("\r\nDate: ")));
}

TEST(StreamFailure, AfterTheHeadIsAnAbortThatDeliversWholeEventsOnly) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\ndata: 2\n");
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_EQ(rig.client.aborted, 1);
  EXPECT_TRUE(rig.stream().aborted());
  EXPECT_FALSE(rig.stream().keep_alive());
  EXPECT_EQ(rig.metrics().discarded_bytes, 8U);
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n"));
  EXPECT_FALSE(rig.stream().response().finished());
  EXPECT_FALSE(rig.stream().response().complete());
  rig.client_done();
  EXPECT_EQ(rig.endings(Ending::kUpstreamReset), 1U);
}

// The client's half is asked again when it is time for a reset.
TEST(StreamFailure, IsDueSomeTimeBehindTheLastBytes) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  rig.pass(limits::kAbortDelayMs - 1);
  EXPECT_FALSE(rig.stream().abort_due());
  rig.send();
  rig.pass(limits::kAbortDelayMs - 1);
  EXPECT_FALSE(rig.stream().abort_due());
  EXPECT_EQ(rig.client.aborted, 1);
  rig.pass(1);
  EXPECT_TRUE(rig.stream().abort_due());
  EXPECT_EQ(rig.client.aborted, 2);
}

TEST(StreamFailure, WithoutBytesBeforeItIsDueAtOnce) {
  StreamRig rig;
  rig.open_event_stream();
  rig.pass(limits::kAbortDelayMs);
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_TRUE(rig.stream().abort_due());
}

TEST(StreamFailure, IsToldOnceAndNothingComesAfterIt) {
  StreamRig rig;
  rig.open_event_stream();
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  rig.stream().on_upstream_lost(Ending::kUpstreamTruncated, "", false);
  rig.body("data: 1\n\n");
  rig.stream().on_response_end();
  EXPECT_EQ(rig.client.aborted, 1);
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamReset);
  EXPECT_EQ(rig.send(), "");
  EXPECT_FALSE(rig.stream().response().finished());
}

TEST(StreamFailure, IsCountedAndNotTheClientWhoLeavesAfterIt) {
  StreamRig rig;
  rig.open_event_stream();
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  rig.client_gone();
  EXPECT_EQ(rig.endings(Ending::kUpstreamReset), 1U);
  EXPECT_EQ(rig.endings(Ending::kClientLeft), 0U);
}

TEST(StreamFailure, OfTheGraceDropsTheClient) {
  StreamRig rig;
  rig.open_event_stream();
  rig.stream().shut_down();
  rig.stream().shut_down();
  EXPECT_EQ(rig.client.dropped, 1);
  EXPECT_EQ(rig.upstream.cancels, 1);
  EXPECT_EQ(rig.endings(Ending::kShutdown), 1U);
}

// --- the client leaves ---

// Counted by phase, and at once the upstream need not go on.
void expect_cancel(StreamRig& rig, Phase phase, bool before_first_byte) {
  ASSERT_EQ(rig.stream().phase(), phase);
  rig.client_gone();
  EXPECT_EQ(rig.cancels(phase), 1U);
  EXPECT_EQ(rig.metrics().cancelled_before_first_byte, before_first_byte ? 1U : 0U);
  EXPECT_EQ(rig.endings(Ending::kClientLeft), 1U);
  EXPECT_EQ(rig.stream().response_credit(), 0U);
}

TEST(StreamLeft, BeforeItsHeadIsComplete) {
  StreamRig rig;
  rig.client_gone();
  EXPECT_EQ(rig.cancels(Phase::kRequest), 0U) << "there was no upstream to cancel";
  EXPECT_EQ(rig.endings(Ending::kClientLeft), 1U);
}

TEST(StreamLeft, InTheQueue) {
  StreamRig rig;
  rig.request(kGet);
  expect_cancel(rig, Phase::kQueued, true);
  EXPECT_FALSE(rig.queued());
}

TEST(StreamLeft, WhileConnecting) {
  StreamRig rig;
  rig.request(kGet);
  rig.give_upstream();
  expect_cancel(rig, Phase::kConnecting, true);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

TEST(StreamLeft, WhileAwaitingTheHead) {
  StreamRig rig;
  rig.request(kGet);
  rig.connect();
  expect_cancel(rig, Phase::kAwaitingHead, true);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

TEST(StreamLeft, BeforeTheFirstEvent) {
  StreamRig rig;
  rig.open_event_stream();
  expect_cancel(rig, Phase::kFirstEvent, false);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

TEST(StreamLeft, WhileStreaming) {
  StreamRig rig;
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  expect_cancel(rig, Phase::kStreaming, false);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

TEST(StreamLeft, WhenTheUpstreamWasDone) {
  StreamRig rig;
  rig.open_event_stream();
  rig.stream().on_response_end();
  rig.release_upstream();
  rig.client_gone();
  EXPECT_EQ(rig.cancels(Phase::kDraining), 0U);
  EXPECT_EQ(rig.endings(Ending::kClientLeft), 1U);
}

TEST(StreamLeft, IsDeletedOnceBothHalvesHaveLetGo) {
  for (bool client_first : {true, false}) {
    StreamRig rig;
    rig.open_event_stream();
    rig.client_gone();
    client_first ? rig.release_client() : rig.release_upstream();
    EXPECT_FALSE(rig.buried());
    client_first ? rig.release_upstream() : rig.release_client();
    EXPECT_TRUE(rig.buried());
  }
}

// --- a stale connection ---

TEST(StreamRetry, OnceOnAFreshConnectionAtTheHeadOfTheQueue) {
  StreamRig rig;
  rig.request(kGet);
  rig.give_upstream(/*reused=*/true);
  std::string request = rig.take_request();
  EXPECT_THAT(request, StartsWith("GET /a HTTP/1.1\r\n"));
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_EQ(rig.send(), "") << "no answer yet";
  rig.release_upstream();
  EXPECT_EQ(rig.metrics().upstream_retries, 1U);
  ASSERT_TRUE(rig.queued());
  EXPECT_TRUE(rig.stream().outgoing().needs_fresh);
  rig.connect();
  EXPECT_EQ(rig.take_request(), request);
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
  rig.release_upstream();
  EXPECT_EQ(rig.metrics().upstream_retries, 1U);
}

TEST(StreamRetry, NotTwiceEvenOnAReusedOne) {
  StreamRig rig;
  rig.request(kGet);
  for (int i = 0; i < 2; ++i) {
    rig.give_upstream(/*reused=*/true);
    rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
    rig.release_upstream();
  }
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(rig.metrics().upstream_retries, 1U);
}

TEST(StreamRetry, NotOnAConnectionThatWasFresh) {
  StreamRig rig;
  rig.request(kGet);
  rig.connect();
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
}

TEST(StreamRetry, NotAfterTheFirstByteOfTheResponse) {
  StreamRig rig;
  rig.request(kGet);
  rig.give_upstream(/*reused=*/true);
  rig.take_request();
  rig.stream().on_response_begun();
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
}

constexpr std::string_view kPost = "POST /a HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n";

TEST(StreamRetry, OfAPostNotOnceAByteOfItMayHaveBeenRead) {
  StreamRig rig;
  rig.request_head(kPost);
  rig.request_body("x");
  rig.stream().on_request_end();
  rig.give_upstream(/*reused=*/true);
  rig.take_request();
  rig.stream().on_upstream_lost(Ending::kUpstreamTruncated, "", /*nothing_sent=*/false);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(rig.stream().reason(), "not_idempotent");
  EXPECT_EQ(rig.metrics().upstream_retries, 0U);
}

TEST(StreamRetry, OfAPostOfWhichNothingWasSent) {
  StreamRig rig;
  rig.request_head(kPost);
  rig.request_body("x");
  rig.stream().on_request_end();
  rig.give_upstream(/*reused=*/true);
  std::string batch = batch_of(*rig.stream().request());  // a send of it failed
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", /*nothing_sent=*/true);
  rig.release_upstream();
  rig.connect();
  EXPECT_EQ(rig.take_request(), batch);
  EXPECT_EQ(rig.metrics().upstream_retries, 1U);
}

TEST(StreamRetry, OfAPostWhereItsRouteAllowsIt) {
  StreamSettings settings = StreamRig::quiet();
  settings.retry_non_idempotent = true;
  StreamRig rig(settings);
  rig.request_head(kPost);
  rig.request_body("x");
  rig.stream().on_request_end();
  rig.give_upstream(/*reused=*/true);
  std::string request = rig.take_request();
  rig.stream().on_upstream_lost(Ending::kUpstreamTruncated, "", /*nothing_sent=*/false);
  rig.release_upstream();
  rig.connect();
  EXPECT_EQ(rig.take_request(), request);
}

TEST(StreamRetry, NotWhereTheRequestWasTooLargeToKeep) {
  for (size_t sent : {limits::kRequestWindow / 2, limits::kRequestWindow * 2}) {
    StreamRig rig;
    rig.request_head("PUT /a HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
    rig.give_upstream(/*reused=*/true);
    for (size_t bytes = 0; bytes < sent; bytes += 4096) {
      rig.request_body(std::string(4096, 'x'));
      rig.take_request();
    }
    rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
    rig.release_upstream();
    EXPECT_EQ(rig.metrics().upstream_retries, sent < limits::kRequestWindow ? 1U : 0U);
  }
}

TEST(StreamRetry, NotWhereMemoryRanOutAndWhatWasKeptIsGivenBack) {
  StreamRig rig;
  rig.request(kGet);
  rig.give_upstream(/*reused=*/true);
  rig.take_request();
  EXPECT_GT(rig.stream().request()->kept_bytes(), 0U);
  rig.stream().relieve_memory(rig.rig().sse_event);
  EXPECT_GT(rig.stream().request()->kept_bytes(), 0U) << "its slots are of the other class";
  rig.stream().relieve_memory(rig.rig().http_message);
  EXPECT_EQ(rig.stream().request(), nullptr) << "it has left, and nothing of it is kept";
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
}

TEST(StreamRetry, KeepsWhatItIsAboutToSendAgainThoughMemoryRunsOut) {
  StreamRig rig;
  rig.request(kGet);
  rig.give_upstream(/*reused=*/true);
  std::string request = rig.take_request();
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  rig.stream().relieve_memory(rig.rig().http_message);
  rig.release_upstream();
  rig.connect();
  EXPECT_EQ(rig.take_request(), request);
}

TEST(StreamRetry, NotForAClientThatHasLeftMeanwhile) {
  StreamRig rig;
  rig.request(kGet);
  rig.give_upstream(/*reused=*/true);
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  rig.client_gone();
  rig.release_upstream();
  EXPECT_FALSE(rig.queued());
  EXPECT_EQ(rig.metrics().upstream_retries, 0U);
}

// --- refusals ---

struct RefusalCase {
  const char* name;
  const char* head;
  const char* status;
  Refusal refusal;
  bool keeps_the_connection;
};

class StreamRefusal : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(StreamRefusal, IsAnsweredWithoutAnUpstream) {
  StreamSettings settings = StreamRig::quiet();
  settings.max_body_size = 10;
  StreamRig rig(settings, "/v1");
  rig.request_head(GetParam().head);
  EXPECT_FALSE(rig.queued());
  EXPECT_THAT(rig.send(), AllOf(StartsWith(std::string("HTTP/1.1 ") + GetParam().status + " "),
                                HasSubstr("application/problem+json")));
  EXPECT_TRUE(rig.stream().response().complete());
  EXPECT_EQ(rig.stream().keep_alive(), GetParam().keeps_the_connection);
  EXPECT_EQ(rig.refusals(GetParam().refusal), 1U);
  EXPECT_EQ(rig.stream().reason(), refusal_name(GetParam().refusal));
  rig.client_done();
  EXPECT_EQ(rig.endings(Ending::kRefused), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    ByHead, StreamRefusal,
    ::testing::Values(
        RefusalCase{"Connect", "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n", "501",
                    Refusal::kConnect, false},
        RefusalCase{"WebSocket",
                    "GET /v1 HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\n"
                    "upgrade: websocket\r\n\r\n",
                    "501", Refusal::kUpgrade, false},
        RefusalCase{"NoRoute", "GET /v2 HTTP/1.1\r\nhost: h\r\n\r\n", "404", Refusal::kNoRoute,
                    true},
        RefusalCase{"NoRouteWithABody", "POST /v2 HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\n",
                    "404", Refusal::kNoRoute, false},
        RefusalCase{"Expectation", "GET /v1 HTTP/1.1\r\nhost: h\r\nexpect: tea\r\n\r\n", "417",
                    Refusal::kExpectation, true},
        RefusalCase{"MaxForwards", "TRACE /v1 HTTP/1.1\r\nhost: h\r\nmax-forwards: 0\r\n\r\n",
                    "501", Refusal::kMaxForwards, true},
        RefusalCase{"BodyTooLarge", "POST /v1 HTTP/1.1\r\nhost: h\r\ncontent-length: 11\r\n\r\n",
                    "413", Refusal::kBodyTooLarge, false}),
    [](const auto& refused) { return refused.param.name; });

TEST(StreamRefused, IsNotForWhatJustFits) {
  StreamSettings settings = StreamRig::quiet();
  settings.max_body_size = 10;
  StreamRig rig(settings, "/v1");
  for (const char* head : {"POST /v1 HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n",
                           "GET /v1?x HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\r\n",
                           "GET /v1 HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\n"
                           "upgrade: h2c\r\n\r\n",
                           "TRACE /v1 HTTP/1.1\r\nhost: h\r\nmax-forwards: 1\r\n\r\n"}) {
    rig.request_head(head);
    EXPECT_TRUE(rig.queued()) << head;
    rig.next_stream();
  }
}

TEST(StreamRefused, OfAChunkedBodyThatGrowsTooLarge) {
  StreamSettings settings = StreamRig::quiet();
  settings.max_body_size = 10;
  StreamRig rig(settings);
  rig.request_head("POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
  rig.connect();
  rig.request_body("0123456789");
  EXPECT_EQ(rig.upstream.cancels, 0);
  rig.request_body("a");
  EXPECT_EQ(rig.upstream.cancels, 1);
  EXPECT_THAT(rig.send(),
              AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("\r\nConnection: close\r\n")));
  EXPECT_EQ(rig.refusals(Refusal::kBodyTooLarge), 1U);
  EXPECT_GT(rig.stream().request_credit(), 0U) << "the rest is read, and dropped";
  rig.request_body("b");
  EXPECT_EQ(rig.stream().request_body_bytes(), 11U);
}

TEST(StreamRefused, OfAHeadRequestHasNoBody) {
  StreamRig rig(StreamRig::quiet(), "/v1");
  rig.request("HEAD /v2 HTTP/1.1\r\nhost: h\r\n\r\n");
  EXPECT_THAT(rig.send(), AllOf(StartsWith("HTTP/1.1 404 "), EndsWith("\r\n\r\n")));
}

TEST(StreamRefused, OfOptionsForTheServerIsTheDefaultRoutes) {
  StreamRig rig;
  rig.request("OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n");
  EXPECT_TRUE(rig.queued());
}

}  // namespace
}  // namespace sluice::test
