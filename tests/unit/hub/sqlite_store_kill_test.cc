// A process with a store is killed (SIGKILL) at random moments while it is under load, many times
// over on one file. What it had said to be durable is there each time, in its place, and once.
#include <csignal>
#include <map>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/random.h"
#include "tests/unit/hub/store_testing.h"

namespace sluice::test {
namespace {

constexpr int kKills = 20;
constexpr size_t kUnderWayMax = 16;

// What the process says of a batch, in one write: it is there as a whole or not at all.
struct Word {
  uint64_t first_global;
  uint64_t last_global;
};

// In the process that is killed: says what is durable.
class Teller final : public StoreUser {
 public:
  explicit Teller(int pipe) : pipe_(pipe) {}

  void on_appended(std::unique_ptr<StoreBatch> batch, StoreOutcome outcome) override {
    if (outcome != StoreOutcome::kDurable) _exit(1);
    Word word{batch->events.front().global_position, batch->events.back().global_position};
    if (write(pipe_, &word, sizeof(word)) != sizeof(word)) _exit(2);
    std::lock_guard guard(lock_);
    --under_way_;
    wake_.notify_one();
  }
  void on_page(uint64_t /*id*/, StorePage /*page*/) override {}
  void on_state(StoreState /*state*/, const std::string& /*reason*/) override { _exit(3); }

  void wait_for_room() {
    std::unique_lock guard(lock_);
    wake_.wait(guard, [this] { return under_way_ < kUnderWayMax; });
    ++under_way_;
  }

 private:
  const int pipe_;
  std::mutex lock_;
  std::condition_variable wake_;
  size_t under_way_ = 0;
};

// An event's content follows from its place, so that it can be checked.
Event event_at(uint64_t global, const std::string& stream, uint64_t position) {
  Event event;
  event.stream = stream;
  event.position = position;
  event.global_position = global;
  event.data = std::to_string(global * 7919) + std::string(global % 300, 'x');
  event.message_id = std::to_string(global);
  event.time_us = static_cast<int64_t>(global);
  return event;
}

[[noreturn]] void publish_until_killed(const SqliteStoreOptions& options, int pipe, uint64_t seed) {
  Teller teller(pipe);
  Loaded loaded;
  SqliteStore store(options, teller);
  std::string error;
  std::optional<StoreHead> head = store.load(loaded, error);
  if (!head) {
    (void)fprintf(stderr, "%s\n", error.c_str());
    _exit(4);
  }
  Random random(seed);
  std::map<std::string, uint64_t> next;
  for (const auto& [stream, version] : loaded.versions) next[stream] = version + 1;
  uint64_t global = head->last_global_position;
  for (;;) {
    teller.wait_for_room();
    std::vector<Event> events;
    for (uint64_t count = random.between(1, 20); count > 0; --count) {
      std::string stream = "load-" + std::to_string(random.between(1, 30));
      events.push_back(event_at(++global, stream, next[stream]++));
    }
    std::vector<StoredConsumer> consumers = {{"c", global, global}};
    std::unique_ptr<StoreBatch> batch = std::make_unique<Batch>(events, consumers);
    if (!store.append(batch)) _exit(5);
  }
}

class StoreKillTest : public ::testing::TestWithParam<StoreAck> {
 protected:
  // What the process has said to be durable, up to its end.
  uint64_t run_and_kill(Random& random) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    uint64_t seed = random.next();
    pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      publish_until_killed(options_, ends[1], seed);
    }
    close(ends[1]);
    uint64_t durable = 0;
    Word word{};
    uint64_t words = random.between(0, 400);
    answered_ = words > 0;
    // Between two answers at random, and somewhere in what follows.
    for (; words > 0 && read(ends[0], &word, sizeof(word)) == sizeof(word); --words) {
      EXPECT_GT(word.first_global, durable);
      durable = word.last_global;
    }
    EXPECT_EQ(words, 0U) << "it has ended by itself";
    usleep(static_cast<useconds_t>(random.between(0, 3000)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    while (read(ends[0], &word, sizeof(word)) == sizeof(word)) durable = word.last_global;
    close(ends[0]);
    return durable;
  }

  Folder folder_;
  SqliteStoreOptions options_ = options_for(folder_.file("hub.db"), GetParam());
  bool answered_ = false;  // the process that was killed last
};

TEST_P(StoreKillTest, WhatWasDurableIsThereOnce) {
  auto seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed());
  if (seed == 0) seed = static_cast<uint64_t>(getpid());
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  HubEpoch epoch = Opened(options_).head->epoch;
  uint64_t before = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    uint64_t durable = std::max(before, run_and_kill(random));
    Opened opened(options_);
    ASSERT_TRUE(opened.head) << opened.error;
    // With subscribers that have seen what is durable alone, nothing can be missing.
    if (GetParam() == StoreAck::kDisk) {
      EXPECT_EQ(opened.head->epoch, epoch);
    } else if (answered_) {  // else it may have ended before it could show anything
      EXPECT_NE(opened.head->epoch, epoch);
    }
    epoch = opened.head->epoch;
    ASSERT_GE(opened.head->last_global_position, durable) << "acknowledged and lost";
    before = opened.head->last_global_position;
    std::map<std::string, uint64_t> next;
    uint64_t global = 0;
    for (const Event& event : opened.loaded.events) {
      ASSERT_EQ(event, event_at(++global, event.stream, next[event.stream]++));
    }
    ASSERT_EQ(global, before);
    ASSERT_EQ(opened.loaded.ids.size(), before);
    for (const auto& [stream, version] : opened.loaded.versions)
      ASSERT_EQ(version + 1, next[stream]);
    if (before > 0) {
      // Of the batch that was durable last, so in step with the events.
      EXPECT_EQ(opened.loaded.consumers["c"].first, before);
    }
  }
  EXPECT_GT(before, 0U);
}

// Somebody has removed the log of a process that was killed: what was in it is lost, and seen.
TEST_P(StoreKillTest, ALogThatIsGoneMakesANewEpoch) {
  HubEpoch epoch = Opened(options_).head->epoch;
  Random random(1);
  run_and_kill(random);
  std::filesystem::remove(options_.file + "-wal");
  EXPECT_NE(Opened(options_).head->epoch, epoch);
}

TEST_P(StoreKillTest, TheLockGoesWithItsHolder) {
  Random random(2);
  run_and_kill(random);
  Opened opened(options_);
  EXPECT_TRUE(opened.head) << opened.error;
}

INSTANTIATE_TEST_SUITE_P(Acks, StoreKillTest, ::testing::Values(StoreAck::kDisk, StoreAck::kMemory),
                         [](const auto& tested) {
                           return tested.param == StoreAck::kDisk ? "Disk" : "Memory";
                         });

}  // namespace
}  // namespace sluice::test
