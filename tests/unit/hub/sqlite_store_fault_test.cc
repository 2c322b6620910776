// A store on a disk that is full, or that fails. Nothing here waits for a time: tests wait for what
// the store says, and it tries again by itself.
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/hub/fault_vfs.h"
#include "tests/unit/hub/store_testing.h"

namespace sluice::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using enum StoreOutcome;

class StoreFaultTest : public ::testing::Test {
 protected:
  StoreFaultTest() : file_(folder_.file("hub.db")) { Faults::install(); }
  ~StoreFaultTest() override { Faults::install(); }

  SqliteStoreOptions options(StoreAck ack = StoreAck::kDisk) const {
    SqliteStoreOptions options = options_for(file_, ack);
    options.vfs = Faults::kName;
    return options;
  }
  std::vector<uint64_t> stored() const {
    std::vector<uint64_t> all;
    for (const Event& event : Opened(options()).loaded.events) all.push_back(event.global_position);
    return all;
  }

  Folder folder_;
  std::string file_;
  Positions positions_;
  Faults& faults_ = Faults::get();
};

// The commit is in the log although its sync has failed: it is found there, and is good.
TEST_F(StoreFaultTest, ACommitInDoubtThatIsThereIsAnswered) {
  {
    Opened opened(options());
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
    faults_.log_syncs_that_fail = 1;
    opened.append(positions_.batch("a-1"));
    EXPECT_THAT(opened.user.wait_for_answers(2), ElementsAre(Pair(1, kDurable), Pair(2, kDurable)));
    auto states = opened.user.wait_for_states(2);
    EXPECT_EQ(states[0].first, StoreState::kFailed);
    EXPECT_THAT(states[0].second, HasSubstr("SQLite 1034"));
    EXPECT_EQ(states[1].first, StoreState::kReady);
    opened.append(positions_.batch("a-1"));
    EXPECT_EQ(opened.user.last_answer(3), kDurable);
  }
  EXPECT_THAT(stored(), ElementsAre(1, 2, 3));
}

// The disk has dropped what it could not write.
TEST_F(StoreFaultTest, ACommitInDoubtThatIsNotThereIsRefusedAndItsPositionsAreFree) {
  {
    Opened opened(options());
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
    faults_.log_loses_writes = true;
    faults_.log_syncs_that_fail = 1;
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_states(1);
    faults_.log_loses_writes = false;
    EXPECT_EQ(opened.user.last_answer(2), kFailed);
    opened.user.wait_for_states(2);
    positions_.take_back({"a-1", 1, 2});
    opened.append(std::make_unique<Batch>(std::vector{positions_.next("b-1", "another")}));
    EXPECT_EQ(opened.user.last_answer(3), kDurable);
  }
  Opened again(options());
  ASSERT_THAT(again.loaded.events, SizeIs(2));
  EXPECT_EQ(again.loaded.events[1].data, "another");
  EXPECT_EQ(again.loaded.versions["a-1"], 0U);
}

// Nobody can tell whether a row is there or was there before: it is written again. It may be there
// already, where what was in doubt is.
TEST_F(StoreFaultTest, ACommitInDoubtWithoutEventsIsWrittenAgain) {
  for (bool lost : {false, true}) {
    const std::string id = lost ? "lost" : "there";
    {
      Opened opened(options());
      faults_.log_loses_writes = lost;
      faults_.log_syncs_that_fail = 1;
      opened.append(
          std::make_unique<Batch>(std::vector<Event>(), std::vector{StoredConsumer{id, 5, 1}}));
      opened.user.wait_for_states(1);
      faults_.log_loses_writes = false;
      EXPECT_EQ(opened.user.last_answer(1), kDurable);
    }
    Opened again(options());
    EXPECT_EQ(again.loaded.consumers[id], std::pair(uint64_t{5}, uint64_t{1}));
  }
}

