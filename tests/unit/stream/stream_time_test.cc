// The time-outs and heartbeats of a stream. The clock is put forward by the test.
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/stream/stream.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nhost: test\r\n\r\n";
constexpr const char* kHeartbeat = ": heartbeat\n\n";

// Ten minutes of one setting; a test looks after nine, and after two more.
constexpr uint64_t kTenMinutesMs = 10 * kMinuteMs;

StreamSettings with(uint64_t StreamSettings::*field, uint64_t value = kTenMinutesMs) {
  StreamSettings settings = StreamRig::quiet();
  settings.*field = value;
  return settings;
}

// Nothing yet after nine minutes, and after eleven the problem response.
void expect_answer_after_ten_minutes(StreamRig& rig, Ending ending) {
  rig.pass(9 * kMinuteMs);
  EXPECT_EQ(rig.send(), "");
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 " + std::to_string(ending_status(ending)) + " "));
  EXPECT_EQ(rig.stream().ending(), ending);
}

void expect_abort_after_ten_minutes(StreamRig& rig) {
  rig.pass(9 * kMinuteMs);
  EXPECT_FALSE(rig.stream().aborted());
  rig.pass(2 * kMinuteMs);
  EXPECT_TRUE(rig.stream().aborted());
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamIdleTimeout);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

// --- time-outs ---

TEST(StreamTimeout, OfConnecting) {
  StreamRig rig(with(&StreamSettings::connect_timeout_ms));
  rig.request(kGet);
  rig.give_upstream();
  expect_answer_after_ten_minutes(rig, Ending::kUpstreamConnectTimeout);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

TEST(StreamTimeout, OfConnectingHoldsInTheQueueToo) {
  StreamRig rig(with(&StreamSettings::connect_timeout_ms));
  rig.request(kGet);
  expect_answer_after_ten_minutes(rig, Ending::kUnavailable);
  EXPECT_FALSE(rig.queued());
}

TEST(StreamTimeout, OfConnectingIsOverOnceConnected) {
  StreamRig rig(with(&StreamSettings::connect_timeout_ms));
  rig.request(kGet);
  rig.connect();
  rig.pass(20 * kMinuteMs);
  EXPECT_EQ(rig.send(), "");
}

TEST(StreamTimeout, OfTheFirstByte) {
  StreamRig rig(with(&StreamSettings::first_byte_timeout_ms));
  rig.request(kGet);
  rig.connect();
  expect_answer_after_ten_minutes(rig, Ending::kUpstreamFirstByteTimeout);
}

TEST(StreamTimeout, OfTheFirstByteBeginsWhenTheRequestHasLeft) {
  StreamRig rig(with(&StreamSettings::first_byte_timeout_ms));
  rig.request(kGet);
  rig.connect();
  rig.pass(9 * kMinuteMs);
  rig.take_request();
  expect_answer_after_ten_minutes(rig, Ending::kUpstreamFirstByteTimeout);
}

TEST(StreamTimeout, OfTheFirstByteIsOverWithTheHead) {
  StreamRig rig(with(&StreamSettings::first_byte_timeout_ms));
  rig.open_event_stream();
  rig.pass(20 * kMinuteMs);
  EXPECT_FALSE(rig.stream().aborted());
}

TEST(StreamTimeout, OfSilenceBeginsWithTheHead) {
  StreamRig rig(with(&StreamSettings::stream_idle_timeout_ms));
  rig.open_event_stream();
  expect_abort_after_ten_minutes(rig);
}

TEST(StreamTimeout, OfSilenceBeginsAnewWithEveryByte) {
  StreamRig rig(with(&StreamSettings::stream_idle_timeout_ms));
  rig.open_event_stream();
  for (int i = 0; i < 5; ++i) {
    rig.pass(9 * kMinuteMs);
    rig.body("d");
  }
  expect_abort_after_ten_minutes(rig);
}

TEST(StreamTimeout, OfSilenceIsNotPutOffByHeartbeats) {
  StreamSettings settings = with(&StreamSettings::stream_idle_timeout_ms);
  settings.heartbeat_ms = 2 * kMinuteMs;
  StreamRig rig(settings);
  rig.open_event_stream();
  for (int i = 0; i < 3; ++i) {
    rig.pass(3 * kMinuteMs);
    EXPECT_THAT(rig.send_chunks(), ElementsAre(kHeartbeat));
    EXPECT_FALSE(rig.stream().aborted());
  }
  rig.pass(2 * kMinuteMs);
  EXPECT_TRUE(rig.stream().aborted());
}

TEST(StreamTimeout, OfSilenceDoesNotRunWhileTheClientHoldsTheUpstreamUp) {
  StreamRig rig(with(&StreamSettings::stream_idle_timeout_ms));
  rig.open_event_stream();
  rig.body(event_of(4096) + event_of(100));
  ASSERT_EQ(rig.stream().response_credit(), 0U);
  rig.pass(30 * kMinuteMs);
  EXPECT_FALSE(rig.stream().aborted());
  rig.send();
  EXPECT_GT(rig.stream().response_credit(), 0U);
  expect_abort_after_ten_minutes(rig);
}

TEST(StreamTimeout, OfSilenceDoesNotRunWhileTheUpstreamIsNotListenedTo) {
  StreamRig rig(with(&StreamSettings::stream_idle_timeout_ms));
  rig.open_event_stream();
  rig.upstream.listening = false;
  rig.pass(30 * kMinuteMs);
  EXPECT_FALSE(rig.stream().aborted());
  rig.upstream.listening = true;
  expect_abort_after_ten_minutes(rig);
}

TEST(StreamTimeout, OfZeroIsOff) {
  StreamRig rig;
  rig.request(kGet);
  rig.pass(100 * kMinuteMs);
  rig.connect();
  rig.pass(100 * kMinuteMs);
  rig.respond(kEventsResponse);
  rig.pass(100 * kMinuteMs);
  rig.body("data: 1\n\n");
  rig.pass(100 * kMinuteMs);
  EXPECT_THAT(rig.send(), EndsWith("\r\n\r\n9\r\ndata: 1\n\n\r\n"));
  EXPECT_FALSE(rig.stream().aborted());
}

TEST(StreamTimeout, DoesNotFallDueForAResponseThatOnlyHasToLeave) {
  StreamRig rig(with(&StreamSettings::stream_idle_timeout_ms));
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  rig.stream().on_response_end();
  rig.pass(20 * kMinuteMs);
  EXPECT_FALSE(rig.stream().aborted());
  EXPECT_EQ(rig.send(), "9\r\ndata: 1\n\n\r\n0\r\n\r\n");
}

// --- heartbeats ---

StreamSettings beating() {
  return with(&StreamSettings::heartbeat_ms);
}

// A heartbeat, after ten minutes of silence and not before.
void expect_heartbeat_after_ten_minutes(StreamRig& rig) {
  rig.pass(9 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), IsEmpty());
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(kHeartbeat));
}

