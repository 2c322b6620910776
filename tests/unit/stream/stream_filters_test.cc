// A stream whose events go through filters, where memory has run out.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kPost =
    "POST /v1/messages HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
    "content-length: 15\r\n\r\n";
const std::string kStart =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[" +
    std::string(6000, ' ') + "]}}\n\n";
constexpr std::string_view kDelta =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
    "\"text_delta\",\"text\":\"Hi\"}}\n\n";

FilterRule ends_at(std::string type) {
  FilterRule rule{.name = "ends", .where = "here"};
  rule.events = {std::move(type)};
  rule.actions.push_back({FilterAction::Kind::kEnd, {}, "", "", {}, "here"});
  return rule;
}

struct Opened {
  explicit Opened(const std::string& type)
      : rig(
            [] {
              StreamSettings settings = StreamRig::quiet();
              settings.gate = Gate::kContent;
              return settings;
            }(),
            "/", {ends_at(type)}) {
    rig.request_head(kPost);
    rig.request_body("{\"stream\":true}");
    rig.stream().on_request_end();
    rig.connect();
    rig.respond(kEventsResponse);
    rig.body(kStart);
  }

  StreamRig rig;
};

TEST(StreamFilters, EndWhatTheGateHeld) {
  Opened opened("message_start");
  opened.rig.body(kDelta);
  EXPECT_EQ(opened.rig.client.aborted, 0);
  std::string wire = opened.rig.send();
  EXPECT_THAT(wire, HasSubstr(kStart));
  EXPECT_THAT(wire, HasSubstr("\r\n0\r\n"));
}

// The event that a filter ends the stream with is copied, since the gate held it, and finds no
// memory. What is aborted stays so.
TEST(StreamFilters, NoCleanEndWhereMemoryHasRunOut) {
  Opened opened("message_start");
  GatewayRig& gateway = opened.rig.rig();
  gateway.json = std::make_unique<SlotPool>(gateway.loop, gateway.memory_limit,
                                            SlotPool::Options{"json", 2, 8192, 1});
  Lease only = gateway.json->take();
  gateway.memory.json = gateway.json.get();
  gateway.memory_limit.heap_max = gateway.memory_limit.heap + 1000;  // for the head alone
  Lease lease = gateway.sse_event.take();
  std::ranges::copy(kDelta, lease.data());
  gateway.memory_limit.bytes_max = gateway.memory_limit.bytes;
  opened.rig.stream().on_response_body(lease, {lease.data(), kDelta.size()});
  EXPECT_EQ(opened.rig.client.aborted, 1);
  EXPECT_EQ(opened.rig.stream().ending(), Ending::kOverloaded);
  EXPECT_FALSE(opened.rig.stream().response().finished());
}

}  // namespace
}  // namespace sluice::test
