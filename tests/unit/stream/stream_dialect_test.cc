// A stream in a dialect of language models: its heartbeats, its end, and what its gate holds.
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/stream/stream.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kStart =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n";
constexpr std::string_view kDelta =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
    "\"text_delta\",\"text\":\"Hi\"}}\n\n";
constexpr std::string_view kStop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
constexpr std::string_view kChunk =
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"Hi\"},"
    "\"finish_reason\":null}],\"usage\":null}\n\n";
constexpr std::string_view kFinish =
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{},\"finish_reason\":"
    "\"stop\"}]}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";
constexpr std::string_view kCreated =
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":41,"
    "\"response\":{\"id\":\"r\"}}\n\n";

std::string post(std::string_view path, std::string_view body = "{\"stream\":true}") {
  std::string text = "POST ";
  text.append(path).append(" HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n");
  text.append("content-length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  return text;
}

StreamSettings with_heartbeat(HeartbeatForm form = HeartbeatForm::kAuto) {
  StreamSettings settings = StreamRig::quiet();
  settings.heartbeat_ms = kMinuteMs;
  settings.heartbeat_form = form;
  return settings;
}

StreamSettings with_gate() {
  StreamSettings settings = StreamRig::quiet();
  settings.gate = Gate::kContent;
  return settings;
}

void ask(StreamRig& rig, std::string_view path, std::string_view body = "{\"stream\":true}") {
  rig.request_head(post(path));
  if (!body.empty()) rig.request_body(body);
  rig.stream().on_request_end();
  rig.connect();
}

void open(StreamRig& rig, std::string_view path) {
  ask(rig, path);
  rig.respond(kEventsResponse);
  rig.send();
}

std::string text_of(std::vector<std::string> chunks) {
  std::string all;
  for (const std::string& chunk : chunks) all += chunk;
  return all;
}

void lose(StreamRig& rig) {
  rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
}

// --- what it is taken for ---

TEST(StreamDialect, IsGuessedByThePathAndTheFirstEvent) {
  StreamRig rig;
  open(rig, "/v1/messages");
  EXPECT_EQ(rig.stream().dialect(), Dialect::kAnthropic);
  rig.body("event: greeting\ndata: hello\n\n");
  EXPECT_EQ(rig.stream().dialect(), Dialect::kNone);
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().aborted());
}

TEST(StreamDialect, OfTheFirstEventOverrulesThePath) {
  StreamRig rig;
  open(rig, "/v1/messages");
  rig.body(": hello\n\n");
  rig.body(kChunk);
  EXPECT_EQ(rig.stream().dialect(), Dialect::kOpenAi);
}

TEST(StreamDialect, OfTheFirstEventNeedsNoPath) {
  StreamRig rig;
  rig.open_event_stream();
  EXPECT_EQ(rig.stream().dialect(), Dialect::kNone);
  std::string marked = "\xEF\xBB\xBF" + std::string(kStart);
  rig.body(marked.substr(0, 30));
  rig.body(marked.substr(30));
  EXPECT_EQ(rig.stream().dialect(), Dialect::kAnthropic);
  EXPECT_EQ(text_of(rig.send_chunks()), marked);
}

TEST(StreamDialect, CanBeNamedOrForbidden) {
  StreamSettings settings = StreamRig::quiet();
  settings.dialect = DialectChoice::kNone;
  StreamRig none(settings);
  open(none, "/v1/messages");
  none.body(kStart);
  EXPECT_EQ(none.stream().dialect(), Dialect::kNone);
  settings.dialect = DialectChoice::kResponses;
  StreamRig named(settings);
  named.open_event_stream();
  named.body("data: x\n\n");
  EXPECT_EQ(named.stream().dialect(), Dialect::kResponses);
}

TEST(StreamDialect, IsHadByPostOnly) {
  StreamRig rig;
  rig.request("GET /v1/messages HTTP/1.1\r\nhost: test\r\n\r\n");
  EXPECT_EQ(rig.stream().dialect(), Dialect::kNone);
  rig.next_stream();
  rig.request_head(
      "POST /x HTTP/1.1\r\nhost: test\r\nanthropic-version: 1\r\ncontent-length: 2\r\n\r\n");
  EXPECT_EQ(rig.stream().dialect(), Dialect::kAnthropic);
}