// Those behind a commit in doubt are answered behind it, and only when it is known.
TEST_F(StoreFaultTest, ADiskThatGoesOnFailingAnswersNothingThatItDoesNotKnow) {
  Opened opened(options());
  HubEpoch epoch = opened.head->epoch;
  opened.append(positions_.batch("a-1"));
  opened.user.wait_for_answers(1);
  faults_.nothing_opens = true;
  faults_.log_syncs_that_fail = 1;
  opened.append(positions_.batch("a-1"));
  opened.user.wait_for_states(1);
  EXPECT_EQ(opened.store->state(), StoreState::kFailed);
  opened.append(positions_.batch("a-1"));
  faults_.nothing_opens = false;
  User::Answers answers = opened.user.wait_for_answers(3);
  EXPECT_THAT(answers, ElementsAre(Pair(1, kDurable), Pair(2, kDurable), Pair(3, kDurable)));
  opened.store.reset();
  Opened again(options());
  EXPECT_EQ(again.head->epoch, epoch);
  EXPECT_EQ(again.head->last_global_position, 3U);
}

TEST_F(StoreFaultTest, ShownAtOnceNothingIsRefused) {
  {
    Opened opened(options(StoreAck::kMemory));
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
    faults_.log_loses_writes = true;
    faults_.log_syncs_that_fail = 1;
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_states(1);
    opened.append(positions_.batch("a-1"));
    faults_.log_loses_writes = false;
    EXPECT_THAT(opened.user.wait_for_answers(3),
                ElementsAre(Pair(1, kDurable), Pair(2, kDurable), Pair(3, kDurable)));
  }
  EXPECT_THAT(stored(), ElementsAre(1, 2, 3));
}

TEST_F(StoreFaultTest, ReadsGoOnWhileTheDiskTakesNothing) {
  Opened opened(options());
  opened.append(positions_.batch("a-1", 5));
  opened.user.wait_for_answers(1);
  faults_.full = true;
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(2), kFull);
  EXPECT_THAT(opened.page({}), SizeIs(5));
}

TEST_F(StoreFaultTest, ReadsGoOnBehindAFailure) {
  Opened opened(options());
  opened.append(positions_.batch("a-1", 5));
  opened.user.wait_for_answers(1);
  EXPECT_THAT(opened.page({}), SizeIs(5));
  faults_.log_syncs_that_fail = 1;
  opened.append(positions_.batch("a-1"));
  opened.user.wait_for_answers(2);
  EXPECT_THAT(opened.page({}), SizeIs(6));
}

// What had been acknowledged is not there any more: it stops, and the next start tells subscribers.
TEST_F(StoreFaultTest, ADiskThatLiesIsFoundOut) {
  HubEpoch epoch;
  {
    Opened opened(options());
    epoch = opened.head->epoch;
    faults_.log_loses_writes = true;  // and says that all is well
    opened.append(positions_.batch("a-1"));
    EXPECT_EQ(opened.user.last_answer(1), kDurable);
    faults_.log_syncs_that_fail = 1;
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_states(1);
    faults_.log_loses_writes = false;
    EXPECT_EQ(opened.user.last_answer(2), kFailed);
    EXPECT_EQ(opened.store->state(), StoreState::kBroken);
    opened.append(positions_.batch("a-1"));
    EXPECT_EQ(opened.user.last_answer(3), kFailed);
  }
  EXPECT_NE(Opened(options()).head->epoch, epoch);
}

// A checkpoint that fails has lost nothing: all of it is in the log.
TEST_F(StoreFaultTest, ACheckpointThatFailsIsRepeated) {
  Opened opened(options(StoreAck::kMemory));
  faults_.file_syncs_that_fail = 1;
  size_t batches = 0;
  while (faults_.file_syncs_that_fail > 0) {
    std::vector<Event> events;
    for (int i = 0; i < 500; ++i) events.push_back(positions_.next("a-1", std::string(2000, 'x')));
    opened.append(std::make_unique<Batch>(std::move(events)));
    opened.user.wait_for_answers(++batches);
  }
  auto states = opened.user.wait_for_states(2);
  EXPECT_EQ(states[0].first, StoreState::kFailed);
  EXPECT_EQ(states[1].first, StoreState::kReady);
  for (auto [global, outcome] : opened.user.wait_for_answers(batches)) EXPECT_EQ(outcome, kDurable);
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(batches + 1), kDurable);
}

