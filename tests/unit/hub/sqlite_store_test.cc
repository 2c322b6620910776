#include "net/hub/sqlite_store.h"

#include <chrono>
#include <fstream>
#include <sqlite3.h>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/clock.h"
#include "tests/unit/hub/store_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() : file_(folder_.file("hub.db")) {}

  std::string content(const std::string& name) const {
    std::ifstream in(folder_.file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.file(name), std::ios::binary) << text;
  }
  // With another program, when nobody else has the file.
  std::vector<std::string> query(const std::string& sql, int flags = SQLITE_OPEN_READWRITE) const {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open_v2(file_.c_str(), &db, flags | SQLITE_OPEN_CREATE, nullptr), SQLITE_OK);
    std::vector<std::string> rows;
    auto row = [](void* into, int columns, char** texts, char** /*names*/) {
      std::string line;
      for (int i = 0; i < columns; ++i) {
        line += (i > 0 ? "|" : "") + std::string(texts[i] ? texts[i] : "NULL");
      }
      static_cast<std::vector<std::string>*>(into)->push_back(line);
      return 0;
    };
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), row, &rows, &error), SQLITE_OK) << error;
    sqlite3_close(db);
    return rows;
  }

  Folder folder_;
  std::string file_;
  Positions positions_;
};

TEST_F(SqliteStoreTest, ANewFileIsEmpty) {
  Opened opened(options_for(file_));
  ASSERT_TRUE(opened.head) << opened.error;
  EXPECT_EQ(opened.head->last_global_position, 0U);
  EXPECT_EQ(opened.head->first_global_position, 0U);
  EXPECT_NE(opened.head->epoch, HubEpoch{});
  EXPECT_THAT(opened.loaded.events, IsEmpty());
  EXPECT_EQ(opened.store->state(), StoreState::kReady);
}

TEST_F(SqliteStoreTest, WhatIsAppendedIsThereAgain) {
  std::vector<Event> events = {positions_.next("account-1", std::string("a\0b\xFF", 4)),
                               positions_.next("account-2", ""), positions_.next("account-1", "c")};
  events[0].metadata = R"({"correlationStreamName":"x-1"})";
  events[0].message_id = "936da01f-9abd-4d9d-80c7-02af85c822a8";
  events[1].message_id = "936DA01F-9ABD-4D9D-80C7-02AF85C822A8";
  events[2].message_id = "any other";
  events[1].origin_id = "17";
  events[2].type = "";
  events[2].json = false;
  HubEpoch epoch;
  {
    Opened opened(options_for(file_));
    epoch = opened.head->epoch;
    ASSERT_TRUE(opened.append(std::make_unique<Batch>(events)));
    EXPECT_THAT(opened.user.wait_for_answers(1), ElementsAre(Pair(1, StoreOutcome::kDurable)));
  }
  Opened opened(options_for(file_));
  ASSERT_TRUE(opened.head) << opened.error;
  EXPECT_EQ(opened.head->epoch, epoch);
  EXPECT_EQ(opened.head->first_global_position, 1U);
  EXPECT_EQ(opened.head->last_global_position, 3U);
  EXPECT_EQ(opened.head->last_time_us, 3'000'000);
  EXPECT_EQ(opened.loaded.events, events);
  EXPECT_THAT(opened.loaded.versions,
              UnorderedElementsAre(Pair("account-1", 1), Pair("account-2", 0)));
  EXPECT_THAT(opened.loaded.ids,
              ElementsAre(events[0].message_id, events[1].message_id, events[2].message_id));
}

TEST_F(SqliteStoreTest, AStoreThatEndsWritesWhatWaits) {
  {
    Opened opened(options_for(file_));
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(opened.append(positions_.batch("a-1", 10)));
  }
  EXPECT_EQ(Opened(options_for(file_)).head->last_global_position, 1000U);
}

TEST_F(SqliteStoreTest, BatchesAreAnsweredInOrder) {
  Opened opened(options_for(file_));
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(opened.append(positions_.batch("a-1")));
  User::Answers answers = opened.user.wait_for_answers(500);
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].first, i + 1);
}