// --- heartbeats ---

TEST(StreamDialect, PingsAnAnthropicClientBehindItsFirstEvent) {
  StreamRig rig(with_heartbeat());
  open(rig, "/v1/messages");
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(": heartbeat\n\n"));
  rig.body(kStart);
  rig.send();
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
  rig.body(kStop);
  rig.send();
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(""));  // its end
}

TEST(StreamDialect, SendsChunksToStrictClientsOfOpenAi) {
  StreamRig rig(with_heartbeat(HeartbeatForm::kChunk));
  open(rig, "/v1/chat/completions");
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre("\n"));
  rig.body(kChunk);
  rig.send();
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(HasSubstr("\"choices\":[]")));
}

TEST(StreamDialect, OfARequestIsSaidInItsBody) {
  StreamSettings settings = with_heartbeat();
  settings.heartbeat_head_after_ms = kMinuteMs;
  StreamRig rig(settings);
  rig.request_head(post("/v1/chat/completions", "{\"messages\":[],\"stream\":true}"));
  rig.request_body("{\"messages\":[],\"str");
  rig.request_body("eam\":true}");
  rig.stream().on_request_end();
  rig.connect();
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 200 "));
  rig.next_stream();
  ask(rig, "/v1/chat/completions", "{\"stream\":false}");
  rig.pass(2 * kMinuteMs);
  EXPECT_EQ(rig.send(), "");
}

// --- ends ---

TEST(StreamDialect, TellsOfACutInOpenAi) {
  StreamRig rig;
  open(rig, "/v1/chat/completions");
  rig.body(kChunk);
  rig.body("data: {\"object");
  rig.send();
  lose(rig);
  EXPECT_TRUE(rig.stream().aborted());
  EXPECT_EQ(text_of(rig.send_chunks()),
            "data: {\"error\":{\"message\":\"The upstream reset the connection.\",\"type\":"
            "\"server_error\",\"param\":null,\"code\":\"upstream_reset\"}}\n\n");
  EXPECT_EQ(rig.metrics().error_events[static_cast<unsigned>(Dialect::kOpenAi)], 1U);
}

TEST(StreamDialect, TellsOfACutInAnthropic) {
  StreamRig rig;
  open(rig, "/v1/messages");
  rig.body(std::string(kStart) + std::string(kDelta));
  rig.send();
  lose(rig);
  EXPECT_EQ(text_of(rig.send_chunks()),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":"
            "\"The upstream reset the connection.\"}}\n\n");
}

TEST(StreamDialect, CountsOnInResponses) {
  StreamRig rig;
  open(rig, "/v1/responses");
  rig.body(kCreated);
  rig.send();
  lose(rig);
  EXPECT_THAT(text_of(rig.send_chunks()),
              StartsWith("event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_reset\","));
}

