#include "core/loop.h"

#include <functional>
#include <poll.h>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/kernel_testing.h"

namespace sluice {
namespace {

using test::SocketPair;
using test::turn_until;

class TestTarget final : public OpTarget {
 public:
  explicit TestTarget(bool* destroyed = nullptr) : destroyed_(destroyed) {}
  ~TestTarget() override {
    if (destroyed_) *destroyed_ = true;
  }
  void on_completion(OpKind kind, const Completion& completion) override {
    kinds.push_back(kind);
    results.push_back(completion.result);
    if (then) then();
  }

  std::vector<OpKind> kinds;
  std::vector<int> results;
  std::function<void()> then;

 private:
  bool* destroyed_;
};

class TestTask final : public FlushTask {
 public:
  explicit TestTask(std::function<void()> run) : run_(std::move(run)) {}
  void on_flush() override { run_(); }

 private:
  std::function<void()> run_;
};

class TestHook final : public TurnHook {
 public:
  explicit TestHook(std::function<void()> run) : run_(std::move(run)) {}
  void on_turn_end() override { run_(); }

 private:
  std::function<void()> run_;
};

class TestTimer final : public TimerOwner {
 public:
  explicit TestTimer(std::function<void()> run) : run_(std::move(run)) {}
  void on_timer() override { run_(); }
  Timer timer{this};

 private:
  std::function<void()> run_;
};

class LoopTest : public testing::Test {
 protected:
  // An operation that completes in the next turn.
  void submit(uint32_t index, OpKind kind = OpKind::kWatch) {
    loop_.ring().poll(pair_.ours(), POLLOUT, loop_.begin(index, kind));
  }

