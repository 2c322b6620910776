#include "core/timer_wheel.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"

namespace sluice {
namespace {

// A timer that calls a function.
class TestTimer final : public TimerOwner {
 public:
  explicit TestTimer(std::function<void()> run = {}) : run_(std::move(run)) {}
  void on_timer() override {
    ++fired;
    if (run_) run_();
  }

  Timer timer{this};
  int fired = 0;

 private:
  std::function<void()> run_;
};

TEST(TimerWheel, FiresAtItsDeadlineAndNotBefore) {
  TimerWheel wheel(1000);
  TestTimer timer;
  wheel.schedule(timer.timer, 1005);
  EXPECT_EQ(timer.timer.deadline(), 1005U);
  wheel.advance(1004);
  EXPECT_EQ(timer.fired, 0);
  EXPECT_TRUE(timer.timer.scheduled());
  wheel.advance(1005);
  EXPECT_EQ(timer.fired, 1);
  EXPECT_FALSE(timer.timer.scheduled());
  wheel.advance(2000);
  EXPECT_EQ(timer.fired, 1);
  EXPECT_EQ(wheel.next_tick(), TimerWheel::kNever);
}

TEST(TimerWheel, FiresADeadlineOfEveryLevelToTheMillisecond) {
  // Around every power of 64, up to the wheel's span and beyond it; from odd starting points.
  for (uint64_t start :
       {uint64_t{0}, uint64_t{63}, uint64_t{64}, uint64_t{4095}, uint64_t{987'654'321}}) {
    for (unsigned level = 0; level <= 7; ++level) {
      for (uint64_t around : {-1, 0, 1}) {
        uint64_t ahead = (uint64_t{1} << (6 * level)) + around;
        if (ahead == 0) continue;
        TimerWheel wheel(start);
        TestTimer timer;
        wheel.schedule(timer.timer, start + ahead);
        ASSERT_LE(wheel.next_tick(), start + ahead);
        wheel.advance(start + ahead - 1);
        ASSERT_EQ(timer.fired, 0) << start << "+" << ahead;
        wheel.advance(start + ahead);
        ASSERT_EQ(timer.fired, 1) << start << "+" << ahead;
      }
    }
  }
}

TEST(TimerWheel, FiresAPassedDeadlineInTheNextTick) {
  TimerWheel wheel(1000);
  TestTimer timer;
  wheel.schedule(timer.timer, 3);
  EXPECT_EQ(wheel.next_tick(), 1001U);
  wheel.advance(1001);
  EXPECT_EQ(timer.fired, 1);
}

TEST(TimerWheel, KeepsATimerThatNeverFires) {
  TimerWheel wheel(1000);
  TestTimer timer;
  wheel.schedule(timer.timer, TimerWheel::kNever);
  wheel.advance(uint64_t{1} << 40);
  EXPECT_EQ(timer.fired, 0);
  EXPECT_TRUE(timer.timer.scheduled());
}

TEST(TimerWheel, SchedulesAnew) {
  TimerWheel wheel(0);
  TestTimer timer;
  wheel.schedule(timer.timer, 10);
  wheel.schedule(timer.timer, 5000);
  wheel.advance(4999);
  EXPECT_EQ(timer.fired, 0);
  wheel.schedule_earlier(timer.timer, 6000);
  EXPECT_EQ(timer.timer.deadline(), 5000U);
  wheel.schedule_earlier(timer.timer, 20);
  EXPECT_EQ(timer.timer.deadline(), 20U);
  wheel.advance(5000);
  EXPECT_EQ(timer.fired, 1);
  wheel.schedule_earlier(timer.timer, 9000);  // was not scheduled
  EXPECT_EQ(timer.timer.deadline(), 9000U);
}

TEST(TimerWheel, ForgetsATimerThatIsDestroyed) {
  TimerWheel wheel(0);
  TestTimer before;
  TestTimer after;
  auto doomed = std::make_unique<TestTimer>();
  wheel.schedule(before.timer, 10);
  wheel.schedule(doomed->timer, 10);
  wheel.schedule(after.timer, 10);
  doomed.reset();
  wheel.advance(10);
  EXPECT_EQ(before.fired, 1);
  EXPECT_EQ(after.fired, 1);
}

TEST(TimerWheel, ForgetsTheTimeOfATimerThatIsDestroyed) {
  for (uint64_t deadline : {10U, 5000U}) {  // its own slot, and one that is passed down
    TimerWheel wheel(0);
    {
      TestTimer doomed;
      wheel.schedule(doomed.timer, deadline);
    }
    wheel.advance(deadline);
    EXPECT_EQ(wheel.next_tick(), TimerWheel::kNever);
  }
}

TEST(TimerWheel, HasAFarthestDeadline) {
  TimerWheel wheel(1000);
  TestTimer timer;
  wheel.schedule(timer.timer, TimerWheel::kNever);
  EXPECT_EQ(timer.timer.deadline(), TimerWheel::kFarthest);
  wheel.schedule_earlier(timer.timer, 2000);
  EXPECT_EQ(timer.timer.deadline(), 2000U);
}

TEST(TimerWheel, AnOwnerMayScheduleItselfAnew) {
  TimerWheel wheel(0);
  std::vector<uint64_t> deadlines;
  TestTimer* self = nullptr;
  TestTimer timer([&] {
    deadlines.push_back(self->timer.deadline());
    wheel.schedule(self->timer, self->timer.deadline() + 100);
  });
  self = &timer;
  wheel.schedule(timer.timer, 100);
  wheel.advance(1000);
  EXPECT_EQ(deadlines, (std::vector<uint64_t>{100, 200, 300, 400, 500, 600, 700, 800, 900, 1000}));
}

TEST(TimerWheel, AnOwnerMayCancelTimersThatAreDueInTheSameTick) {
  TimerWheel wheel(0);
  std::vector<std::unique_ptr<TestTimer>> timers;
  for (int i = 0; i < 10; ++i)
    timers.push_back(std::make_unique<TestTimer>([&] {
      for (auto& other : timers) wheel.cancel(other->timer);
    }));
  for (auto& timer : timers) wheel.schedule(timer->timer, 70);  // cascades first
  wheel.advance(70);
  int fired = 0;
  for (auto& timer : timers) fired += timer->fired;
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(wheel.next_tick(), TimerWheel::kNever);
}

// Random schedules, cancels and advances against a sorted map. Owners that fire schedule and
// cancel others now and then, which the model does with them.
class Model {
 public:
  explicit Model(test::RandomSource& random) : random_(random) {
    for (size_t i = 0; i < kTimers; ++i)
      timers_.push_back(std::make_unique<TestTimer>([this, i] { on_fire(i); }));
  }

