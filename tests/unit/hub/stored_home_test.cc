// A hub's home whose events are shown when a store has them, and logs that go on where a former
// process has ended.
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/hub/hub_log.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using Status = PublishResult::Status;

// The store is the test: it says what becomes of the events.
class StoredHub final : public ChangeSink {
 public:
  StoredHub() : home(log, *this, memory, /*seed=*/1, /*holders=*/1) { home.use_store(true); }
  ~StoredHub() { refuse(); }

  void append(Block& block, const EventDraft& /*draft*/) override { waiting.push_back(&block); }
  void evict_through(uint64_t global) override { log.evict_through(global); }
  void forget() override { FAIL() << "a stored stream is kept"; }

  PublishResult publish(PublishRequest request) {
    return home.publish(request, 1'000'000, 1'790'000'000'000);
  }
  PublishResult publish(const std::string& stream) {
    return publish({.stream = stream, .events = {HubLog::draft("1")}});
  }
  // So many of them are durable.
  void store(size_t count) {
    for (; count > 0; --count) {
      Block* block = waiting.front();
      waiting.pop_front();
      home.stored(*block);
      bool created = false;
      log.append(*block, &created);
      block->let_go();  // the store's hold
    }
  }
  void refuse() {
    for (Block* block : waiting) {
      block->let_go();
      block->let_go();
    }
    waiting.clear();
    home.take_back();
  }
  uint64_t next(const std::string& stream) {
    LogStream* known = log.stream(stream);
    return known ? known->next : 0;
  }

  BlockMemory memory;
  BlockSlots slots;
  Log log{slots};
  Home home;
  std::deque<Block*> waiting;
};

TEST(StoredHomeTest, PositionsGoOnBehindWhatWaits) {
  StoredHub hub;
  EXPECT_EQ(hub.publish("a-1").position, 0U);
  EXPECT_EQ(hub.publish("a-1").position, 1U);
  PublishResult other = hub.publish("a-2");
  EXPECT_EQ(other.position, 0U);
  EXPECT_EQ(other.global, 3U);
  EXPECT_EQ(hub.next("a-1"), 0U) << "not shown";
  hub.store(1);
  EXPECT_EQ(hub.next("a-1"), 1U);
  PublishResult third = hub.publish("a-1");
  EXPECT_EQ(third.position, 2U);
  EXPECT_EQ(third.global, 4U);
  hub.store(3);
  EXPECT_EQ(hub.next("a-1"), 3U);
  EXPECT_EQ(hub.publish("a-1").position, 3U);
}

TEST(StoredHomeTest, AnExpectedVersionIsThatOfWhatWaits) {
  StoredHub hub;
  PublishRequest request{.stream = "a-1", .events = {HubLog::draft("1")}, .expected_version = -1};
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
  EXPECT_EQ(hub.publish(request).status, Status::kWrongVersion);
  request.expected_version = 0;
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
}

TEST(StoredHomeTest, WhatComesToNothingFreesItsPositions) {
  StoredHub hub;
  hub.publish("a-1");
  hub.store(1);
  hub.publish("a-1");
  hub.publish("b-1");
  hub.refuse();
  PublishResult again = hub.publish("b-1");
  EXPECT_EQ(again.position, 0U);
  EXPECT_EQ(again.global, 2U);
  PublishResult more = hub.publish("a-1");
  EXPECT_EQ(more.position, 1U);
  EXPECT_EQ(more.global, 3U);
  hub.store(2);
  EXPECT_EQ(hub.next("a-1"), 2U);
}

TEST(StoredHomeTest, KeysOfWhatComesToNothingAreForgottenAndOthersAreNot) {
  StoredHub hub;
  auto request = [](const std::string& key, std::string_view id) {
    return PublishRequest{.stream = "a-1", .events = {HubLog::draft("1", id)}, .key = key};
  };
  hub.publish(request("k1", "m1"));
  hub.store(1);
  hub.publish(request("k2", "m2"));
  EXPECT_EQ(hub.publish(request("k2", "m2")).status, Status::kDuplicate) << "while it waits, too";
  hub.refuse();
  EXPECT_EQ(hub.publish(request("k1", "m1")).status, Status::kDuplicate);
  EXPECT_EQ(hub.publish(request("", "m1")).status, Status::kDuplicate);
  EXPECT_EQ(hub.publish(request("k2", "m2")).status, Status::kAppended);
}

TEST(StoredHomeTest, ARefusalLetsDuplicatesBe) {
  StoredHub hub;
  PublishRequest request{.stream = "a-1", .events = {HubLog::draft("1", "m")}};
  hub.publish(request);
  hub.store(1);
  hub.home.set_refusal(Status::kStoreFull);
  EXPECT_EQ(hub.publish(request).status, Status::kDuplicate);
  EXPECT_EQ(hub.publish("a-1").status, Status::kStoreFull);
  hub.home.set_refusal(std::nullopt);
  EXPECT_EQ(hub.publish("a-1").position, 1U);
}

