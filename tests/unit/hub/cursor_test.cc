#include "net/hub/cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/hub/hub_log.h"

namespace sluice {
namespace {

using At = Start::At;
using testing::ElementsAre;
using testing::IsEmpty;

std::string id(uint32_t epoch, uint64_t position) {
  std::string text;
  append_hub_id(text, {epoch, position});
  return text;
}

// A first global position of 0 is Message DB's way to say "all".
TEST(Cursor, ACategoryFromPosition0LosesNothing) {
  HubLog hub;
  hub.publish("a-1");
  hub.publish("a-2");
  HubReader reader(hub);
  reader.of("a", true);
  EXPECT_TRUE(reader.begin({.at = Start::At::kPosition, .number = 0}));
  EXPECT_THAT(reader.read(), ElementsAre("a-1/0", "a-2/0"));
  EXPECT_EQ(reader.last, Cursor::Step::kEnd);
}

TEST(Cursor, HistoryAndWhatComesLiveAreOne) {
  HubLog hub;
  for (int i = 0; i < 2500; ++i) hub.publish(i % 2 == 0 ? "a-1" : "a-2");
  HubReader reader(hub);
  reader.of("a-1", false);
  EXPECT_TRUE(reader.begin({.at = At::kPosition, .number = 1000}));
  EXPECT_EQ(reader.read().size(), 250U);
  hub.publish("a-1");
  hub.publish("a-2");
  EXPECT_THAT(reader.read(), ElementsAre("a-1/1250"));
  EXPECT_THAT(reader.read(), IsEmpty());
}

TEST(Cursor, BeginsWhereItIsAskedTo) {
  HubLog hub;
  for (int i = 0; i < 3; ++i) {
    hub.publish("a-1");
    hub.wall_ms += 1000;
  }
  uint32_t epoch = hub.log.stream("a-1")->epoch;
  auto begun = [&](const Start& start) {
    HubReader reader(hub);
    reader.of("a-1", false);
    bool whole = reader.begin(start);
    return std::make_pair(whole, reader.read());
  };
  auto from = [](bool whole, std::initializer_list<const char*> events) {
    return std::make_pair(whole, std::vector<std::string>(events.begin(), events.end()));
  };
  EXPECT_EQ(begun({.at = At::kLatest}), from(true, {}));
  EXPECT_EQ(begun({.at = At::kEarliest}), from(true, {"a-1/0", "a-1/1", "a-1/2"}));
  EXPECT_EQ(begun({.at = At::kPosition, .number = 2}), from(true, {"a-1/2"}));
  EXPECT_EQ(begun({.at = At::kPosition, .number = 3}), from(true, {}));
  EXPECT_EQ(begun({.at = At::kPosition, .number = 4}), from(false, {}));
  EXPECT_EQ(begun({.at = At::kSince, .number = hub.wall_ms - 2500}),
            from(true, {"a-1/1", "a-1/2"}));
  EXPECT_EQ(begun({.at = At::kId, .id = id(epoch, 0)}), from(true, {"a-1/1", "a-1/2"}));
  EXPECT_EQ(begun({.at = At::kId, .id = id(epoch, 2)}), from(true, {}));
  EXPECT_EQ(begun({.at = At::kId, .id = id(epoch, 3)}), from(false, {}));
  for (const std::string& foreign : {id(epoch + 1, 1), id(hub.home.epoch(), 1), std::string("7")})
    EXPECT_EQ(begun({.at = At::kId, .id = foreign}), from(false, {"a-1/0", "a-1/1", "a-1/2"}));
}

TEST(Cursor, IdsOfAHubCarryItsEpoch) {
  HubLog hub;
  for (const char* stream : {"a-1", "b-1", "a-2"}) hub.publish(stream);
  HubReader reader(hub);
  reader.of("a", true);
  EXPECT_TRUE(reader.begin({.at = At::kId, .id = id(hub.home.epoch(), 1)}));
  EXPECT_THAT(reader.read(), ElementsAre("a-2/0"));
  HubReader foreign(hub);
  foreign.of("a", true);
  EXPECT_FALSE(foreign.begin({.at = At::kId, .id = id(hub.log.stream("a-1")->epoch, 0)}));
  EXPECT_THAT(foreign.read(), ElementsAre("a-1/0", "a-2/0"));
}

// An event that its stream has let go of stands between others, and its time is not known any more.
TEST(Cursor, WhatIsHeldAmongHolesIsFoundByItsTime) {
  HubLog hub;
  hub.home.set_limits({.stream_events = 1});
  uint64_t begun_ms = hub.wall_ms;
  for (const char* stream : {"a-1", "a-2", "a-1", "a-1"}) {
    hub.publish(stream);
    hub.wall_ms += 1000;
  }
  auto since = [&](uint64_t ms) {
    HubReader reader(hub);
    reader.of("a", true);
    bool whole = reader.begin({.at = At::kSince, .number = begun_ms + ms});
    return std::make_pair(whole, reader.read());
  };
  using Events = std::vector<std::string>;
  EXPECT_EQ(since(0), std::make_pair(false, Events{"a-2/0", "a-1/2"}));
  EXPECT_EQ(since(1000), std::make_pair(false, Events{"a-2/0", "a-1/2"}));
  EXPECT_EQ(since(1001), std::make_pair(false, Events{"a-1/2"}));
  EXPECT_EQ(since(3001), std::make_pair(true, Events{}));
}

TEST(Cursor, SeveralStreamsComeInTheHubsOrder) {
  HubLog hub;
  HubReader reader(hub);
  reader.of("a-1", false).of("b", true).of("c-7", false);
  EXPECT_TRUE(reader.begin({.at = At::kLatest}));
  for (const char* stream : {"b-2", "a-1", "a-2", "c-7", "b-1", "a-1"}) hub.publish(stream);
  EXPECT_THAT(reader.read(), ElementsAre("b-2/0", "a-1/0", "c-7/0", "b-1/0", "a-1/1"));
}

TEST(Cursor, SaysWhatWasEvicted) {
  HubLog hub;
  hub.home.set_limits({.history_events = 2});
  hub.publish("a-1");
  HubReader slow(hub);
  slow.of("a-1", false);
  EXPECT_TRUE(slow.begin({.at = At::kPosition, .number = 0}));
  HubReader other(hub);
  other.of("b-1", false);
  EXPECT_TRUE(other.begin({.at = At::kLatest}));
  for (int i = 0; i < 4; ++i) hub.publish("a-1");
  EXPECT_THAT(slow.read(), IsEmpty());
  EXPECT_EQ(slow.last, Cursor::Step::kLost);
  slow.skip_lost();
  EXPECT_THAT(slow.read(), ElementsAre("a-1/3", "a-1/4"));
  EXPECT_EQ(slow.last, Cursor::Step::kEnd);
  // What others have lost is nothing to it.
  EXPECT_THAT(other.read(), IsEmpty());
  EXPECT_EQ(other.last, Cursor::Step::kEnd);
  // Nor is what was evicted behind a cursor.
  hub.publish("a-1");
  EXPECT_THAT(slow.read(), ElementsAre("a-1/5"));

  HubReader late(hub);
  late.of("a-1", false);
  EXPECT_FALSE(late.begin({.at = At::kPosition, .number = 1}));
  EXPECT_THAT(late.read(), ElementsAre("a-1/4", "a-1/5"));
  HubReader since(hub);
  since.of("a-1", false);
  EXPECT_FALSE(since.begin({.at = At::kSince, .number = 0}));
}

TEST(Cursor, ACategoryLosesWhatItsStreamsLetGo) {
  HubLog hub;
  hub.home.set_limits({.stream_events = 1});
  hub.publish("a-1");
  hub.publish("a-2");
  HubReader reader(hub);
  reader.of("a", true);
  EXPECT_TRUE(reader.begin({.at = At::kPosition, .number = 1}));
  hub.publish("a-2");
  EXPECT_THAT(reader.read(), IsEmpty());
  EXPECT_EQ(reader.last, Cursor::Step::kLost);
  reader.skip_lost();
  EXPECT_THAT(reader.read(), ElementsAre("a-1/0", "a-2/1"));
}

// An event has left its stream before it is in the file, which has let go of others meanwhile.
TEST(Cursor, WhatTheStoreIsStillToGetIsNoGapBehindATrimmedFile) {
  HubLog hub;
  hub.use_store();
  hub.home.set_limits({.stream_events = 1});
  for (const char* stream : {"b-1", "a-1", "a-1", "a-1"}) hub.publish(stream);
  Start start{.at = At::kPosition, .number = 1};
  auto entered = [&](StorePage page) {
    HubReader reader(hub);
    reader.of("a-1", false);
    EXPECT_FALSE(reader.begin(start, /*has_store=*/true));
    EXPECT_TRUE(reader.cursor.awaits_page());
    return reader.enter(page, start);
  };
  StoredEvent event;
  event.stream = "a-1";
  auto page = [&event](uint64_t position, uint64_t through, uint64_t first) {
    StorePage page;
    page.from = 1;
    page.through = page.last = through;
    page.first = first;
    event.position = position;
    event.global_position = through;
    if (position > 0) page.events = {event};
    return page;
  };
  using Entered = Cursor::Entered;
  EXPECT_EQ(entered(page(0, 2, 2)), Entered::kTooEarly);
  EXPECT_EQ(entered(page(1, 3, 2)), Entered::kWhole);
  EXPECT_EQ(entered(page(2, 4, 4)), Entered::kInLog)
      << "it is lost, and the log goes further back than the file";
}

TEST(Cursor, TheNewestOfEachStreamIsEnoughForOneThatIsBehind) {
  HubLog hub;
  HubReader reader(hub);
  reader.of("a", true);
  EXPECT_TRUE(reader.begin({.at = At::kLatest}));
  for (int i = 0; i < 3; ++i)
    for (const char* stream : {"a-1", "a-2"}) hub.publish(stream);
  reader.cursor.only_newest(true);
  EXPECT_THAT(reader.read(), ElementsAre("a-1/2", "a-2/2"));
}

// Message DB's own deal, over a catch-up and what comes live: the stream's cardinal id decides, and
// each event has one member.
TEST(Cursor, AGroupSharesACategoryOutByCardinalIds) {
  HubLog hub;
  std::vector<HubReader> members;
  for (int member = 0; member < 4; ++member) {
    members.emplace_back(hub);
    members.back().of("account", true);
    EXPECT_TRUE(members.back().begin({.at = At::kEarliest}));
    auto filter = std::make_unique<EventFilter>();
    filter->member = GroupMember::make(member, 4);
    members.back().cursor.filter(std::move(filter));
  }
  for (const char* stream : {"account-123", "account-123+456", "account-1", "account-", "account"})
    hub.publish(stream);
  EXPECT_THAT(members[0].read(), ElementsAre("account-/0"));
  EXPECT_THAT(members[1].read(), IsEmpty());
  EXPECT_THAT(members[2].read(), ElementsAre("account-1/0"));
  EXPECT_THAT(members[3].read(), ElementsAre("account-123/0", "account-123+456/0"));
}

TEST(Cursor, PassesManyByInPieces) {
  HubLog hub;
  for (int i = 0; i < 5000; ++i) hub.publish("account-1");
  hub.publish("account-123");
  HubReader reader(hub);
  reader.of("account", true);
  EXPECT_TRUE(reader.begin({.at = At::kEarliest}));
  auto filter = std::make_unique<EventFilter>();
  filter->member = GroupMember::make(3, 4);
  reader.cursor.filter(std::move(filter));
  EXPECT_THAT(reader.read(), ElementsAre("account-123/0"));
}

}  // namespace
}  // namespace sluice