TEST(StreamDialect, TellsNothingWithinAnEventOrTwice) {
  StreamSettings settings = StreamRig::quiet();
  settings.event_hold = 8192;
  StreamRig torn(settings);
  open(torn, "/v1/messages");
  torn.body(kStart);
  torn.body("event: content_block_delta\ndata: " + std::string(10'000, 'x'));
  torn.send();
  lose(torn);
  EXPECT_TRUE(torn.stream().aborted());
  EXPECT_EQ(torn.send(), "");
  StreamRig told;
  open(told, "/v1/messages");
  told.body(kStart);
  told.body("event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n");
  told.send();
  lose(told);
  EXPECT_TRUE(told.stream().aborted());
  EXPECT_EQ(told.send(), "");
}

TEST(StreamDialect, ErrorEventsCanBeTurnedOff) {
  StreamSettings settings = StreamRig::quiet();
  settings.error_event = false;
  StreamRig rig(settings);
  open(rig, "/v1/messages");
  rig.body(kStart);
  rig.send();
  lose(rig);
  EXPECT_EQ(rig.send(), "");
}

TEST(StreamDialect, TakesACleanEndWithoutItsLastEventForACut) {
  StreamRig rig;
  open(rig, "/v1/messages");
  rig.body(std::string(kStart) + std::string(kDelta));
  rig.send();
  rig.stream().on_response_end();
  EXPECT_TRUE(rig.stream().aborted());
  EXPECT_EQ(rig.stream().ending(), Ending::kUpstreamTruncated);
  EXPECT_THAT(text_of(rig.send_chunks()), StartsWith("event: error\n"));
}

TEST(StreamDialect, IsNotJudgedWhereItIsOnlyGuessed) {
  StreamRig rig;  // by its path, and its chunks do not say what they are
  open(rig, "/v1/chat/completions");
  rig.body("data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n");
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().aborted());
}

TEST(StreamDialect, BehindAReasonAGuessNeedsNoLastEvent) {
  StreamRig rig;
  open(rig, "/v1/chat/completions");
  rig.body(std::string(kChunk) + std::string(kFinish));
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().aborted());
  StreamSettings settings = StreamRig::quiet();
  settings.dialect = DialectChoice::kOpenAi;
  StreamRig named(settings);
  open(named, "/v1/chat/completions");
  named.body(std::string(kChunk) + std::string(kFinish));
  named.stream().on_response_end();
  EXPECT_TRUE(named.stream().aborted());
}

TEST(StreamDialect, BehindItsLastEventACutIsAnEnd) {
  StreamRig rig;
  open(rig, "/v1/chat/completions");
  rig.body(std::string(kChunk) + std::string(kDone));
  rig.send();
  lose(rig);
  EXPECT_FALSE(rig.stream().aborted());
  EXPECT_EQ(rig.send(), "0\r\n\r\n");
}

TEST(StreamDialect, DropsWhatComesBehindItsLastEvent) {
  std::string late = std::string(kDone) + ": c\n\n" + std::string(kChunk) + "data: unfinished";
  for (size_t cut = 0; cut <= late.size(); ++cut) {
    StreamRig rig;
    open(rig, "/v1/chat/completions");
    rig.body(kChunk);
    rig.body(late.substr(0, cut));
    if (cut < late.size()) rig.body(late.substr(cut));
    EXPECT_EQ(rig.stream().events(), 2U);
    rig.stream().on_response_end();
    EXPECT_FALSE(rig.stream().aborted());
    std::vector<std::string> chunks = rig.send_chunks();
    ASSERT_EQ(chunks.back(), "");
    ASSERT_EQ(text_of(chunks), std::string(kChunk) + std::string(kDone)) << cut;
    EXPECT_EQ(rig.metrics().late_events, 1U);
  }
}

TEST(StreamDialect, OfALongLastEventIsKnownByItsType) {
  StreamSettings settings = StreamRig::quiet();
  settings.event_hold = 8192;
  StreamRig rig(settings);
  open(rig, "/v1/responses");
  rig.body(kCreated);
  std::string completed =
      "event: response.completed\ndata: {\"type\":\"response.completed\",\"x\":\"";
  completed += std::string(20'000, 'x') + "\"}\n\n";
  for (size_t at = 0; at < completed.size(); at += 3000) rig.body(completed.substr(at, 3000));
  rig.body(kCreated);
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().aborted());
  EXPECT_EQ(text_of(rig.send_chunks()), std::string(kCreated) + completed);
}

