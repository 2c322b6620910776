#include "net/stream/taps.h"

#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kEvents = "data: 1\n\n";

// What has come: the events' text, "(n dropped)" before it where some are missing, and endings.
std::vector<std::string> read(Tap& tap) {
  std::vector<std::string> found;
  static_assert(std::is_trivially_copyable_v<TapRecord>);
  uint64_t told = 0;
  for (std::string record; tap.ring.read(record);) {
    TapRecord head{};
    std::memcpy(&head, record.data(), sizeof head);
    if (head.dropped > told)
      found.push_back("(" + std::to_string(head.dropped - std::exchange(told, head.dropped)) +
                      " dropped)");
    found.push_back((head.end ? "end: " : "") + record.substr(sizeof head));
  }
  return found;
}

std::shared_ptr<Tap> tap_of(uint64_t stream, uint32_t route = 0, uint32_t sample = UINT32_MAX) {
  return std::make_shared<Tap>(stream, route, sample);
}

void watch(StreamRig& rig, const std::shared_ptr<Tap>& tap) {
  EXPECT_TRUE(rig.gateway().streams().taps().add(tap));
  rig.stream().join_taps();
}

TEST(Taps, CopyWhatIsWatched) {
  StreamRig rig;
  rig.open_event_stream();
  auto of_stream = tap_of(rig.stream().id());
  auto of_route = tap_of(0, rig.stream().route().id);
  auto of_another = tap_of(0, rig.stream().route().id + 1);
  for (const auto& tap : {of_stream, of_route, of_another}) watch(rig, tap);
  EXPECT_EQ(rig.gateway().streams().add_tap(tap_of(1'000'000)), TapAnswer::kNoStream);
  rig.body("data: 1\n\nda");
  rig.body("ta: 2\n\ndata: unfinished\n");
  EXPECT_THAT(read(*of_stream), ElementsAre("data: 1\n\n", "data: 2\n\n"));
  EXPECT_THAT(read(*of_route), ElementsAre("data: 1\n\n", "data: 2\n\n"));
  EXPECT_THAT(read(*of_another), IsEmpty());
}

TEST(Taps, AreNotToldAByteOrderMark) {
  StreamRig rig;
  rig.open_event_stream();
  auto tap = tap_of(rig.stream().id());
  watch(rig, tap);
  rig.body("\xEF\xBB");
  rig.body("\xBF");
  rig.body("data: 1\n\n\xEF\xBB\xBF: content\n\n");
  EXPECT_THAT(read(*tap), ElementsAre("data: 1\n\n\xEF\xBB\xBF: content\n\n"));
}

TEST(Taps, WhatHasNoRoomIsDroppedAndCounted) {
  StreamRig rig;
  rig.open_event_stream();
  auto tap = tap_of(rig.stream().id());
  watch(rig, tap);
  size_t events = 0;
  for (; tap->dropped.load() == 0; ++events) {
    rig.body(kEvents);
    rig.send();
  }
  rig.body("data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(tap->dropped.load(), 3U);
  EXPECT_EQ(rig.metrics().tap_dropped_events, 3U);
  EXPECT_EQ(read(*tap).size(), events - 1);
  rig.body("data: 3\n\n");
  EXPECT_THAT(read(*tap), ElementsAre("(3 dropped)", "data: 3\n\n"));
}

TEST(Taps, GetNothingWhileMemoryIsTight) {
  StreamRig rig;
  rig.open_event_stream();
  auto tap = tap_of(rig.stream().id());
  watch(rig, tap);
  MemoryLimit& limit = rig.gateway().context().memory_limit;
  uint64_t most = std::exchange(limit.bytes_max, limit.bytes);
  rig.body(kEvents);
  limit.bytes_max = most;
  EXPECT_THAT(read(*tap), IsEmpty());
  EXPECT_EQ(tap->dropped.load(), 1U);
}

TEST(Taps, EndWithTheirStream) {
  StreamRig rig;
  rig.open_event_stream();
  auto one = tap_of(rig.stream().id());
  auto many = tap_of(0, rig.stream().route().id);
  watch(rig, one);
  watch(rig, many);
  rig.stream().on_client_gone(Ending::kClientLeft);
  EXPECT_THAT(read(*one), ElementsAre("end: client_left"));
  EXPECT_THAT(read(*many), ElementsAre("end: client_left"));
  EXPECT_TRUE(one->over.load());
  EXPECT_FALSE(many->over.load());
}

TEST(Taps, PlacesAreFreeAgainOnceNobodyWatches) {
  StreamRig rig;
  rig.open_event_stream();
  Taps& taps = rig.gateway().streams().taps();
  std::vector<std::shared_ptr<Tap>> all;
  for (size_t i = 0; i < limits::kTapsMax; ++i) {
    all.push_back(tap_of(rig.stream().id()));
    watch(rig, all.back());
  }
  EXPECT_FALSE(taps.add(tap_of(rig.stream().id())));
  all[3]->unwatched = true;
  Taps::Set gone = taps.unwatched();
  rig.stream().leave_taps(gone);
  taps.remove(gone);
  auto next = tap_of(0, rig.stream().route().id + 1);  // not this stream's, in that place
  watch(rig, next);
  rig.body(kEvents);
  EXPECT_THAT(read(*all[3]), IsEmpty());
  EXPECT_THAT(read(*next), IsEmpty());
  EXPECT_THAT(read(*all[4]), ElementsAre(kEvents));
}

TEST(Taps, APartOfTheStreamsIsDrawnByTheirIds) {
  StreamRig rig;
  Taps taps(rig.gateway().context());
  taps.add(tap_of(0, 7, UINT32_MAX / 4));
  unsigned drawn = 0;
  for (uint64_t stream = 1; stream <= 1000; ++stream)
    drawn += taps.watching(stream << limits::kWorkerBits, 7) != 0;
  EXPECT_GT(drawn, 200U);
  EXPECT_LT(drawn, 300U);
  EXPECT_EQ(taps.watching(5 << limits::kWorkerBits, 7), taps.watching(5 << limits::kWorkerBits, 7));
  EXPECT_EQ(taps.watching(1, 8), 0);
}

}  // namespace
}  // namespace sluice::test
