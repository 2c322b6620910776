#include "core/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sluice {

void TimerWheel::schedule(Timer& timer, uint64_t deadline) {
  cancel(timer);
  timer.deadline_ = std::min(deadline, kFarthest);
  link(timer);
}

void TimerWheel::cancel(Timer& timer) {
  if (!timer.scheduled()) return;
  Timer::Slot::remove(timer);
  if (!slots_[timer.slot_].empty()) return;
  occupied_[timer.slot_ / kSlots] &= ~(uint64_t{1} << (timer.slot_ % kSlots));
  next_known_ = false;
}

void TimerWheel::link(Timer& timer) {
  // At least one tick ahead: the current tick's slot has been fired.
  uint64_t due = std::max<uint64_t>(timer.deadline_, current_ + 1);
  constexpr uint64_t kSpan = uint64_t{1} << (kSlotBits * kLevels);
  due = std::min(due, current_ + kSpan - 1);
  uint64_t ahead = due - current_;
  unsigned level = (static_cast<unsigned>(std::bit_width(ahead)) - 1) / kSlotBits;
  uint64_t place = due >> (kSlotBits * level);
  next_ = std::min(next_, place << (kSlotBits * level));
  link_into(timer, level, static_cast<unsigned>(place % kSlots));
}

void TimerWheel::link_into(Timer& timer, unsigned level, unsigned slot) {
  timer.slot_ = static_cast<uint16_t>(level * kSlots + slot);
  slots_[timer.slot_].push_front(timer);
  occupied_[level] |= uint64_t{1} << slot;
}

void TimerWheel::find_next() const {
  next_ = kNever;
  next_known_ = true;
  for (unsigned level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    uint64_t position = current_ >> (kSlotBits * level);
    int past = static_cast<int>(position % kSlots) + 1;
    auto ahead = static_cast<uint64_t>(std::countr_zero(std::rotr(occupied_[level], past))) + 1;
    next_ = std::min(next_, (position + ahead) << (kSlotBits * level));
  }
}

void TimerWheel::fire_due(uint64_t now) {
  for (uint64_t next = next_; next <= now; next = next_tick()) {
    current_ = next;
    next_known_ = false;
    for (unsigned level = kLevels - 1; level > 0; --level)
      if ((current_ & ((uint64_t{1} << (kSlotBits * level)) - 1)) == 0) cascade(level);
    fire_slot(static_cast<unsigned>(current_ % kSlots));
  }
}

// Moves a slot's timers to the levels below, now that they are near.
void TimerWheel::cascade(unsigned level) {
  unsigned slot = static_cast<unsigned>(current_ >> (kSlotBits * level)) % kSlots;
  while (Timer* timer = slots_[size_t{level} * kSlots + slot].front()) {
    cancel(*timer);
    if (timer->deadline_ <= current_) {
      // Due at this very tick: into the slot that is about to be fired.
      link_into(*timer, 0, static_cast<unsigned>(current_ % kSlots));
    } else {
      link(*timer);
    }
  }
  occupied_[level] &= ~(uint64_t{1} << slot);
}

void TimerWheel::fire_slot(unsigned slot) {
  while (Timer* timer = slots_[slot].front()) {
    cancel(*timer);
    timer->owner_->on_timer();
  }
  occupied_[0] &= ~(uint64_t{1} << slot);
}

}  // namespace sluice