TEST_F(SqliteStoreTest, ConsumersAreKeptUntilTheyAreGone) {
  {
    Opened opened(options_for(file_));
    std::vector<StoredConsumer> consumers = {
        {"one", 5, 0}, {"two", 7, 1}, {"three", 1, 0}, {"one", 6, 2}};
    std::vector<StoredConsumer> later = {{"two", 3, 4}, {.id = "three", .gone = true}};
    opened.append(std::make_unique<Batch>(std::vector<Event>{}, consumers));
    opened.append(std::make_unique<Batch>(std::vector<Event>{}, later));
    opened.user.wait_for_answers(2);
  }
  EXPECT_THAT(Opened(options_for(file_)).loaded.consumers,
              UnorderedElementsAre(Pair("one", Pair(6, 2)), Pair("two", Pair(3, 4))));
}

TEST_F(SqliteStoreTest, KeysAreKeptForAWhile) {
  SqliteStoreOptions options = options_for(file_);
  options.history.key_age_us_max = 10'000'000;
  {
    Opened opened(options);
    for (uint64_t i = 1; i <= 50; ++i) {
      std::unique_ptr<StoreBatch> batch = positions_.batch("a-1");
      std::string key = "key " + std::to_string(i);
      batch->keys = {{.key = key,
                      .global_position = i,
                      .position = i - 1,
                      .count = 1,
                      .fingerprint = ~i,
                      .time_us = static_cast<int64_t>(1'000'000 * i)}};
      ASSERT_TRUE(opened.append(std::move(batch)));
      opened.user.wait_for_answers(i);
    }
  }
  Loaded wanted;
  wanted.ids_since_us = 1;
  Loaded loaded = Opened(options, wanted).loaded;
  EXPECT_THAT(loaded.keys, SizeIs(11));
  EXPECT_THAT(loaded.keys["key 50"], ElementsAre(50, 49, 1, ~uint64_t{50}));
  wanted.ids_since_us = 48'000'000;
  EXPECT_THAT(Opened(options, wanted).loaded.keys, SizeIs(3));
}

TEST_F(SqliteStoreTest, WhatDoesNotFollowIsRefused) {
  Opened opened(options_for(file_));
  opened.append(positions_.batch("a-1"));
  (void)positions_.next("a-1");
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(2), StoreOutcome::kOutOfOrder);
  positions_.take_back({"a-1", 1, 2});
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(3), StoreOutcome::kDurable);
}

TEST_F(SqliteStoreTest, TheQueueIsBounded) {
  SqliteStoreOptions options = options_for(file_, StoreAck::kMemory);
  options.queue_bytes_max = 1000;
  options.room.min_bytes = UINT64_MAX / 2;  // which no disk has
  Opened opened(options);
  EXPECT_EQ(opened.store->state(), StoreState::kFull);
  EXPECT_TRUE(opened.append(positions_.batch("a-1", 50)));  // more than all, into an empty queue
  EXPECT_FALSE(opened.append(positions_.batch("a-1")));
}

TEST_F(SqliteStoreTest, ATailIsLoadedAsFarAsItIsWanted) {
  {
    Opened opened(options_for(file_));
    for (int i = 1; i <= 10; ++i) {
      Event event = positions_.next("a-1", std::string(100, 'x'));
      event.message_id = std::to_string(i);
      opened.append(std::make_unique<Batch>(std::vector{event}));
    }
  }
  auto load = [this](size_t events, size_t bytes, size_t ids, int64_t since_us) {
    Loaded wanted;
    wanted.events_max = events;
    wanted.bytes_max = bytes;
    wanted.ids_max = ids;
    wanted.ids_since_us = since_us;
    return Opened(options_for(file_), wanted).loaded;
  };
  Loaded by_count = load(3, SIZE_MAX, 5, 0);
  ASSERT_THAT(by_count.events, SizeIs(3));
  EXPECT_EQ(by_count.events[0].global_position, 8U);
  EXPECT_THAT(by_count.ids, ElementsAre("6", "7", "8", "9", "10"));
  EXPECT_THAT(load(SIZE_MAX, 350, 0, 0).events, SizeIs(3));  // of 113 bytes and up
  Loaded by_time = load(5, SIZE_MAX, SIZE_MAX, 9'000'000);
  EXPECT_THAT(by_time.events, SizeIs(5));
  EXPECT_THAT(by_time.ids, ElementsAre("9", "10"));
  Loaded nothing = load(0, 0, 0, 0);
  EXPECT_THAT(nothing.events, IsEmpty());
  EXPECT_THAT(nothing.ids, IsEmpty());
  EXPECT_THAT(nothing.versions, UnorderedElementsAre(Pair("a-1", 9)));
}