TEST_F(StoreFaultTest, AFullDiskRefusesAndGoesOnByItself) {
  {
    Opened opened(options());
    faults_.full = true;
    opened.append(positions_.batch("a-1"));
    EXPECT_EQ(opened.user.last_answer(1), kFull);
    EXPECT_EQ(opened.user.wait_for_states(1)[0].first, StoreState::kFull);
    EXPECT_EQ(opened.store->state(), StoreState::kFull);
    // One that was on its way.
    opened.append(positions_.batch("a-1"));
    EXPECT_EQ(opened.user.last_answer(2), kFull);
    faults_.full = false;
    EXPECT_THAT(opened.user.wait_for_states(2).back(), Pair(StoreState::kReady, ""));
    positions_.take_back({"a-1", 0, 1});
    opened.append(positions_.batch("a-1"));
    EXPECT_EQ(opened.user.last_answer(3), kDurable);
  }
  EXPECT_THAT(stored(), ElementsAre(1));
}

TEST_F(StoreFaultTest, AFullDiskKeepsWhatWasShownUntilThereIsRoom) {
  Opened opened(options(StoreAck::kMemory));
  faults_.full = true;
  for (int i = 0; i < 3; ++i) opened.append(positions_.batch("a-1"));
  opened.user.wait_for_states(1);
  faults_.full = false;
  User::Answers answers = opened.user.wait_for_answers(3);
  EXPECT_THAT(answers, ElementsAre(Pair(1, kDurable), Pair(2, kDurable), Pair(3, kDurable)));
}

// A stream whose first event was refused is not known to the store.
TEST_F(StoreFaultTest, NamesOfRefusedEventsAreForgotten) {
  {
    Opened opened(options());
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
    faults_.full = true;
    std::vector<Event> events = {positions_.next("new-1", std::string(20'000'000, 'x'))};
    Event first = events[0];
    opened.append(std::make_unique<Batch>(std::move(events)));
    EXPECT_EQ(opened.user.last_answer(2), kFull);
    faults_.full = false;
    opened.user.wait_for_states(2);
    positions_.take_back(first);
    opened.append(positions_.batch("new-1"));
    EXPECT_EQ(opened.user.last_answer(3), kDurable);
  }
  Opened again(options());
  EXPECT_EQ(again.loaded.versions["new-1"], 0U);
  EXPECT_EQ(again.loaded.events[1].stream, "new-1");
}