  SocketPair pair_;
  std::unique_ptr<Ring> ring_ = test::make_ring();
  Loop loop_{*ring_};
};

TEST_F(LoopTest, ACompletionReachesItsTargetWithItsKind) {
  TestTarget one;
  TestTarget two;
  uint32_t first = loop_.attach(&one);
  uint32_t second = loop_.attach(&two);
  EXPECT_NE(first, second);
  submit(first, OpKind::kWatch);
  submit(second, OpKind::kSend);
  EXPECT_EQ(loop_.outstanding(first), 1U);
  EXPECT_EQ(loop_.operations(), 2U);
  turn_until(loop_, [this] { return loop_.operations() == 0; });
  EXPECT_EQ(one.kinds, std::vector{OpKind::kWatch});
  EXPECT_EQ(two.kinds, std::vector{OpKind::kSend});
  EXPECT_EQ(loop_.outstanding(first), 0U);
  EXPECT_EQ(loop_.counters().stale_completions, 0U);
}

TEST_F(LoopTest, ATargetsOperationIsNoLongerOutstandingWhenItHears) {
  TestTarget target;
  uint32_t index = loop_.attach(&target);
  unsigned outstanding = 9;
  target.then = [&] { outstanding = loop_.outstanding(index); };
  submit(index);
  turn_until(loop_, [&] { return !target.kinds.empty(); });
  EXPECT_EQ(outstanding, 0U);
}

TEST_F(LoopTest, APlaceIsUsedAgainUnderANewId) {
  TestTarget before;
  uint32_t index = loop_.attach(&before);
  uint64_t old_id = loop_.id_of(index, OpKind::kRecv);
  loop_.detach(index);
  TestTarget after;
  EXPECT_EQ(loop_.attach(&after), index);
  EXPECT_NE(loop_.id_of(index, OpKind::kRecv), old_id);
}

TEST_F(LoopTest, AnIdOfAnEarlierTargetReachesNobody) {
  TestTarget before;
  uint32_t index = loop_.attach(&before);
  uint64_t old_id = loop_.id_of(index, OpKind::kWatch);
  loop_.detach(index);
  loop_.ring().poll(pair_.ours(), POLLOUT, old_id);  // without begin(): what a bug would do
  turn_until(loop_, [this] { return loop_.counters().stale_completions == 1; });
  TestTarget after;
  loop_.attach(&after);
  loop_.ring().poll(pair_.ours(), POLLOUT, old_id);
  loop_.ring().poll(pair_.ours(), POLLOUT, old_id + 77);  // a place that never was
  turn_until(loop_, [this] { return loop_.counters().stale_completions == 3; });
  EXPECT_TRUE(before.kinds.empty());
  EXPECT_TRUE(after.kinds.empty());
}

TEST_F(LoopTest, ATargetWithOperationsIsNotDetached) {
  TestTarget target;
  uint32_t index = loop_.attach(&target);
  submit(index);
  EXPECT_DEATH(loop_.detach(index), "invariant broken");
  turn_until(loop_, [this] { return loop_.operations() == 0; });
}

TEST_F(LoopTest, TargetsMayAttachOthersWhileTheyHear) {
  std::vector<std::unique_ptr<TestTarget>> others;
  TestTarget target;
  target.then = [&] {
    for (int i = 0; i < 100; ++i) {
      others.push_back(std::make_unique<TestTarget>());
      submit(loop_.attach(others.back().get()));
    }
  };
  submit(loop_.attach(&target));
  turn_until(loop_, [&] { return loop_.operations() == 0; });
  for (auto& other : others) EXPECT_EQ(other->kinds.size(), 1U);
}

TEST_F(LoopTest, ACancelledOperationEndsUnderItsOwnId) {
  TestTarget target;
  uint32_t index = loop_.attach(&target);
  loop_.ring().poll(pair_.ours(), POLLIN, loop_.begin(index, OpKind::kWatch));
  loop_.turn(false);
  loop_.ring().cancel(loop_.id_of(index, OpKind::kWatch), loop_.begin(index, OpKind::kCancel));
  turn_until(loop_, [this] { return loop_.operations() == 0; });
  EXPECT_THAT(target.kinds, testing::UnorderedElementsAre(OpKind::kWatch, OpKind::kCancel));
}

TEST_F(LoopTest, FlushTasksRunOnceInTheOrderOfTheirCalls) {
  std::string ran;
  TestTask a([&] { ran += 'a'; });
  TestTask c([&] { ran += 'c'; });
  TestTask b([&] {
    ran += 'b';
    loop_.flush_later(c);  // in this same phase
  });
  loop_.flush_later(b);
  loop_.flush_later(a);
  loop_.flush_later(b);
  loop_.turn(false);
  EXPECT_EQ(ran, "bac");
  loop_.turn(false);
  EXPECT_EQ(ran, "bac");
  loop_.flush_later(a);
  loop_.turn(false);
  EXPECT_EQ(ran, "baca");
}

TEST_F(LoopTest, PhasesOfATurnFollowEachOther) {
  std::string phases;
  bool destroyed = false;
  uint64_t hook_turn = 0;
  uint64_t flush2_turn = 0;
  TestTask from_hook([&] {
    phases += " flush2";
    flush2_turn = loop_.counters().turns;
  });
  TestTask flush([&] { phases += " flush"; });
  TestHook hook([&] {
    if (phases.ends_with("flush")) {
      phases += " hook";
      hook_turn = loop_.counters().turns;
      loop_.flush_later(from_hook);
    }
  });
  loop_.add_turn_hook(hook);
  auto target = std::make_unique<TestTarget>(&destroyed);
  uint32_t index = loop_.attach(target.get());
  TestTimer timer([&] {
    phases += " timer";
    loop_.flush_later(flush);
  });
  target->then = [&] {
    phases += "dispatch";
    loop_.timers().schedule(timer.timer, loop_.now_ms());
    loop_.detach(index);
    loop_.destroy_later(std::move(target));
    EXPECT_FALSE(destroyed);
  };
  submit(index);
  turn_until(loop_, [&] { return phases.ends_with("flush2"); });
  EXPECT_EQ(phases, "dispatch timer flush hook flush2");
  EXPECT_EQ(flush2_turn, hook_turn);  // what a hook wakes does not wait for the next wake-up
  EXPECT_TRUE(destroyed);
}

TEST_F(LoopTest, ATurnWaitsForTheNextTimer) {
  bool fired = false;
  TestTimer timer([&] { fired = true; });
  uint64_t due_ms = loop_.now_ms() + 30;
  loop_.timers().schedule(timer.timer, due_ms);
  while (!fired) {
    ASSERT_LT(loop_.counters().turns, 10U) << "turns without anything to do";
    loop_.turn(true);
  }
  EXPECT_GE(loop_.now_ms(), due_ms);
  EXPECT_LT(loop_.now_ms(), due_ms + 1000);
}

TEST_F(LoopTest, DoesNotWaitWhereAnotherTurnIsAskedFor) {
  struct Never final : TimerOwner {
    void on_timer() override { fired = true; }
    bool fired = false;
    Timer timer{this};
  } guard;
  loop_.timers().schedule(guard.timer, loop_.now_ms() + 500);
  loop_.turn_again();
  loop_.turn(true);
  EXPECT_FALSE(guard.fired);
  int turns = 0;
  for (; !guard.fired && turns < 100; ++turns) loop_.turn(true);
  EXPECT_LT(turns, 100) << "asked for once, and spins";
}

TEST_F(LoopTest, GathersAfterTurnsThatHadWork) {
  loop_.set_latency_budget(LatencyBudget(1'000'000));
  loop_.turn(false);
  EXPECT_EQ(loop_.counters().gathered_turns, 0U) << "nothing came before";
  SocketPair pair;
  TestTarget target;
  uint32_t index = loop_.attach(&target);
  ring_->poll(pair.ours(), POLLOUT, loop_.begin(index, OpKind::kWatch));
  loop_.turn(true);
  EXPECT_EQ(target.kinds.size(), 1U);
  loop_.turn(false);
  EXPECT_EQ(loop_.counters().gathered_turns, 1U);
  loop_.turn(false);
  EXPECT_EQ(loop_.counters().gathered_turns, 1U);
  loop_.detach(index);
}

TEST_F(LoopTest, RunsUntilStopped) {
  TestTarget target;
  uint32_t index = loop_.attach(&target);
  target.then = [&] {
    if (target.kinds.size() == 3)
      loop_.stop();
    else
      submit(index);
  };
  submit(index);
  loop_.run();
  EXPECT_EQ(target.kinds.size(), 3U);
}

}  // namespace
}  // namespace sluice