TEST(StoredHomeTest, StreamsAreNotForgottenForNewOnes) {
  StoredHub hub;
  hub.home.set_limits({.history_events = 1, .streams = 2});
  for (const char* stream : {"a-1", "a-2"}) {
    hub.publish(stream);
    hub.store(1);
  }
  hub.publish("a-2");
  hub.store(1);
  EXPECT_EQ(hub.publish("a-3").status, Status::kTooManyStreams);
  EXPECT_EQ(hub.publish("a-1").position, 1U);
}

// Each of them counts when it is shown, and not before.
TEST(StoredHomeTest, AStreamKeepsAsMuchAsItMay) {
  StoredHub hub;
  hub.home.set_limits({.stream_events = 2});
  for (int i = 0; i < 4; ++i) hub.publish("a-1");
  for (uint64_t shown = 1; shown <= 4; ++shown) {
    hub.store(1);
    EXPECT_EQ(hub.log.stream("a-1")->next, shown);
    EXPECT_EQ(hub.log.stream("a-1")->events.size(), std::min<uint64_t>(shown, 2));
  }
}

TEST(StoredHomeTest, StreamsLeaveTheBytesToTheEvents) {
  StoredHub hub;
  hub.home.set_limits({.history_bytes = 64UL * 1024});
  for (int i = 0; i < 1000; ++i) {
    hub.publish("a-" + std::to_string(i));
    hub.store(1);
  }
  EXPECT_EQ(hub.log.streams(), 1000U);
  EXPECT_GT(hub.log.stream_bytes(), 64U * 1024);
  hub.publish("a-1");
  hub.store(1);
  hub.home.trim(1'000'000, 1'790'000'000'000);
  EXPECT_GT(hub.log.events(), 50U);
}

// The epoch of a stream is known again by its name.
TEST(StoredHomeTest, EpochsOfStreamsFollowFromTheHubs) {
  StoredHub hub;
  hub.publish("a-1");
  hub.store(1);
  EXPECT_EQ(hub.log.stream("a-1")->epoch, Home::stored_epoch(1, "a-1"));
  EXPECT_NE(Home::stored_epoch(1, "a-1"), Home::stored_epoch(2, "a-1"));
  EXPECT_NE(Home::stored_epoch(1, "a-1"), Home::stored_epoch(1, "a-2"));
}

// A log that goes on: the events from the third on are there, of four.
class RestoredLogTest : public ::testing::Test {
 protected:
  RestoredLogTest() {
    hub_.log.restore(3);
    hub_.use_store();
    append("a-1", 7, 3);
    append("b-1", 0, 4);
    hub_.log.restore_stream("a-1", 1, 8);
    hub_.log.restore_stream("old-1", 1, 5);
  }

  void append(const char* stream, uint64_t position, uint64_t global) {
    std::string scratch;
    EventPlace place{.stream = stream, .position = position, .global = global};
    bool created = false;
    hub_.log.append(*Block::make(HubLog::draft("1"), place, 1, scratch), &created);
  }
  std::vector<std::string> read(const char* name, bool category, uint64_t from, bool whole) {
    HubReader reader(hub_);
    reader.of(name, category);
    EXPECT_EQ(reader.begin({.at = Start::At::kPosition, .number = from}), whole) << name;
    return reader.read();
  }

  HubLog hub_;
};

TEST_F(RestoredLogTest, ItsPositionsGoOn) {
  EXPECT_EQ(hub_.log.next(), 5U);
  EXPECT_EQ(hub_.log.stream("old-1")->next, 5U);
  EXPECT_EQ(hub_.publish("old-1").position, 5U);
  EXPECT_EQ(hub_.publish("a-1").position, 8U);
  hub_.publish("new-1");
  EXPECT_EQ(hub_.log.stream("new-1")->epoch, Home::stored_epoch(1, "new-1"));
}

TEST_F(RestoredLogTest, WhatIsNotThereAnyMoreIsTold) {
  EXPECT_THAT(read("a-1", false, 7, true), ElementsAre("a-1/7"));
  EXPECT_THAT(read("a-1", false, 6, false), ElementsAre("a-1/7"));
  EXPECT_THAT(read("b-1", false, 0, true), ElementsAre("b-1/0"));
  EXPECT_THAT(read("old-1", false, 4, false), ElementsAre());
  EXPECT_THAT(read("a", true, 3, true), ElementsAre("a-1/7"));
  EXPECT_THAT(read("a", true, 2, false), ElementsAre("a-1/7"));
  EXPECT_THAT(read("unknown", true, 2, false), ElementsAre());
}

}  // namespace
}  // namespace sluice
