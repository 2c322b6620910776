#include "net/hub/home.h"

#include <gtest/gtest.h>

#include "tests/unit/hub/hub_log.h"

namespace sluice {
namespace {

using Status = PublishResult::Status;

TEST(Home, PositionsAreDensePerStreamAndOverTheHub) {
  HubLog hub;
  for (int i = 0; i < 3; ++i) {
    for (const char* stream : {"account-1", "account-2", "order-1"}) {
      PublishResult result = hub.publish(stream);
      EXPECT_EQ(result.status, Status::kAppended);
      EXPECT_EQ(result.position, static_cast<uint64_t>(i));
    }
  }
  EXPECT_EQ(hub.log.next(), 10U);
  EXPECT_EQ(hub.log.streams(), 3U);
  EXPECT_EQ(hub.log.categories(), 2U);
}

TEST(Home, ABlockHoldsEachFormOnce) {
  HubLog hub;
  EventDraft event{.type = "Paid", .data = "{\"a\":\n1}", .metadata = "{\"m\":2}"};
  event.message_id = "x\"y";
  hub.publish({.stream = "account-\"1", .events = {event}});
  const Block& block = *hub.log.at(1)->block;
  std::string own = "id: ";
  append_hub_id(own, {block.stream_epoch(), 0});
  std::string global = "id: ";
  append_hub_id(global, {hub.home.epoch(), 1});
  EXPECT_EQ(block.event(), own + "\nevent: Paid\ndata: {\"a\": 1}\n\n");
  std::string where = "{\"stream\":\"account-\\\"1\",\"position\":0,\"globalPosition\":1";
  EXPECT_EQ(block.poke(), own + "\ndata: " + where + "}\n\n");
  EXPECT_EQ(block.envelope_poke(), global + "\ndata: " + where + "}\n\n");
  std::string message =
      where +
      ",\"type\":\"Paid\",\"id\":\"x\\\"y\",\"time\":\"2026-09-21T14:13:20.000Z\","
      "\"metadata\":{\"m\":2},\"data\":{\"a\": 1}}";
  EXPECT_EQ(block.message(), message);
  EXPECT_EQ(block.envelope_event(), global + "\ndata: " + message + "\n\n");
}

TEST(Home, TextOfSeveralLinesStaysOneEvent) {
  HubLog hub;
  EventDraft event{.data = "a\r\n\nid: 9\rb"};
  event.json = false;
  hub.publish({.stream = "log", .events = {event}});
  const Block& block = *hub.log.at(1)->block;
  EXPECT_TRUE(block.event().ends_with("\ndata: a\ndata: \ndata: id: 9\ndata: b\n\n"));
  EXPECT_TRUE(block.message().ends_with("\"data\":\"a\\u000d\\n\\nid: 9\\u000db\"}"));
}

TEST(Home, AnExpectedVersionThatDiffersAppendsNothing) {
  HubLog hub;
  PublishRequest request{.stream = "a-1", .events = {HubLog::draft("1")}, .expected_version = 0};
  EXPECT_EQ(hub.publish(request).status, Status::kWrongVersion);
  request.expected_version = -1;
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
  PublishResult again = hub.publish(request);
  EXPECT_EQ(again.status, Status::kWrongVersion);
  EXPECT_EQ(again.version, 0);
  request.expected_version = 0;
  EXPECT_EQ(hub.publish(request).position, 1U);
  EXPECT_EQ(hub.log.next(), 3U);
}

TEST(Home, AKeyIsRememberedForItsWindowAndNoLonger) {
  HubLog hub;
  hub.home.set_limits({.window_ms = 60'000});
  PublishRequest request{.stream = "a-1", .events = {HubLog::draft("1")}, .expected_version = -1};
  request.key = "k";
  request.fingerprint = 1;
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
  hub.publish("a-1");
  hub.now_ms += 60'000;
  PublishResult again = hub.publish(request);
  EXPECT_EQ(again.status, Status::kDuplicate);  // not the conflict that its version would be
  EXPECT_EQ(again.position, 0U);
  request.fingerprint = 2;
  EXPECT_EQ(hub.publish(request).status, Status::kKeyReused);
  request.stream = "a-2";
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
  request.stream = "a-1";
  hub.now_ms += 1;
  EXPECT_EQ(hub.publish(request).status, Status::kWrongVersion);
}

TEST(Home, OfMoreKeysThanItMayRememberTheOldestGoFirst) {
  HubLog hub;
  auto key = [](size_t number) { return "k" + std::to_string(number); };
  for (size_t i = 0; i <= limits::kHubKeysMax; ++i)
    hub.home.restore_key(Home::request_key("a-1", key(i)), {}, hub.now_ms);
  PublishRequest request{.stream = "a-1", .events = {HubLog::draft("1")}, .key = key(1)};
  EXPECT_EQ(hub.publish(request).status, Status::kDuplicate);
  request.key = key(0);
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
  // Which took the place of the next one.
  EXPECT_EQ(hub.publish(request).status, Status::kDuplicate);
  request.key = key(1);
  EXPECT_EQ(hub.publish(request).status, Status::kAppended);
}

TEST(Home, AMessageIdIsAppendedOnce) {
  HubLog hub;
  PublishRequest batch{
      .stream = "a-1",
      .events = {HubLog::draft("1", "x"), HubLog::draft("2", "y"), HubLog::draft("3", "x")}};
  EXPECT_EQ(hub.publish(batch).count, 2U);
  PublishResult again = hub.publish(batch);
  EXPECT_EQ(again.status, Status::kDuplicate);
  EXPECT_EQ(again.count, 0U);
  batch.events.push_back(HubLog::draft("4", "z"));
  EXPECT_EQ(hub.publish(batch).count, 1U);
  EXPECT_EQ(hub.log.next(), 4U);
}

TEST(Home, HistoryIsBoundedByEventsBytesAndAge) {
  HubLog hub;
  hub.home.set_limits({.history_events = 3});
  for (int i = 0; i < 10; ++i) hub.publish("a-1");
  EXPECT_EQ(hub.log.events(), 3U);
  EXPECT_EQ(hub.log.first(), 8U);
  hub.home.set_limits({.history_bytes = hub.log.bytes() - 1});
  hub.home.trim(hub.now_ms, hub.wall_ms);
  EXPECT_EQ(hub.log.events(), 2U);
  hub.home.set_limits({.history_age_ms = 1000});
  hub.home.trim(hub.now_ms, hub.wall_ms + 1000);
  EXPECT_EQ(hub.log.events(), 2U);
  hub.home.trim(hub.now_ms, hub.wall_ms + 1001);
  EXPECT_EQ(hub.log.events(), 0U);
  EXPECT_EQ(hub.log.bytes(), hub.log.stream_bytes());
  EXPECT_EQ(hub.slots.lent(), 0U);
  EXPECT_EQ(hub.publish("a-1").position, 10U);  // the stream goes on
}

TEST(Home, AStreamKeepsAsManyAsItMay) {
  HubLog hub;
  hub.home.set_limits({.stream_events = 2});
  hub.publish("a-1");
  for (int i = 0; i < 5; ++i) hub.publish("a-2");
  EXPECT_EQ(hub.log.stream("a-2")->events.size(), 2U);
  EXPECT_EQ(hub.log.stream("a-2")->first(), 3U);
  EXPECT_EQ(hub.log.stream("a-1")->events.size(), 1U);
  EXPECT_EQ(hub.log.events(), 3U);
  // The holes go with what lies before them.
  for (int i = 0; i < 2; ++i) hub.publish("a-1");
  EXPECT_EQ(hub.log.first(), 5U);
}

TEST(Home, AStreamKeepsAsManyBytesAsItMay) {
  HubLog hub;
  hub.publish("a-1", std::string(100, '1'));
  uint64_t one = hub.log.stream("a-1")->bytes;
  uint64_t most = 3 * one + one / 2;  // later ones have longer numbers
  hub.home.set_limits({.stream_bytes = most});
  for (int i = 0; i < 9; ++i) {
    hub.publish("a-1", std::string(100, '1'));
    hub.publish("a-2", std::string(100, '1'));
    EXPECT_LE(hub.log.stream("a-1")->bytes, most);
  }
  EXPECT_EQ(hub.log.stream("a-1")->events.size(), 3U);
  EXPECT_EQ(hub.log.stream("a-2")->events.size(), 3U);
  hub.publish("a-1", std::string(450, '1'));
  EXPECT_EQ(hub.log.stream("a-1")->events.size(), 2U);
  // The newest one is kept, however large it is.
  hub.publish("a-1", std::string(10'000, '1'));
  EXPECT_EQ(hub.log.stream("a-1")->events.size(), 1U);
  EXPECT_EQ(hub.log.stream("a-1")->first(), 11U);
  hub.publish("a-1");
  EXPECT_EQ(hub.log.stream("a-1")->events.size(), 1U);
  EXPECT_EQ(hub.log.stream("a-2")->events.size(), 3U);
}

// One old event would keep the places of all that its streams have let go of since.
TEST(Home, HolesAreBoundedByBytes) {
  HubLog hub;
  hub.home.set_limits({.history_bytes = 100'000, .history_events = 0, .stream_events = 1});
  hub.publish("config-1");
  for (int i = 0; i < 500; ++i) hub.publish("hot-1");
  EXPECT_EQ(hub.log.events(), 2U);
  for (int i = 0; i < 10'000; ++i) {
    hub.publish("hot-1");
    ASSERT_LT((hub.log.next() - hub.log.first()) * sizeof(Log::Entry), 100'000U);
  }
  EXPECT_EQ(hub.log.events(), 1U);
}

TEST(Home, HolesAreBoundedByTheirNumber) {
  HubLog hub;
  hub.home.set_limits({.history_bytes = 0, .history_events = 0, .stream_events = 1, .holes = 1000});
  hub.publish("config-1");
  for (int i = 0; i < 1001; ++i) hub.publish("hot-1");
  EXPECT_EQ(hub.log.first(), 1U);
  EXPECT_EQ(hub.log.events(), 2U);
  hub.publish("hot-1");
  EXPECT_EQ(hub.log.events(), 1U);
  EXPECT_EQ(hub.log.first(), hub.log.next() - 1);
}

// Each worker has an index of its own.
TEST(Home, TheIndexOfEachWorkerCounts) {
  HubLog hub;
  hub.publish("a-1");
  hub.home.set_limits({.history_bytes = hub.log.bytes()});
  hub.home.trim(hub.now_ms, hub.wall_ms);
  EXPECT_EQ(hub.log.events(), 1U);
  HubLog shared(/*workers=*/2);
  shared.home.set_limits({.history_bytes = hub.log.bytes()});
  shared.publish("a-1");
  EXPECT_EQ(shared.log.events(), 0U);
}

TEST(Home, AnEmptyStreamMakesRoomForANewOne) {
  HubLog hub;
  hub.home.set_limits({.history_events = 2, .streams = 2});
  hub.publish("a-1");
  hub.publish("a-2");
  EXPECT_EQ(hub.publish("a-3").status, Status::kTooManyStreams);
  uint32_t epoch = hub.log.stream("a-1")->epoch;
  hub.publish("a-2");  // the event of a-1 is evicted
  EXPECT_EQ(hub.publish("a-3").status, Status::kAppended);
  EXPECT_EQ(hub.forgotten, std::vector<std::string>{"a-1"});
  hub.publish("a-3");
  EXPECT_EQ(hub.publish("a-1").position, 0U);
  EXPECT_NE(hub.log.stream("a-1")->epoch, epoch);
}

// Each worker knows them, by a name of up to 256 bytes.
TEST(Home, StreamsCountAsBytes) {
  constexpr uint64_t kBytes = 256 * 1024;
  HubLog hub(/*workers=*/2);
  hub.home.set_limits({.history_bytes = kBytes});
  for (int i = 0; i < 1000; ++i) {
    hub.publish("c" + std::to_string(i) + std::string(120, 'x') + "-" + std::string(120, 'y'));
    ASSERT_LE(hub.log.bytes() + hub.log.index_bytes(), kBytes);
  }
  EXPECT_GT(hub.log.streams(), 30U) << "those that have room are kept";
  EXPECT_EQ(hub.log.categories(), hub.log.streams());
  EXPECT_EQ(hub.forgotten.size(), 1000 - hub.log.streams());
  ASSERT_FALSE(hub.forgotten.empty());
  EXPECT_TRUE(hub.forgotten.front().starts_with("c0x")) << "the oldest goes first";
  // All of it is the events' again.
  hub.home.set_limits({.history_bytes = 1});
  hub.home.trim(hub.now_ms, hub.wall_ms);
  EXPECT_EQ(hub.log.streams(), 0U);
  EXPECT_EQ(hub.log.bytes(), 0U);
}

TEST(Home, AStreamWithoutEventsGoesOnWhereThereIsRoomForItsName) {
  HubLog hub;
  hub.home.set_limits({.history_bytes = 64UL * 1024});
  hub.publish("quiet-1");
  for (int i = 0; i < 1000; ++i) hub.publish("busy-1");
  EXPECT_TRUE(hub.log.stream("quiet-1")->events.empty());
  EXPECT_EQ(hub.publish("quiet-1").position, 1U);
}

TEST(Home, ARateIsKeptTo) {
  HubLog hub;
  hub.home.set_limits({.rate = 10});
  int taken = 0;
  for (int i = 0; i < 30; ++i) taken += hub.publish("a").status == Status::kAppended;
  EXPECT_EQ(taken, 10);
  PublishResult refused = hub.publish("a");
  EXPECT_EQ(refused.status, Status::kTooFast);
  hub.now_ms += refused.retry_ms;
  EXPECT_EQ(hub.publish("a").status, Status::kAppended);
  // A large batch is taken, and paid for afterwards.
  hub.now_ms += 1000;
  PublishRequest batch{.stream = "a", .events = std::vector(100, HubLog::draft("1"))};
  EXPECT_EQ(hub.publish(batch).count, 100U);
  hub.now_ms += 9000;
  EXPECT_EQ(hub.publish("a").status, Status::kTooFast);
  hub.now_ms += 1000;
  EXPECT_EQ(hub.publish("a").status, Status::kAppended);
}

TEST(Home, TimeDoesNotGoBack) {
  HubLog hub;
  hub.publish("a");
  hub.wall_ms -= 5000;
  hub.publish("a");
  EXPECT_EQ(hub.log.at(2)->block->time_ms(), hub.log.at(1)->block->time_ms());
}

TEST(Home, ConsumersKeepTheirPositions) {
  HubLog hub;
  EXPECT_FALSE(hub.home.consumer("c"));
  EXPECT_TRUE(hub.home.set_consumer("c", 7));
  EXPECT_TRUE(hub.home.set_consumer("c", 5));
  EXPECT_EQ(hub.home.consumer("c"), 5U);
}

TEST(Home, KnowsNoMoreConsumersThanItMay) {
  HubLog hub;
  for (size_t i = 0; i < limits::kHubConsumersMax; ++i)
    ASSERT_TRUE(hub.home.set_consumer("c" + std::to_string(i), 7));
  EXPECT_FALSE(hub.home.set_consumer("more", 7));
  EXPECT_FALSE(hub.home.consumer("more"));
  EXPECT_TRUE(hub.home.set_consumer("c0", 8)) << "one that it knows";
  EXPECT_EQ(hub.home.consumer("c0"), 8U);
}

}  // namespace
}  // namespace sluice
