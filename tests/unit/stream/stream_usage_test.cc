// A stream whose usage is counted: the memory that this takes, and what the client gets of the
// events that it asked for, and of those that it did not ask for.
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/stream/stream.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::StartsWith;

constexpr std::string_view kChunk =
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"Hi\"},"
    "\"finish_reason\":null}],\"usage\":null}\n\n";
constexpr std::string_view kUsage =
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,"
    "\"completion_tokens\":9}}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";
constexpr std::string_view kLate = "data: {\"late\":1}\n\n";

StreamSettings with_usage() {
  StreamSettings settings = StreamRig::quiet();
  settings.usage = true;
  return settings;
}

void ask(StreamRig& rig) {
  std::string body = R"({"model":"m","stream":true})";
  rig.request_head(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
      "content-length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  rig.request_body(body);
  rig.stream().on_request_end();
}

TEST(StreamUsage, OccupiesMemoryThatIsLimited) {
  StreamRig rig(with_usage());
  MemoryLimit& limit = rig.rig().memory_limit;
  uint64_t before = limit.heap;
  ask(rig);
  uint64_t taken = limit.heap - before;
  EXPECT_GE(taken, sizeof(Metering) + sizeof(RequestReader));
  rig.next_stream();
  rig.rig().loop.turn(false);
  EXPECT_EQ(limit.heap, before);
  limit.heap_max = before + taken * 5 / 4;  // room for all of it, but a quarter is for heads
  ask(rig);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(rig.stream().ending(), Ending::kOverloaded);
  rig.client_done();
  rig.rig().loop.turn(false);
  EXPECT_EQ(limit.heap, before);
}

// Dialect and usage look at an event together, wherever the reads cut it.
TEST(StreamUsage, KeepsItsChunkAndWhatIsLateFromTheClient) {
  StreamSettings settings = with_usage();
  for (Gate gate : {Gate::kOff, Gate::kContent}) {
    settings.gate = gate;
    std::string all;
    for (std::string_view event : {kChunk, kChunk, kUsage, kDone, kLate, kLate}) all += event;
    for (size_t cut = 0; cut <= all.size(); ++cut) {
      StreamRig rig(settings);
      ask(rig);
      rig.connect();
      rig.respond(kEventsResponse);
      rig.body(all.substr(0, cut));
      if (cut < all.size()) rig.body(all.substr(cut));
      rig.stream().on_response_end();
      std::string wire = rig.send();
      EXPECT_EQ(rig.stream().usage()->times().count, 2U) << cut;
      EXPECT_EQ(rig.stream().bill().usage.of(TokenKind::kOutput), 9U) << cut;
      EXPECT_EQ(wire.find("prompt_tokens"), wire.npos) << cut;
      EXPECT_EQ(wire.find("late"), wire.npos) << cut;
      EXPECT_NE(wire.find("[DONE]"), wire.npos) << cut;
      EXPECT_EQ(rig.metrics().late_events, 2U) << cut;
      EXPECT_EQ(rig.stream().events(), 4U) << cut;
    }
  }
}

}  // namespace
}  // namespace sluice::test