TEST(StreamDialect, OfAnEventThatWasNotSeenIsNotJudged) {
  StreamSettings settings = StreamRig::quiet();
  settings.event_hold = 8192;
  StreamRig rig(settings);
  open(rig, "/v1/chat/completions");
  rig.body(kChunk);
  rig.body("data: " + std::string(10'000, 'x'));
  rig.body("\n\n");
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().aborted());
}

// Clients that read to the end do not wait for an upstream that leaves its response open there.
TEST(StreamDialect, EndsSoonBehindItsLastEventWhateverItsUpstreamDoes) {
  StreamSettings settings = with_heartbeat();
  settings.pace_ms = kMinuteMs;
  for (std::string_view late : {std::string_view(), kChunk, std::string_view("data: unfinished")}) {
    StreamRig rig(settings);
    open(rig, "/v1/chat/completions");
    rig.body(std::string(kChunk) + std::string(kDone));
    rig.stream().on_read_dry();
    EXPECT_GT(rig.stream().response_credit(), 0U);  // its upstream's end is awaited
    if (!late.empty()) rig.body(late);
    rig.pass(limits::kLastEventMs - 50);
    EXPECT_EQ(text_of(rig.send_chunks()), std::string(kChunk) + std::string(kDone));
    EXPECT_EQ(rig.upstream.cancels, 0);
    rig.pass(100);
    EXPECT_EQ(rig.send(), "0\r\n\r\n");
    EXPECT_EQ(rig.upstream.cancels, 1);
    EXPECT_EQ(rig.metrics().late_events, late == kChunk ? 1U : 0U);
    EXPECT_EQ(rig.stream().ending(), Ending::kComplete);
  }
}

// It is known by its begin, and its rest may take longer than that.
TEST(StreamDialect, DoesNotEndWithinItsLastEvent) {
  StreamSettings settings = StreamRig::quiet();
  settings.event_hold = 8192;
  StreamRig rig(settings);
  open(rig, "/v1/responses");
  rig.body(kCreated);
  std::string begin = "event: response.completed\ndata: {\"x\":\"" + std::string(10'000, 'x');
  rig.body(begin);
  rig.pass(4 * limits::kLastEventMs);
  rig.body("\"}\n\n");
  EXPECT_EQ(text_of(rig.send_chunks()), std::string(kCreated) + begin + "\"}\n\n");
  rig.pass(limits::kLastEventMs - 50);
  EXPECT_EQ(rig.upstream.cancels, 0);
  rig.pass(100);
  EXPECT_EQ(rig.send(), "0\r\n\r\n");
}

TEST(StreamDialect, AddsNothingWhereNothingMayBeTransformed) {
  StreamRig rig;
  ask(rig, "/v1/messages");
  rig.respond(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-transform\r\n"
      "transfer-encoding: chunked\r\n\r\n");
  rig.send();
  rig.body(std::string(kStart) + std::string(kStop) + std::string(kDelta));
  rig.pass(4 * limits::kLastEventMs);
  EXPECT_EQ(text_of(rig.send_chunks()),
            std::string(kStart) + std::string(kStop) + std::string(kDelta));
}

// --- the gate ---

TEST(StreamGate, HoldsHeadAndEventsUntilTheFirstContent) {
  std::string all = std::string(kStart) + ": c\n\n" + std::string(kDelta) + std::string(kStop);
  size_t content = kStart.size() + 5 + kDelta.size();
  for (size_t cut = 1; cut < all.size(); ++cut) {
    StreamRig rig(with_gate());
    ask(rig, "/v1/messages");
    rig.respond(kEventsResponse);
    rig.body(all.substr(0, cut));
    std::string first = rig.send();
    EXPECT_EQ(first.empty(), cut < content) << cut;
    EXPECT_EQ(rig.stream().events(), cut < content ? 0U : cut < all.size() ? 2U : 3U);
    rig.body(all.substr(cut));
    rig.stream().on_response_end();
    std::string wire = first + rig.send();
    ASSERT_THAT(wire, StartsWith("HTTP/1.1 200 ")) << cut;
    wire.erase(0, wire.find("\r\n\r\n") + 4);
    ASSERT_THAT(wire, HasSubstr("Hi")) << cut;
    EXPECT_EQ(rig.stream().events(), 3U) << cut;
    EXPECT_EQ(rig.metrics().gates[0], 1U);
    EXPECT_EQ(rig.stream().response_body_bytes(), all.size());
  }
}

TEST(StreamGate, OpensAfterItsTime) {
  StreamSettings settings = with_gate();
  settings.gate_time_ms = kMinuteMs;
  StreamRig rig(settings);
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(kStart);
  rig.pass(kMinuteMs / 2);
  EXPECT_EQ(rig.send(), "");
  rig.pass(kMinuteMs);
  EXPECT_THAT(rig.send(), HasSubstr("message_start"));
  rig.body(kDelta);
  EXPECT_THAT(rig.send(), HasSubstr("Hi"));
}

TEST(StreamGate, OpensWhereThereIsTooMuch) {
  StreamRig rig(with_gate());
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  std::string start(kStart);
  start.insert(start.find("[]") + 1, std::string(3000, ' '));
  size_t sent = 0;
  while (rig.stream().response().backlog() == 0 && sent < 2 * limits::kGateBytes) {
    rig.body(start);
    sent += start.size();
  }
  EXPECT_LE(sent, limits::kGateBytes + start.size());
  EXPECT_EQ(rig.metrics().gates[static_cast<unsigned>(GateOutcome::kBytes)], 1U);
  lose(rig);
}

TEST(StreamGate, OpensForAnEventThatIsTooLong) {
  StreamSettings settings = with_gate();
  settings.event_hold = 8192;
  StreamRig rig(settings);
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(kStart);
  std::string rest = "event: content_block_start\ndata: " + std::string(14'000, 'x') + "\n\n";
  rig.body(rest);
  std::string wire = rig.send();
  EXPECT_THAT(wire, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(wire, HasSubstr("message_start"));
  EXPECT_THAT(wire, HasSubstr(std::string(10, 'x') + "\n\n"));
  EXPECT_EQ(rig.stream().events(), 2U);
}

TEST(StreamGate, ACutBeforeContentIsAnsweredWithAStatus) {
  StreamRig rig(with_gate());
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(kStart);
  lose(rig);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(rig.metrics().gates[static_cast<unsigned>(GateOutcome::kEnded)], 1U);
  EXPECT_EQ(rig.stream().response_body_bytes(), 0U);
}

TEST(StreamGate, ACleanEndBeforeContentIsAnsweredWithAStatus) {
  StreamRig rig(with_gate());
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(kStart);
  rig.stream().on_response_end();
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 502 "));
}

TEST(StreamGate, AnErrorThatNobodyElseCanMendPasses) {
  StreamRig rig(with_gate());
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(
      "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n");
  std::string wire = rig.send();
  EXPECT_THAT(wire, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(wire, HasSubstr("overloaded_error"));
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().aborted());
}

TEST(StreamGate, GivesWayToAClientThatWantsAHead) {
  StreamSettings settings = with_gate();
  settings.heartbeat_ms = kMinuteMs;
  settings.heartbeat_head_after_ms = kMinuteMs;
  settings.gate_time_ms = 10 * kMinuteMs;
  StreamRig rig(settings);
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(kStart);
  rig.pass(2 * kMinuteMs);
  std::string wire = rig.send();
  EXPECT_THAT(wire, StartsWith("HTTP/1.1 200 "));
  rig.pass(2 * kMinuteMs);
  EXPECT_THAT(rig.send_chunks(), ElementsAre(": heartbeat\n\n"));
  rig.body(kDelta);
  EXPECT_EQ(text_of(rig.send_chunks()), std::string(kStart) + std::string(kDelta));
}

TEST(StreamGate, LetsGoWithItsClient) {
  StreamRig rig(with_gate());
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body(kStart);
  rig.client_gone();
  EXPECT_EQ(rig.gateway().streams().staging().in_use(), 0U);
}

TEST(StreamGate, LeavesWhatHasNoDialectAlone) {
  StreamRig rig(with_gate());
  rig.request(kEventsRequest);
  rig.connect();
  rig.respond(kEventsResponse);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 200 "));
  rig.next_stream();
  ask(rig, "/v1/messages");
  rig.respond("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n");
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 200 "));
  rig.next_stream();
  ask(rig, "/v1/messages");
  rig.respond(kEventsResponse);
  rig.body("data: hello\n\n");  // not what the path made one think
  EXPECT_THAT(rig.send(), HasSubstr("data: hello\n\n"));
}

}  // namespace
}  // namespace sluice::test