// Another program's connection to the file, which writes in it for as long as it is told to.
class Shell {
 public:
  explicit Shell(const std::string& file) {
    EXPECT_EQ(sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  }
  ~Shell() { sqlite3_close(db_); }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  void run(const char* sql) {
    EXPECT_EQ(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
  }

 private:
  sqlite3* db_ = nullptr;
};

// For longer than a commit waits for it.
TEST_F(StoreFaultTest, AnotherProgramThatWritesOnlyDelays) {
  for (StoreAck ack : {StoreAck::kDisk, StoreAck::kMemory}) {
    Opened opened(options(ack));
    Shell shell(file_);
    shell.run("BEGIN IMMEDIATE");
    std::unique_ptr<StoreBatch> batch = positions_.batch("a-1");
    Event event = Event::of(batch->events.front());
    opened.append(std::move(batch));
    auto states = opened.user.wait_for_states(1);
    EXPECT_EQ(states[0].first, StoreState::kFailed);
    EXPECT_THAT(states[0].second, HasSubstr("locked"));
    shell.run("COMMIT");
    EXPECT_THAT(opened.user.wait_for_states(2).back(), Pair(StoreState::kReady, ""));
    size_t answers = 1;
    if (ack == StoreAck::kDisk) {
      EXPECT_EQ(opened.user.last_answer(answers++), kFailed);
      positions_.take_back(event);
      opened.append(positions_.batch("a-1"));
    }
    EXPECT_EQ(opened.user.last_answer(answers), kDurable);
  }
  EXPECT_THAT(stored(), ElementsAre(1, 2));
}

TEST_F(StoreFaultTest, ALimitOfFileSizesIsAFullDisk) {
  (void)std::signal(SIGXFSZ, SIG_IGN);
  Opened opened(options());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 256 * 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::vector<Event> events;
  for (int i = 0; i < 300; ++i) events.push_back(positions_.next("a-1", std::string(2000, 'x')));
  Event first = events[0];
  opened.append(std::make_unique<Batch>(std::move(events)));
  EXPECT_EQ(opened.user.last_answer(1), kFull) << opened.user.wait_for_states(1)[0].second;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  opened.user.wait_for_states(2);
  positions_.take_back(first);
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(2), kDurable);
}

// A disk of its own, really full: a small tmpfs.
class SmallDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = folder_.file("");
    if (mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") != 0) {
      GTEST_SKIP() << "a tmpfs cannot be mounted here";
    }
    mounted_ = true;
    options_ = options_for(folder_.file("hub.db"));
    options_.room = {1 << 20, 1 << 19};
  }
  ~SmallDiskTest() override {
    if (mounted_) umount2(folder_.file("").c_str(), MNT_DETACH);
  }

  // Somebody else's file takes the room, but for so much.
  void fill(uint64_t but_for) const {
    struct statvfs disk {};
    ASSERT_EQ(statvfs(folder_.file("").c_str(), &disk), 0);
    uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
    ASSERT_GT(free, but_for);
    int fd = open(folder_.file("filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(posix_fallocate(fd, 0, static_cast<off_t>(free - but_for)), 0);
    close(fd);
  }
  void make_room() const { unlink(folder_.file("filler").c_str()); }

  Folder folder_;
  bool mounted_ = false;
  SqliteStoreOptions options_;
  Positions positions_;
};

TEST_F(SmallDiskTest, FillsAndGoesOn) {
  Opened opened(options_);
  std::vector<std::pair<uint64_t, StoreOutcome>> answers;
  Event first;
  do {
    std::vector<Event> events;
    for (int i = 0; i < 50; ++i) events.push_back(positions_.next("a-1", std::string(1000, 'x')));
    first = events[0];
    opened.append(std::make_unique<Batch>(std::move(events)));
    answers = opened.user.wait_for_answers(answers.size() + 1);
  } while (answers.back().second == kDurable);
  EXPECT_EQ(answers.back().second, kFull);
  EXPECT_GT(answers.size(), 5U);
  positions_.take_back(first);
  // What was there can be read, and the ballast has gone.
  EXPECT_THAT(opened.page({}), SizeIs(100));
  EXPECT_NE(access((options_.file + "-ballast").c_str(), F_OK), 0);
  EXPECT_EQ(opened.store->state(), StoreState::kFull);
  // More disk.
  ASSERT_EQ(mount("tmpfs", folder_.file("").c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
  opened.user.wait_for_states(2);
  opened.append(positions_.batch("a-1", 50));
  EXPECT_EQ(opened.user.last_answer(answers.size() + 1), kDurable);
  EXPECT_EQ(access((options_.file + "-ballast").c_str(), F_OK), 0);
}

TEST_F(SmallDiskTest, BeginsFullAndIsReadyWhenThereIsRoom) {
  {
    Opened opened(options_);
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
  }
  fill(100'000);
  Opened opened(options_);
  ASSERT_TRUE(opened.head) << opened.error;
  EXPECT_EQ(opened.store->state(), StoreState::kFull);
  EXPECT_THAT(opened.loaded.events, SizeIs(1));
  make_room();
  opened.user.wait_for_states(2);
  opened.append(positions_.batch("a-1"));
  EXPECT_EQ(opened.user.last_answer(1), kDurable);
}

// How long it is kept is a promise, too; where nothing else is left, in the ballast's room.
TEST_F(SmallDiskTest, HistoryThatIsTooOldGoesThoughTheDiskIsFull) {
  {
    Opened opened(options_);
    opened.append(positions_.batch("a-1", 1000));  // of 1970
    opened.user.wait_for_answers(1);
  }
  fill(60'000);
  options_.history.age_us_max = 3'600'000'000;
  Opened opened(options_);
  ASSERT_TRUE(opened.head) << opened.error;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (opened.page({}).size() > 1 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_THAT(opened.page({}), SizeIs(1));
  EXPECT_EQ(opened.store->state(), StoreState::kFull);
  EXPECT_THAT(opened.user.wait_for_states(1), SizeIs(1));
}

TEST_F(SmallDiskTest, OpensOnItsBallastWhereThereIsNoRoomAtAll) {
  HubEpoch epoch;
  {
    Opened opened(options_);
    epoch = opened.head->epoch;
    opened.append(positions_.batch("a-1"));
    opened.user.wait_for_answers(1);
  }
  fill(0);
  Opened opened(options_);
  ASSERT_TRUE(opened.head) << opened.error;
  EXPECT_EQ(opened.head->epoch, epoch);
  EXPECT_EQ(opened.store->state(), StoreState::kFull);
}

}  // namespace
}  // namespace sluice::test