void expect_no_heartbeat(StreamRig& rig) {
  rig.pass(11 * kMinuteMs);
  rig.pass(11 * kMinuteMs);
  EXPECT_EQ(rig.metrics().heartbeats, 0U);
}

TEST(StreamHeartbeat, ComesIntoSilenceAgainAndAgain) {
  StreamRig rig(beating());
  rig.open_event_stream();
  expect_heartbeat_after_ten_minutes(rig);
  expect_heartbeat_after_ten_minutes(rig);
  EXPECT_EQ(rig.metrics().heartbeats, 2U);
  EXPECT_EQ(rig.stream().events(), 0U);
}

TEST(StreamHeartbeat, IsPutOffByWhatWasSent) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.pass(9 * kMinuteMs);
  rig.body("data: 1\n\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n"));
  expect_heartbeat_after_ten_minutes(rig);
}

TEST(StreamHeartbeat, WaitsForTheEndOfAnEvent) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.body("data: 1\n");
  expect_no_heartbeat(rig);
  rig.body("\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n"));
  expect_heartbeat_after_ten_minutes(rig);
}

TEST(StreamHeartbeat, WaitsForTheEndOfATornEvent) {
  StreamSettings settings = beating();
  settings.event_hold = 10;
  StreamRig rig(settings);
  rig.open_event_stream();
  rig.body("data: torn by now");
  rig.send();
  expect_no_heartbeat(rig);
  rig.body("\n\n");
  rig.send();
  expect_heartbeat_after_ten_minutes(rig);
}

TEST(StreamHeartbeat, IsNotForAClientThatHasBytesToRead) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  expect_no_heartbeat(rig);
}

TEST(StreamHeartbeat, IsForEventStreamsOnly) {
  StreamRig rig(beating());
  rig.request(kGet);
  rig.connect();
  rig.respond("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n");
  rig.send();
  expect_no_heartbeat(rig);
}

constexpr std::string_view kUntransformed =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-transform\r\n"
    "transfer-encoding: chunked\r\n\r\n";

TEST(StreamHeartbeat, IsNotForAResponseThatMustNotBeTransformed) {
  StreamRig rig(beating());
  rig.request(kEventsRequest);
  rig.connect();
  rig.respond(kUntransformed);
  rig.send();
  expect_no_heartbeat(rig);
}