  void step() {
    switch (random_.between(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        schedule(random_.between(0, kTimers - 1));
        break;
      case 4:
        cancel(random_.between(0, kTimers - 1));
        break;
      default:
        advance();
    }
    check_next();
  }

  void advance() {
    uint64_t to = now_ms_ + distance();
    // Firing order within one advance is by tick; what is due must have fired afterwards.
    advancing_to_ = to;
    wheel_.advance(to);
    now_ms_ = to;
    ASSERT_TRUE(due_.empty() || due_.begin()->first > now_ms_)
        << "missed the deadline " << due_.begin()->first << " at " << now_ms_;
  }

  uint64_t fired() const { return fired_; }

 private:
  static constexpr size_t kTimers = 60;

  // Spread over all levels of the wheel.
  uint64_t distance() {
    uint64_t limit = uint64_t{1} << random_.between(0, random_.between(0, 9) == 0 ? 44 : 14);
    return random_.between(0, limit);
  }

  void schedule(size_t i) {
    // A passed deadline fires in the next tick.
    uint64_t base = now_ms_;
    uint64_t at = random_.between(0, 19) == 0 ? base - random_.between(0, base) : base + distance();
    forget(i);
    wheel_.schedule(timers_[i]->timer, at);
    ASSERT_EQ(timers_[i]->timer.deadline(), at);
    due_.emplace(std::max(at, base + 1), i);
  }

  void cancel(size_t i) {
    forget(i);
    wheel_.cancel(timers_[i]->timer);
    ASSERT_FALSE(timers_[i]->timer.scheduled());
  }

  void on_fire(size_t i) {
    ++fired_;
    auto entry = find(i);
    ASSERT_NE(entry, due_.end()) << "fired without being scheduled";
    ASSERT_EQ(entry->first, due_.begin()->first) << "an earlier deadline was overtaken";
    ASSERT_LE(entry->first, advancing_to_) << "fired early";
    now_ms_ = entry->first;
    due_.erase(entry);
    if (random_.between(0, 2) == 0) schedule(random_.between(0, kTimers - 1));
    if (random_.between(0, 4) == 0) cancel(random_.between(0, kTimers - 1));
  }

  void check_next() {
    uint64_t next = wheel_.next_tick();
    ASSERT_EQ(next == TimerWheel::kNever, due_.empty());
    if (!due_.empty()) {
      ASSERT_LE(next, due_.begin()->first);
    }
    ASSERT_GT(next, now_ms_);
  }

  std::multimap<uint64_t, size_t>::iterator find(size_t i) {
    return std::find_if(due_.begin(), due_.end(),
                        [i](const auto& entry) { return entry.second == i; });
  }
  void forget(size_t i) {
    if (auto entry = find(i); entry != due_.end()) due_.erase(entry);
  }

  test::RandomSource& random_;
  uint64_t now_ms_ = random_.between(0, 1'000'000'000);
  uint64_t advancing_to_ = now_ms_;
  uint64_t fired_ = 0;
  TimerWheel wheel_{now_ms_};
  std::vector<std::unique_ptr<TestTimer>> timers_;
  std::multimap<uint64_t, size_t> due_;
};

TEST(TimerWheelProperty, BehavesAsASortedMap) {
  test::RandomSource random;
  SCOPED_TRACE(random.trace());
  uint64_t fired = 0;
  for (int run = 0; run < 20 && !testing::Test::HasFailure(); ++run) {
    Model model(random);
    for (int i = 0; i < 3000 && !testing::Test::HasFailure(); ++i) model.step();
    fired += model.fired();
  }
  EXPECT_GT(fired, 1000U);
}

}  // namespace
}  // namespace sluice