TEST_F(SqliteStoreTest, PagesAreOfStreamsCategoriesAndAll) {
  Opened opened(options_for(file_));
  for (int i = 0; i < 4; ++i) {
    opened.append(positions_.batch("a-1"));
    opened.append(positions_.batch("a-2"));
    opened.append(positions_.batch("b-1"));
  }
  opened.user.wait_for_answers(12);
  auto globals = [&opened](StoreRead wanted, bool* end = nullptr) {
    std::vector<uint64_t> all;
    for (const Event& event : opened.page(wanted, end)) all.push_back(event.global_position);
    return all;
  };
  bool end = false;
  EXPECT_THAT(globals({.of = {{"a-1"}}, .from_position = 0}, &end), ElementsAre(1, 4, 7, 10));
  EXPECT_TRUE(end);
  EXPECT_THAT(globals({.of = {{"a-1"}}, .from_position = 2}), ElementsAre(7, 10));
  EXPECT_THAT(globals({.of = {{"a-1"}}, .from_position = 1, .events_max = 2}, &end),
              ElementsAre(4, 7));
  EXPECT_FALSE(end);
  EXPECT_THAT(globals({.of = {{"a", true}}, .from = 5}), ElementsAre(5, 7, 8, 10, 11));
  EXPECT_THAT(globals({.from = 11}), ElementsAre(11, 12));
  EXPECT_THAT(globals({.from = 13}, &end), IsEmpty());
  EXPECT_TRUE(end);
  EXPECT_THAT(globals({.from = UINT64_MAX}), IsEmpty());
  EXPECT_THAT(globals({.of = {{"a"}}}), IsEmpty());
  EXPECT_THAT(globals({.of = {{"a-1", true}}}), IsEmpty());
  // By time: that of an event is its global position in seconds.
  EXPECT_THAT(globals({.of = {{"a-1"}}, .since_us = 4'000'000}), ElementsAre(4, 7, 10));
  EXPECT_THAT(globals({.of = {{"a-1"}}, .since_us = 4'000'001}), ElementsAre(7, 10));
  EXPECT_THAT(globals({.of = {{"a-1"}}, .from = 8}), ElementsAre(10));
  EXPECT_THAT(globals({.of = {{"b", true}}, .since_us = 8'000'000}), ElementsAre(9, 12));
  EXPECT_THAT(globals({.since_us = 12'000'001}), IsEmpty());
  // By bytes, and one at least.
  EXPECT_THAT(globals({.bytes_max = 30}, &end), ElementsAre(1, 2));
  EXPECT_FALSE(end);
  EXPECT_THAT(globals({.bytes_max = 1}), ElementsAre(1));
}