TEST(StreamHeartbeat, IsNotForARequestWhoseResponseMustNotBeTransformed) {
  StreamRig rig(beating());
  rig.request("GET /events HTTP/1.1\r\nhost: test\r\ncache-control: no-transform\r\n\r\n");
  rig.connect();
  rig.respond(kEventsResponse);
  rig.send();
  expect_no_heartbeat(rig);
}

TEST(StreamHeartbeat, OfTheRoutesOwnIsForThoseToo) {
  StreamSettings settings = beating();
  settings.heartbeat_named_by_route = true;
  StreamRig rig(settings);
  rig.request(kEventsRequest);
  rig.connect();
  rig.respond(kUntransformed);
  rig.send();
  expect_heartbeat_after_ten_minutes(rig);
}

// --- a byte order mark that a heartbeat has overtaken ---

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

TEST(StreamByteOrderMark, IsPassedOnWhereItComesFirst) {
  StreamRig rig(beating());
  rig.open_event_stream();
  rig.body(std::string(kByteOrderMark) + "data: 1\n\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre(std::string(kByteOrderMark) + "data: 1\n\n"));
}

TEST(StreamByteOrderMark, IsDroppedBehindAHeartbeat) {
  for (bool split : {false, true}) {
    StreamRig rig(beating());
    rig.open_event_stream();
    expect_heartbeat_after_ten_minutes(rig);
    if (split)
      for (char byte : kByteOrderMark) rig.body({&byte, 1});
    rig.body((split ? "" : std::string(kByteOrderMark)) + "data: 1\n\n");
    EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n"));
    // Only there: it is content from now on.
    rig.body(std::string(kByteOrderMark) + "data: 2\n\n");
    EXPECT_THAT(rig.send_chunks(), ElementsAre(std::string(kByteOrderMark) + "data: 2\n\n"));
  }
}

TEST(StreamByteOrderMark, ThatIsNoneAfterAllIsKept) {
  StreamRig rig(beating());
  rig.open_event_stream();
  expect_heartbeat_after_ten_minutes(rig);
  rig.body("\xEF");
  rig.body("\xBB");
  rig.body("x: 1\n\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("\xEF\xBBx: 1\n\n"));
}

TEST(StreamByteOrderMark, ThatTheUpstreamCutIsPassedOnAtTheEnd) {
  StreamRig rig(beating());
  rig.open_event_stream();
  expect_heartbeat_after_ten_minutes(rig);
  rig.body("\xEF\xBB");
  rig.stream().on_response_end();
  EXPECT_EQ(rig.send(), "2\r\n\xEF\xBB\r\n0\r\n\r\n");
}

// --- a head before the upstream's ---

StreamSettings early() {
  StreamSettings settings = with(&StreamSettings::heartbeat_head_after_ms);
  settings.heartbeat_ms = 100 * kMinuteMs;
  return settings;
}

// The head and a heartbeat, while the upstream thinks.
void expect_early_head(StreamRig& rig) {
  rig.pass(9 * kMinuteMs);
  EXPECT_EQ(rig.send(), "");
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send(), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("text/event-stream"),
                                EndsWith("\r\n\r\nd\r\n: heartbeat\n\n\r\n")));
}

TEST(StreamEarlyHead, IsFollowedByTheEventsOfTheUpstream) {
  StreamRig rig(early());
  rig.request(kEventsRequest);
  rig.connect();
  expect_early_head(rig);
  rig.respond(kEventsResponse);
  EXPECT_EQ(rig.send(), "") << "a second head";
  rig.body("data: 1\n\n");
  EXPECT_THAT(rig.send_chunks(), ElementsAre("data: 1\n\n"));
  EXPECT_EQ(rig.metrics().event_streams, 1U);
}

TEST(StreamEarlyHead, ComesWhileTheRequestWaitsInTheQueue) {
  StreamRig rig(early());
  rig.request(kEventsRequest);
  expect_early_head(rig);
}

TEST(StreamEarlyHead, TurnsAnyOtherAnswerIntoAnAbort) {
  for (std::string_view head :
       {"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: compress\r\n"
        "transfer-encoding: chunked\r\n\r\n"}) {
    StreamRig rig(early());
    rig.request(kEventsRequest);
    rig.connect();
    expect_early_head(rig);
    rig.respond(head);
    EXPECT_TRUE(rig.stream().aborted());
    EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamBadResponse);
    EXPECT_EQ(rig.send(), "");
  }
}

