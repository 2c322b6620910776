// One attempt in the place of another: what the client has keeps its word, and no part of an event
// of the first shows beside the second's.
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StreamAttempt : public ::testing::Test {
 protected:
  static StreamSettings settings() {
    StreamSettings settings = StreamRig::quiet();
    settings.heartbeat_ms = 1000;
    settings.event_hold = 64;
    return settings;
  }
  // An event stream whose request is kept; the head has left.
  void open() {
    rig_.stream().keep_request();
    rig_.request(kEventsRequest);
    rig_.connect();
    request_ = rig_.take_request();
    rig_.respond(kEventsResponse);
    rig_.send();
  }
  // The connection is given up, and lets go.
  void replace() {
    ASSERT_TRUE(rig_.stream().replace_attempt(Ending::kUpstreamReset));
    EXPECT_EQ(rig_.upstream.cancels, 1);
    rig_.release_upstream();
    ASSERT_TRUE(rig_.queued());
    rig_.upstream = {};
  }

  StreamRig rig_{settings()};
  std::string request_;
};

TEST_F(StreamAttempt, TheSecondGoesOnWhereTheFirstHadWholeEvents) {
  open();
  rig_.body("data: 1\n\ndata: un");
  replace();
  rig_.connect();
  EXPECT_EQ(rig_.take_request(), request_);
  rig_.respond(kEventsResponse);
  rig_.body("data: 2\n\n");
  EXPECT_THAT(rig_.send_chunks(), ElementsAre("data: 1\n\ndata: 2\n\n"));
  EXPECT_EQ(rig_.metrics().discarded_bytes, 8U);
  EXPECT_EQ(rig_.stream().events(), 2U);
  rig_.stream().on_response_end();
  EXPECT_EQ(rig_.send(), "0\r\n\r\n");
  rig_.client_done();
  EXPECT_EQ(rig_.endings(Ending::kComplete), 1U);
}

TEST_F(StreamAttempt, TheClientIsKeptAliveBetweenThem) {
  open();
  rig_.body("data: 1\n\ndata: un");
  rig_.send();
  replace();
  rig_.pass(1000);
  EXPECT_THAT(rig_.send_chunks(), ElementsAre(": heartbeat\n\n"));
  rig_.connect();
  rig_.pass(1000);
  EXPECT_THAT(rig_.send_chunks(), ElementsAre(": heartbeat\n\n"));
}

TEST_F(StreamAttempt, AMarkOfTheSecondIsContentBehindTheFirst) {
  open();
  rig_.body("data: 1\n\n");
  replace();
  rig_.connect();
  rig_.respond(kEventsResponse);
  rig_.body(
      "\xEF\xBB\xBF"
      "data: 2\n\n");
  EXPECT_THAT(rig_.send_chunks(), ElementsAre("data: 1\n\ndata: 2\n\n"));
}

// The head is the stream's for as long as an attempt may need it, and counts as memory so long.
TEST_F(StreamAttempt, TheRequestIsWrittenAnewFromItsHead) {
  MemoryLimit& memory = rig_.rig().memory_limit;
  HeadPool& heads = rig_.gateway().context().heads;
  const uint64_t before = memory.heap;
  const size_t kept = heads.kept();
  open();
  EXPECT_GT(memory.heap, before);
  EXPECT_EQ(heads.kept(), kept + 1) << "the stream's is a copy, in its own size";
  rig_.body("data: 1\n\n");
  for (int attempt = 0; attempt < 3; ++attempt) {
    replace();
    rig_.connect();
    EXPECT_EQ(rig_.take_request(), request_);
  }
  rig_.client_gone();
  EXPECT_EQ(memory.heap, before);
  EXPECT_EQ(heads.kept(), kept + 1);
}

TEST_F(StreamAttempt, AHeadThatMemoryHasNoRoomForIsNotKept) {
  MemoryLimit& memory = rig_.rig().memory_limit;
  memory.heap_max = memory.heap;
  open();
  EXPECT_EQ(memory.heap, memory.heap_max);
  replace();
  rig_.connect();
  EXPECT_EQ(rig_.take_request(), request_) << "as it was first written";
}

TEST_F(StreamAttempt, ARequestWithABodyIsSentAgainAsItWas) {
  MemoryLimit& memory = rig_.rig().memory_limit;
  const uint64_t before = memory.heap;
  rig_.stream().keep_request();
  rig_.request_head("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\n");
  EXPECT_EQ(memory.heap, before) << "its head is not needed";
  rig_.request_body("body");
  rig_.stream().on_request_end();
  rig_.connect();
  std::string request = rig_.take_request();
  EXPECT_TRUE(request.ends_with("\r\n\r\nbody"));
  rig_.respond(kEventsResponse);
  rig_.body("data: 1\n\n");
  replace();
  rig_.connect();
  EXPECT_EQ(rig_.take_request(), request);
}

// A kept-alive connection ends without an answer to a POST that may have been executed.
TEST_F(StreamAttempt, AKeptRequestIsNotExecutedTwice) {
  rig_.stream().keep_request();
  rig_.request_head("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\n");
  rig_.request_body("body");
  rig_.stream().on_request_end();
  rig_.give_upstream(/*reused=*/true);
  rig_.take_request();
  rig_.stream().on_upstream_lost(Ending::kUpstreamTruncated, "", /*nothing_sent=*/false);
  rig_.release_upstream();
  EXPECT_FALSE(rig_.queued());
  EXPECT_TRUE(rig_.send().starts_with("HTTP/1.1 502"));
}