TEST_F(SqliteStoreTest, PagesSayHowFarTheyGo) {
  Opened opened(options_for(file_));
  for (int i = 0; i < 4; ++i) {
    opened.append(positions_.batch("a-1"));
    opened.append(positions_.batch("a-2"));
    opened.append(positions_.batch("b-1"));
  }
  opened.user.wait_for_answers(12);
  StorePage page;
  auto globals = [&opened, &page](StoreRead wanted) {
    wanted.id = ++opened.reads;
    EXPECT_TRUE(opened.store->read(wanted));
    page = opened.user.wait_for_page(wanted.id);
    std::vector<uint64_t> all;
    for (const StoredEvent& event : page.events) all.push_back(event.global_position);
    return all;
  };
  // What is of several comes once, in order.
  EXPECT_THAT(globals({.of = {{"b-1"}, {"a-1"}, {"a", true}, {"none-1"}}, .from = 3}),
              ElementsAre(3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  EXPECT_THAT(globals({.of = {{"b-1"}, {"a-1"}}, .from = 2, .events_max = 3}),
              ElementsAre(3, 4, 6));
  EXPECT_FALSE(page.end);
  EXPECT_EQ(page.through, 6U);
  EXPECT_THAT(globals({.of = {{"b-1"}, {"a-1"}}, .from = 7}), ElementsAre(7, 9, 10, 12));
  EXPECT_TRUE(page.end);
  EXPECT_EQ(page.through, 12U);
  EXPECT_EQ(page.first, 1U);
  EXPECT_EQ(page.last, 12U);
  // Behind the last one of a stream there is nothing of it, up to the last one of all.
  for (uint64_t from = 1; from <= 13; ++from)
    EXPECT_EQ(globals({.of = {{"a-2"}}, .from = from}).size(), (14 - from) / 3) << from;
  EXPECT_EQ(page.through, 12U);
  EXPECT_THAT(globals({.since_us = 4'500'000}), SizeIs(8));
  EXPECT_EQ(page.from, 5U);
  // The last ones first.
  EXPECT_THAT(globals({.of = {{"a-1"}}, .from_position = 3, .backwards = true, .events_max = 2}),
              ElementsAre(7, 4));
  EXPECT_FALSE(page.end);
  EXPECT_THAT(globals({.of = {{"a-1"}}, .from_position = 1, .backwards = true, .events_max = 2}),
              ElementsAre(1));
  EXPECT_TRUE(page.end);
}

TEST_F(SqliteStoreTest, PagesAndAppendsGoOnBesideEachOther) {
  Opened opened(options_for(file_));
  for (uint64_t i = 1; i <= 200; ++i) {
    opened.append(positions_.batch("a-1", 10));
    if (i % 10 == 0) {
      opened.user.wait_for_answers(i);
      EXPECT_THAT(opened.page({.from = 10 * i - 99}), SizeIs(100));
    }
  }
}

TEST_F(SqliteStoreTest, HistoryIsTrimmedByNumberAndVersionsStay) {
  SqliteStoreOptions options = options_for(file_);
  options.history.events_max = 50;
  {
    Opened opened(options);
    opened.append(positions_.batch("old-1", 3));
    for (size_t i = 2; i <= 101; ++i) {
      opened.append(positions_.batch("a-1"));
      opened.user.wait_for_answers(i);
    }
  }
  Opened opened(options);
  EXPECT_EQ(opened.head->first_global_position, 54U);
  EXPECT_EQ(opened.head->last_global_position, 103U);
  EXPECT_THAT(opened.loaded.events, SizeIs(50));
  EXPECT_THAT(opened.loaded.versions, UnorderedElementsAre(Pair("old-1", 2), Pair("a-1", 99)));
  // A stream of which nothing is left goes on where it was.
  opened.append(positions_.batch("old-1"));
  EXPECT_EQ(opened.user.last_answer(1), StoreOutcome::kDurable);
}

TEST_F(SqliteStoreTest, HistoryIsTrimmedBehindARestartAsBefore) {
  SqliteStoreOptions options = options_for(file_);
  options.history.events_max = 50;
  {
    Opened opened(options);
    for (size_t i = 1; i <= 13; ++i) {
      opened.append(positions_.batch("a-1", 100));
      opened.user.wait_for_answers(i);
    }
  }
  Opened opened(options);
  opened.append(positions_.batch("a-1", 10));
  opened.user.wait_for_answers(1);
  EXPECT_THAT(opened.page({}), SizeIs(50));
}

// As much is kept as there is room for, whatever the size of an event.
TEST_F(SqliteStoreTest, HistoryIsTrimmedByBytes) {
  for (size_t event_bytes : {1'000, 50'000}) {
    const std::string file = folder_.file(std::to_string(event_bytes) + ".db");
    const size_t limit = event_bytes == 1'000 ? 1'000'000 : 10'000'000;
    const size_t batch = limit / event_bytes / 20;
    SqliteStoreOptions options = options_for(file);
    options.history.bytes_max = limit;
    Positions positions;
    for (size_t run = 1; run <= 3; ++run) {
      Opened opened(options);
      for (size_t i = 1; i <= 19; ++i) {
        std::vector<Event> events;
        for (size_t j = 0; j < batch; ++j)
          events.push_back(positions.next("a-1", std::string(event_bytes, 'x')));
        opened.append(std::make_unique<Batch>(std::move(events)));
        opened.user.wait_for_answers(i);
      }
      size_t kept = positions.last() - static_cast<size_t>(opened.page({}).front().global_position);
      EXPECT_LE(kept * event_bytes, limit) << run;
      EXPECT_GT(kept * event_bytes, limit / 2) << run;
    }
    EXPECT_EQ(Opened(options).loaded.versions["a-1"], positions.last() - 1);
  }
}

// Many small ones take no large ones' places.
TEST_F(SqliteStoreTest, HistoryIsTrimmedByTheBytesThatEachHas) {
  SqliteStoreOptions options = options_for(file_);
  options.history.bytes_max = 5'000'000;
  Opened opened(options);
  auto large = [&] {
    std::vector<Event> event{positions_.next("a-1", std::string(100'000, 'x'))};
    opened.append(std::make_unique<Batch>(std::move(event)));
  };
  for (int i = 0; i < 30; ++i) large();
  opened.append(positions_.batch("b-1", 1000));
  opened.user.wait_for_answers(31);
  EXPECT_EQ(opened.page({}).front().global_position, 1U);
  for (int i = 0; i < 30; ++i) large();
  opened.user.wait_for_answers(61);
  uint64_t first = opened.page({}).front().global_position;
  EXPECT_GT(first, 10U);
  EXPECT_LT(first, 20U);
}

TEST_F(SqliteStoreTest, HistoryIsTrimmedByAgeAndTheNewestStays) {
  SqliteStoreOptions options = options_for(file_);
  {
    Opened opened(options);
    opened.append(positions_.batch("a-1", 10));  // of 1970
    Event young = positions_.next("a-1");
    young.time_us = static_cast<int64_t>(wall_clock_ms()) * 1000;
    opened.append(std::make_unique<Batch>(std::vector{young}));
  }
  options.history.age_us_max = 3'600'000'000;
  {
    Opened opened(options);
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
    EXPECT_THAT(opened.page({}), SizeIs(2));
  }
  options.history.age_us_max = 1;
  Opened opened(options);
  opened.append(positions_.batch("a-1"));
  opened.user.wait_for_answers(1);
  opened.append(positions_.batch("a-1"));
  opened.user.wait_for_answers(2);
  EXPECT_THAT(opened.page({}), SizeIs(2));
}

TEST_F(SqliteStoreTest, HistoryIsTrimmedByAgeWhereNothingMoreComes) {
  SqliteStoreOptions options = options_for(file_);
  options.history.age_us_max = 3'600'000'000;
  Opened opened(options);
  opened.append(positions_.batch("a-1", 10));  // of 1970
  opened.user.wait_for_answers(1);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (opened.page({}).size() > 1 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_THAT(opened.page({}), SizeIs(1));
}

TEST_F(SqliteStoreTest, TheLogIsEmptiedAsItGrows) {
  Opened opened(options_for(file_));
  for (size_t i = 1; i <= 60; ++i) {
    std::vector<Event> events;
    for (int j = 0; j < 100; ++j)
      events.push_back(positions_.next("a-1", std::string(10'000, 'x')));
    opened.append(std::make_unique<Batch>(std::move(events)));
    opened.user.wait_for_answers(i);
  }
  EXPECT_LT(std::filesystem::file_size(file_ + "-wal"), 10'000'000U);  // of 60 MB that went through
}

TEST_F(SqliteStoreTest, PeopleReadMessageDbsColumns) {
  std::vector<Event> events = {positions_.next("account-1", "{\"a\":1}"), positions_.next("b-1+2")};
  events[0].message_id = "936da01f-9abd-4d9d-80c7-02af85c822a8";
  events[0].metadata = "{}";
  events[0].time_us = 1'700'000'000'000'007;
  Opened opened(options_for(file_));
  opened.append(std::make_unique<Batch>(events));
  opened.user.wait_for_answers(1);
  // Beside us, and read-only.
  sqlite3* db = nullptr;
  EXPECT_THAT(
      query("SELECT * FROM messages WHERE stream_name = 'account-1'", SQLITE_OPEN_READWRITE),
      ElementsAre("1|0|2023-11-14T22:13:20.000007Z|account-1|Happened|{\"a\":1}|{}|"
                  "936da01f-9abd-4d9d-80c7-02af85c822a8|NULL"));
  sqlite3_close(db);
}

TEST_F(SqliteStoreTest, ReadsGoByIndexes) {
  Opened(options_for(file_)).append(positions_.batch("a-1"));
  for (const char* where : {"stream_id = 1 AND position >= 0 ORDER BY position",
                            "category_id = 1 AND global_position >= 0 ORDER BY global_position",
                            "global_position >= 5 ORDER BY global_position"}) {
    std::string sql = std::string("EXPLAIN QUERY PLAN SELECT * FROM events WHERE ") + where;
    std::vector<std::string> plan = query(sql);
    ASSERT_THAT(plan, SizeIs(1)) << where;
    EXPECT_THAT(plan[0], HasSubstr("SEARCH events USING")) << where;
  }
}

// Files that are not ours, or not any more: a line, and they stay as they are.

TEST_F(SqliteStoreTest, AFileIsForOneStoreAtATime) {
  {
    Opened first(options_for(file_));
    Opened second(options_for(file_));
    EXPECT_FALSE(second.head);
    EXPECT_THAT(second.error, HasSubstr("is locked: another hub works with this store"));
    EXPECT_TRUE(first.append(positions_.batch("a-1")));
  }
  Opened third(options_for(file_));
  ASSERT_TRUE(third.head) << third.error;
  EXPECT_EQ(third.head->last_global_position, 1U);
}

// Two writers of one file lose pages, and each of them gives positions that the other gives, too.
TEST_F(SqliteStoreTest, AFileIsOneWhateverItIsCalled) {
  std::filesystem::create_symlink("hub.db", folder_.file("relative.db"));
  std::filesystem::create_symlink(folder_.file("relative.db"), folder_.file("link.db"));
  {
    Opened first(options_for(folder_.file("link.db")));  // which makes it
    EXPECT_TRUE(first.append(positions_.batch("a-1")));
    for (const char* name : {"hub.db", "relative.db", "link.db"}) {
      Opened second(options_for(folder_.file(name)));
      EXPECT_FALSE(second.head) << name;
      EXPECT_THAT(second.error, HasSubstr("hub.db-lock is locked: another hub")) << name;
    }
  }
  EXPECT_EQ(Opened(options_for(file_)).head->last_global_position, 1U);
  {
    Opened first(options_for(file_));
    std::filesystem::create_hard_link(file_, folder_.file("hard.db"));
    Opened hard(options_for(folder_.file("hard.db")));
    EXPECT_THAT(hard.error, HasSubstr("hard.db cannot be used: it has several names"));
    EXPECT_TRUE(first.append(positions_.batch("a-1")));
    EXPECT_EQ(first.user.last_answer(1), StoreOutcome::kDurable);
  }
  std::filesystem::create_symlink("one.db", folder_.file("two.db"));
  std::filesystem::create_symlink("two.db", folder_.file("one.db"));
  EXPECT_FALSE(Opened(options_for(folder_.file("one.db"))).head);
}

TEST_F(SqliteStoreTest, ATextIsNoStore) {
  write("hub.db", "something that somebody has written by hand");
  Opened opened(options_for(file_));
  EXPECT_FALSE(opened.head);
  EXPECT_THAT(opened.error, HasSubstr("hub.db cannot be used: it is no SQLite database"));
  EXPECT_EQ(content("hub.db"), "something that somebody has written by hand");
}

TEST_F(SqliteStoreTest, AnotherProgramsDatabaseIsNoStore) {
  query("CREATE TABLE bookmarks (url)");
  std::string before = content("hub.db");
  Opened opened(options_for(file_));
  EXPECT_FALSE(opened.head);
  EXPECT_THAT(opened.error, HasSubstr("it is another program's database"));
  EXPECT_EQ(content("hub.db"), before);
}

TEST_F(SqliteStoreTest, ALaterSchemaIsNotTouched) {
  { Opened opened(options_for(file_)); }
  query("PRAGMA user_version = 2");
  Opened opened(options_for(file_));
  EXPECT_FALSE(opened.head);
  EXPECT_THAT(opened.error, HasSubstr("its schema has number 2, and this version knows 1 alone"));
}

TEST_F(SqliteStoreTest, AFolderIsNoStore) {
  std::filesystem::create_directory(file_);
  Opened opened(options_for(file_));
  EXPECT_FALSE(opened.head);
  EXPECT_THAT(opened.error, HasSubstr("hub.db cannot be used: EISDIR"));
}

TEST_F(SqliteStoreTest, AFolderThatIsNotThereIsTold) {
  Opened opened(options_for(folder_.file("no/hub.db")));
  EXPECT_FALSE(opened.head);
  EXPECT_THAT(opened.error, HasSubstr("cannot be made: ENOENT"));
}

// Every page in turn: a damaged store is told at the start, or where it is read, or nothing of it
// was needed. It never crashes, and never gives other events for true.
TEST_F(SqliteStoreTest, DamagedPagesAreTold) {
  std::vector<Event> events;
  {
    Opened opened(options_for(file_));
    for (int i = 0; i < 300; ++i) events.push_back(positions_.next("a-" + std::to_string(i % 20)));
    opened.append(std::make_unique<Batch>(events));
    opened.user.wait_for_answers(1);
  }
  std::string whole = content("hub.db");
  ASSERT_GT(whole.size(), 10U * 4096);
  size_t told = 0;
  for (size_t page = 0; page * 4096 < whole.size(); ++page) {
    std::string damaged = whole;
    for (size_t at = page == 0 ? 100 : 0; at < 4096; ++at) damaged[page * 4096 + at] = '\x5A';
    std::filesystem::remove(file_ + "-wal");
    std::filesystem::remove(file_ + "-shm");
    write("hub.db", damaged);
    Opened opened(options_for(file_));
    if (!opened.head) {
      ++told;
      EXPECT_THAT(opened.error, HasSubstr("left as it is")) << page;
    } else {
      EXPECT_EQ(opened.loaded.events, events) << page;
    }
  }
  EXPECT_GT(told, 5U);
}

// Its rows are all read at the start, and are whole: only the writer needs the index.
class DamagedIndexTest : public SqliteStoreTest {
 protected:
  DamagedIndexTest() {
    {
      Opened opened(options_for(file_));
      opened.append(positions_.batch("a-1"));
      opened.append(positions_.batch("a-1"));
    }
    std::string root = "SELECT rootpage FROM sqlite_schema WHERE name = 'events_of_category'";
    size_t page = std::stoul(query(root).at(0)) - 1;
    std::string damaged = content("hub.db");
    damaged.replace(page * 4096, 4096, 4096, '\x5A');
    write("hub.db", damaged);
  }
};

TEST_F(DamagedIndexTest, IsFoundWhileWritingAndForGood) {
  Opened opened(options_for(file_));
  ASSERT_TRUE(opened.head) << opened.error;
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(1), StoreOutcome::kFailed);
  EXPECT_EQ(opened.user.wait_for_states(1)[0].first, StoreState::kBroken);
  // What is there is still read.
  EXPECT_THAT(opened.page({}), SizeIs(2));
}

TEST_F(DamagedIndexTest, IsToldThoughTheDiskIsFull) {
  SqliteStoreOptions options = options_for(file_);
  options.room = {0, uint64_t{1} << 60};  // no disk has that
  options.history.age_us_max = 1;
  Opened opened(options);
  EXPECT_EQ(opened.user.wait_for_states(2)[1].first, StoreState::kBroken);
}

TEST_F(SqliteStoreTest, ATornFileIsTold) {
  {
    Opened opened(options_for(file_));
    opened.append(positions_.batch("a-1", 500));
  }
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) / 2);
  Opened opened(options_for(file_));
  EXPECT_FALSE(opened.head);
  EXPECT_THAT(opened.error, HasSubstr("left as it is"));
}

// The epoch. A store that ends in order keeps it; the tests of kills have the other ways to end.

TEST_F(SqliteStoreTest, TheEpochStaysOverRestartsInOrder) {
  std::vector<HubEpoch> epochs;
  for (StoreAck ack : {StoreAck::kDisk, StoreAck::kMemory, StoreAck::kMemory, StoreAck::kDisk}) {
    Opened opened(options_for(file_, ack));
    opened.append(positions_.batch("a-1"));
    epochs.push_back(opened.head->epoch);
  }
  EXPECT_THAT(epochs, ElementsAre(epochs[0], epochs[0], epochs[0], epochs[0]));
}

TEST_F(SqliteStoreTest, TheEpochIsNewWhereWhatWasShownCouldNotBeWritten) {
  HubEpoch epoch = Opened(options_for(file_, StoreAck::kMemory)).head->epoch;
  {
    SqliteStoreOptions options = options_for(file_, StoreAck::kMemory);
    options.room.min_bytes = UINT64_MAX / 2;
    Opened opened(options);
    EXPECT_EQ(opened.head->epoch, epoch);
    opened.append(positions_.batch("a-1"));
  }
  EXPECT_NE(Opened(options_for(file_)).head->epoch, epoch);
}

TEST_F(SqliteStoreTest, TheEpochIsThatOfItsFile) {
  EXPECT_NE(Opened(options_for(file_)).head->epoch,
            Opened(options_for(folder_.file("other.db"))).head->epoch);
}

}  // namespace
}  // namespace sluice::test