TEST(StreamEarlyHead, PutsTheIdleTimeInThePlaceOfTheFirstBytes) {
  StreamSettings settings = early();
  settings.first_byte_timeout_ms = 30 * kMinuteMs;
  settings.stream_idle_timeout_ms = 45 * kMinuteMs;
  StreamRig rig(settings);
  rig.request(kEventsRequest);
  rig.connect();
  expect_early_head(rig);
  rig.pass(30 * kMinuteMs);
  EXPECT_FALSE(rig.stream().aborted());
  rig.pass(15 * kMinuteMs);
  EXPECT_TRUE(rig.stream().aborted());
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamIdleTimeout);
}

TEST(StreamEarlyHead, IsNotForWhoDidNotAskForEventsOrForTheirHeadAlone) {
  for (std::string_view head :
       {"GET /a HTTP/1.1\r\nhost: test\r\n\r\n",
        "HEAD /a HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n"
        "cache-control: no-transform\r\n\r\n"}) {
    StreamRig rig(early());
    rig.request(head);
    rig.connect();
    rig.pass(20 * kMinuteMs);
    EXPECT_EQ(rig.send(), "") << head;
  }
}

TEST(StreamEarlyHead, IsNotForARequestThatIsStillArriving) {
  StreamRig rig(early());
  rig.request_head(
      "POST /a HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\ncontent-length: 5\r\n\r\n");
  rig.connect();
  rig.pass(20 * kMinuteMs);
  EXPECT_EQ(rig.send(), "");
  rig.request_body("hello");
  rig.stream().on_request_end();
  rig.pass(20 * kMinuteMs);
  EXPECT_EQ(rig.send(), "") << "it is too late for it then";
}

TEST(StreamEarlyHead, DelimitsByTheEndForAnHttp10Client) {
  StreamRig rig(early());
  rig.request("GET /a HTTP/1.0\r\naccept: text/event-stream\r\n\r\n");
  rig.connect();
  rig.pass(11 * kMinuteMs);
  EXPECT_THAT(rig.send(), EndsWith("\r\n\r\n: heartbeat\n\n"));
  EXPECT_TRUE(rig.stream().close_delimited());
  EXPECT_FALSE(rig.stream().keep_alive());
}

// --- paced reads ---

constexpr uint64_t kPaceMs = 40;

TEST(StreamPace, ReadsOnOnlyAfterItsTime) {
  StreamRig rig(with(&StreamSettings::pace_ms, kPaceMs));
  rig.open_event_stream();
  EXPECT_EQ(rig.stream().response_credit(), 1U) << "one read at a time";
  rig.body("data: 1\n\n");
  rig.stream().on_read_dry();
  EXPECT_EQ(rig.send_chunks(), (std::vector<std::string>{"data: 1\n\n"})) << "not delayed itself";
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  int reads = rig.upstream.reads;
  rig.pass(kPaceMs - 1);
  EXPECT_EQ(rig.stream().response_credit(), 0U);
  EXPECT_EQ(rig.upstream.reads, reads);
  rig.pass(2);
  EXPECT_EQ(rig.upstream.reads, reads + 1);
  EXPECT_EQ(rig.stream().response_credit(), 1U);
}

TEST(StreamPace, DoesNotDelayTheFirstEvent) {
  StreamRig rig(with(&StreamSettings::pace_ms, kPaceMs));
  rig.open_event_stream();
  rig.stream().on_read_dry();  // the head came alone
  EXPECT_EQ(rig.stream().response_credit(), 1U);
}

TEST(StreamPace, DoesNotDelayTheRestOfAnEvent) {
  StreamRig rig(with(&StreamSettings::pace_ms, kPaceMs));
  rig.open_event_stream();
  rig.body("data: 1\n\ndata: 2");
  rig.stream().on_read_dry();
  EXPECT_EQ(rig.stream().response_credit(), 1U);
}

TEST(StreamPace, ReadsOnWhereTheSocketHasMore) {
  StreamRig rig(with(&StreamSettings::pace_ms, kPaceMs));
  rig.open_event_stream();
  rig.body("data: 1\n\n");
  EXPECT_EQ(rig.stream().response_credit(), 1U);
}

TEST(StreamPace, IsNotSilenceOfTheUpstream) {
  StreamSettings settings = with(&StreamSettings::stream_idle_timeout_ms, 2 * kPaceMs);
  settings.pace_ms = kPaceMs;
  StreamRig rig(settings);
  rig.open_event_stream();
  for (int i = 0; i < 5; ++i) {
    rig.body("data: 1\n\n");
    rig.stream().on_read_dry();
    rig.pass(kPaceMs + 1);
    EXPECT_FALSE(rig.stream().aborted());
  }
  rig.pass(2 * kPaceMs + 2);
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamIdleTimeout);
}

}  // namespace
}  // namespace sluice::test
