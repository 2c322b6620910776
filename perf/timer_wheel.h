// A hashed timer wheel for thousands of paced streams: setting, cancelling and firing a timer are
// O(1) each. One wheel a thread. A timer is a node inside its owner, which outlives its place in
// the wheel. A timer never fires before its time and at most one tick after it (plus the
// caller's own delay); a timer beyond one turn of the wheel is passed over until its turn comes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::perf {

struct Timer {
  Timer* next = nullptr;
  Timer* previous = nullptr;
  uint64_t tick = 0;
  void* owner = nullptr;

  bool set() const { return next != nullptr; }
};

class TimerWheel {
 public:
  TimerWheel(uint64_t tick_ns, uint64_t now_ns) : tick_ns_(tick_ns), last_(now_ns / tick_ns) {
    for (Timer& slot : slots_) slot.next = slot.previous = &slot;
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  void set(Timer& timer, uint64_t due_ns) {
    cancel(timer);
    timer.tick = std::max((due_ns + tick_ns_ - 1) / tick_ns_, last_ + 1);
    const size_t i = timer.tick % kSlots;
    Timer& slot = slots_[i];
    timer.next = &slot;
    timer.previous = slot.previous;
    slot.previous->next = &timer;
    slot.previous = &timer;
    used_[i / 64] |= uint64_t{1} << i % 64;
  }

  static void cancel(Timer& timer) {
    if (!timer.set()) return;
    timer.next->previous = timer.previous;
    timer.previous->next = timer.next;
    timer.next = timer.previous = nullptr;
  }

  // Fires what is due. on_timer(owner) may set and cancel any timer.
  template <typename OnTimer>
  void advance(uint64_t now_ns, OnTimer&& on_timer) {
    const uint64_t now = now_ns / tick_ns_;
    if (now <= last_) return;
    const uint64_t first = std::max(last_ + 1, now - std::min<uint64_t>(now, kSlots - 1));
    last_ = now;
    for (uint64_t tick = first; tick <= now; ++tick) fire_slot(tick % kSlots, now, on_timer);
  }

  // The time of the next tick that may hold a due timer, at most one turn of the wheel away.
  uint64_t next_ns() const {
    for (uint64_t ahead = 1; ahead < kSlots;) {
      const size_t i = (last_ + ahead) % kSlots;
      const uint64_t word = used_[i / 64] >> i % 64;
      if (word != 0) {
        ahead += static_cast<uint64_t>(std::countr_zero(word));
        return (last_ + ahead) * tick_ns_;
      }
      ahead += 64 - i % 64;
    }
    return (last_ + kSlots) * tick_ns_;
  }

 private:
  static constexpr size_t kSlots = 8192;

  // The slot's list is moved aside first: a timer that is set again meanwhile goes to the slot
  // and waits for the next turn, so this ends.
  template <typename OnTimer>
  void fire_slot(size_t i, uint64_t now, OnTimer&& on_timer) {
    if ((used_[i / 64] >> i % 64 & 1) == 0) return;
    used_[i / 64] &= ~(uint64_t{1} << i % 64);
    Timer& slot = slots_[i];
    if (slot.next == &slot) return;
    Timer due;
    due.next = slot.next;
    due.previous = slot.previous;
    due.next->previous = due.previous->next = &due;
    slot.next = slot.previous = &slot;
    while (due.next != &due) {
      Timer& timer = *due.next;
      const uint64_t tick = timer.tick;
      cancel(timer);
      if (tick > now) {
        set(timer, tick * tick_ns_);
      } else {
        on_timer(timer.owner);
      }
    }
    due.next = due.previous = nullptr;
  }

  uint64_t tick_ns_;
  uint64_t last_;  // the last tick that was fired
  std::array<Timer, kSlots> slots_;
  std::array<uint64_t, kSlots / 64> used_{};  // a bit per slot that may hold timers
};

}  // namespace sluice::perf