TEST_F(StreamAttempt, TheSecondHasToAnswerWithAnEventStream) {
  open();
  rig_.body("data: 1\n\n");
  rig_.send();
  replace();
  rig_.connect();
  rig_.respond("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
  EXPECT_EQ(rig_.client.aborted, 1);
  EXPECT_EQ(rig_.stream().ending(), Ending::kUpstreamBadResponse);
  EXPECT_THAT(rig_.send(), IsEmpty()) << "no last chunk";
}

TEST_F(StreamAttempt, TheSecondsSilenceIsTheStreams) {
  StreamSettings settings = StreamRig::quiet();
  settings.first_byte_timeout_ms = 1000;
  settings.stream_idle_timeout_ms = 5000;
  StreamRig rig(settings);
  rig.stream().keep_request();
  rig.open_event_stream();
  ASSERT_TRUE(rig.stream().replace_attempt(Ending::kUpstreamReset));
  rig.release_upstream();
  rig.upstream = {};
  rig.connect();
  rig.pass(4999);
  EXPECT_EQ(rig.client.aborted, 0);
  rig.pass(2);
  EXPECT_EQ(rig.client.aborted, 1);
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamIdleTimeout);
}

TEST_F(StreamAttempt, NoneFollowsPartOfAnEvent) {
  open();
  rig_.body("data: 1\n\ndata: " + std::string(100, 'x'));
  EXPECT_FALSE(rig_.stream().replace_attempt(Ending::kUpstreamReset))
      << "longer than is held: it has left";
  rig_.body("\n\n");
  EXPECT_TRUE(rig_.stream().replace_attempt(Ending::kUpstreamReset)) << "whole again";
}

TEST_F(StreamAttempt, NoneFollowsWhereTheRequestIsGone) {
  StreamSettings settings = StreamRig::quiet();
  settings.heal = Heal::kOff;
  StreamRig rig(settings);
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  EXPECT_FALSE(rig.stream().replace_attempt(Ending::kUpstreamReset));
  EXPECT_EQ(rig.upstream.cancels, 0);
}

TEST_F(StreamAttempt, NoneFollowsAnotherKindOfAnswer) {
  rig_.stream().keep_request();
  rig_.request(kEventsRequest);
  rig_.connect();
  rig_.take_request();
  rig_.respond("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n");
  rig_.body("{\"a\":");
  EXPECT_FALSE(rig_.stream().replace_attempt(Ending::kUpstreamReset))
      << "the client has been promised ten bytes";
  EXPECT_EQ(rig_.upstream.cancels, 0);
}

TEST_F(StreamAttempt, NoneFollowsLines) {
  for (EventFraming framing : {EventFraming::kLine, EventFraming::kOff}) {
    StreamSettings settings = StreamRig::quiet();
    settings.framing = framing;
    StreamRig rig(settings);
    rig.stream().keep_request();
    rig.open_event_stream();
    rig.body("event: price\ndata: 1\n");
    EXPECT_FALSE(rig.stream().replace_attempt(Ending::kUpstreamReset))
        << "they may be part of an event";
  }
}

// What was on its way when the first was given up.
TEST_F(StreamAttempt, TheFirstIsHeardNoMore) {
  open();
  rig_.body("data: 1\n\n");
  ASSERT_TRUE(rig_.stream().replace_attempt(Ending::kUpstreamReset));
  rig_.body("data: stale\n\n");
  rig_.stream().on_response_end();
  rig_.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
  EXPECT_EQ(rig_.client.aborted, 0);
  rig_.release_upstream();
  rig_.connect();
  rig_.respond(kEventsResponse);
  rig_.body("data: 2\n\n");
  EXPECT_THAT(rig_.send_chunks(), ElementsAre("data: 1\n\ndata: 2\n\n"));
  EXPECT_FALSE(rig_.stream().response().finished());
}

// While it is the client that does not read, the second's head cannot be read either.
TEST_F(StreamAttempt, TheSecondIsNotIdleBehindASlowClient) {
  StreamSettings settings = StreamRig::quiet();
  settings.buffer_size = settings.buffer_size_max = 4096;
  settings.stream_idle_timeout_ms = 5000;
  StreamRig rig(settings);
  rig.stream().keep_request();
  rig.open_event_stream();
  rig.body(event_of(4000));
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  ASSERT_TRUE(rig.stream().replace_attempt(Ending::kUpstreamReset));
  rig.release_upstream();
  rig.upstream = {};
  rig.connect();
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  for (int i = 0; i < 3; ++i) rig.pass(4999);
  EXPECT_EQ(rig.client.aborted, 0);
  rig.send();
  EXPECT_GT(rig.stream().response_credit(), 0U);
  rig.pass(4999);
  rig.pass(4999);
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamIdleTimeout);
}

TEST_F(StreamAttempt, CountersAreTheStreams) {
  open();
  rig_.body("data: 1\n\n");
  rig_.send();
  replace();
  rig_.connect();
  EXPECT_EQ(rig_.metrics().upstream_retries, 0U) << "no connection was stale";
  rig_.client_gone();
  EXPECT_EQ(rig_.metrics().cancelled_before_first_byte, 0U) << "the client has had an event";
}

TEST_F(StreamAttempt, NoneFollowsTheEnd) {
  open();
  rig_.stream().on_response_end();
  EXPECT_FALSE(rig_.stream().replace_attempt(Ending::kUpstreamReset));
}

TEST_F(StreamAttempt, NoneFollowsAClientThatHasLeft) {
  open();
  ASSERT_TRUE(rig_.stream().replace_attempt(Ending::kUpstreamReset));
  rig_.client_gone();
  rig_.release_upstream();
  EXPECT_FALSE(rig_.queued());
  EXPECT_EQ(rig_.endings(Ending::kClientLeft), 1U);
}

}  // namespace
}  // namespace sluice::test
