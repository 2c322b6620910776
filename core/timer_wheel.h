// Deadlines of one thread: a hierarchical hashed wheel of intrusive timers, O(1) to schedule and
// cancel, no allocation. All times are ticks, as long as the wheel's owner likes: the loop's are
// milliseconds. A timer belongs to its owner and unlinks itself when destroyed; one timer has one
// deadline, and none beyond kFarthest. A worker's timers are lazy: activity only moves a time
// stamp, and a timer that fires early is scheduled anew, so that nothing touches the wheel per
// event.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/intrusive_list.h"

namespace sluice {

class Timer;

class TimerOwner {
 public:
  virtual void on_timer() = 0;

 protected:
  ~TimerOwner() = default;
};

class Timer {
 public:
  explicit Timer(TimerOwner* owner) : owner_(owner) {}
  ~Timer() {
    if (scheduled()) Slot::remove(*this);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool scheduled() const { return in_slot_.linked(); }
  uint64_t deadline() const { return deadline_; }

 private:
  friend class TimerWheel;

  TimerOwner* owner_;
  ListLink<Timer> in_slot_;
  // In one word, since every connection and every stream has a timer.
  uint64_t deadline_ : 48 = 0;
  uint64_t slot_ : 16 = 0;

  using Slot = IntrusiveList<Timer, &Timer::in_slot_>;
};

class TimerWheel {
 public:
  static constexpr uint64_t kNever = UINT64_MAX;
  static constexpr uint64_t kFarthest = (uint64_t{1} << 48) - 1;

  explicit TimerWheel(uint64_t now) : current_(now) {}

  // Sets the deadline, whether or not there was one. A deadline that has passed fires in the
  // next advance().
  void schedule(Timer& timer, uint64_t deadline);
  // Schedules only if that is earlier than the deadline there is.
  void schedule_earlier(Timer& timer, uint64_t deadline) {
    if (!timer.scheduled() || deadline < timer.deadline()) schedule(timer, deadline);
  }
  void cancel(Timer& timer);

  // Fires everything due by now. Owners may schedule and cancel any timer meanwhile.
  void advance(uint64_t now) {
    if (next_tick() <= now) fire_due(now);
    if (current_ < now) current_ = now;
  }

  // No timer fires before this tick (it may be earlier than the first deadline); kNever: none.
  uint64_t next_tick() const {
    if (!next_known_) find_next();
    return next_;
  }

 private:
  static constexpr unsigned kLevels = 7;  // 64^7 ticks: 139 years of milliseconds
  static constexpr unsigned kSlotBits = 6;
  static constexpr unsigned kSlots = 1U << kSlotBits;

  void fire_due(uint64_t now);
  void find_next() const;
  void link(Timer& timer);
  void link_into(Timer& timer, unsigned level, unsigned slot);
  void fire_slot(unsigned slot);
  void cascade(unsigned level);

  uint64_t current_;
  // The first tick with a slot to fire or to move down. Asked for twice a turn, and it seldom
  // changes: timers are lazy.
  mutable uint64_t next_ = kNever;
  mutable bool next_known_ = true;
  // A bit for each slot with a timer, and for some that have lost theirs: a timer that is destroyed
  // leaves its bit until that time.
  std::array<uint64_t, kLevels> occupied_{};
  std::array<Timer::Slot, size_t{kLevels} * kSlots> slots_;
};

}  // namespace sluice
