#include "pool/slot_pool.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "core/check.h"
#include "pool/limits.h"

namespace sluice {

SlotPool::SlotPool(Loop& loop, MemoryLimit& memory_limit, const Options& options)
    : loop_(loop),
      memory_limit_(memory_limit),
      options_(options),
      reserve_(options.slots / limits::kReserveFraction),
      ring_target_max_(options.receives ? std::min(options.slots - reserve_, limits::kRingSlotsMax)
                                        : 0),
      ring_target_(std::min(ring_target_max_, limits::kRingSlotsMin)) {
  ok_ = !options.receives;
  if (ok_ || !grow()) return;
  if (!loop.ring().add_buffer_group(options.group,
                                    static_cast<uint16_t>(std::bit_ceil(ring_target_max_))))
    return;
  loop.add_turn_hook(*this);
  replenish();
  ok_ = true;
}

SlotPool::~SlotPool() = default;

bool SlotPool::grow() {
  // The place of a region that was given back, else a new one.
  size_t place = 0;
  while (place < regions_.size() && regions_[place].memory) ++place;
  size_t bytes = size_t{options_.slot_bytes} * options_.slots;
  bool first = regions_.empty() && options_.receives;
  if (!first && (memory_limit_.bytes + bytes > memory_limit_.bytes_max ||
                 (place + 1) * options_.slots > limits::kSlotsMax))
    return false;
  // If all indices are in use, the region is just not registered.
  unsigned fixed_index = 0;
  while (fixed_index < Ring::kFixedBuffersMax && memory_limit_.fixed_in_use[fixed_index])
    ++fixed_index;
  auto memory = std::make_unique<Region>(loop_.ring(), bytes, fixed_index);
  if (!memory->data()) return false;
  if (fixed_index < Ring::kFixedBuffersMax) memory_limit_.fixed_in_use[fixed_index] = true;
  memory_limit_.bytes += bytes;
  if (place == regions_.size()) regions_.emplace_back();
  RegionSlots& region = regions_[place];
  region.memory = std::move(memory);
  region.slots = std::make_unique<Slot[]>(options_.slots);
  slots_ += options_.slots;
  for (uint32_t i = options_.slots; i-- > 0;) {
    Slot& slot = region.slots[i];
    slot.data = region.memory->data() + size_t{i} * options_.slot_bytes;
    slot.pool = this;
    slot.size = options_.slot_bytes;
    slot.id = static_cast<uint16_t>(place * options_.slots + i);
    slot.region = static_cast<uint16_t>(place);
    put_back(&slot);
  }
  return true;
}

void SlotPool::give_back(RegionSlots& region) {
  for (uint32_t i = 0; i < options_.slots; ++i) counters_.discards += region.slots[i].used ? 1 : 0;
  slots_ -= options_.slots;
  free_ -= options_.slots;
  memory_limit_.bytes -= size_t{options_.slot_bytes} * options_.slots;
  unsigned fixed_index = region.memory->fixed_index();
  region = RegionSlots{};  // ends the registration, too
  if (fixed_index < Ring::kFixedBuffersMax) memory_limit_.fixed_in_use[fixed_index] = false;
}

void SlotPool::put_back(Slot* slot) {
  RegionSlots& region = regions_[slot->region];
  slot->next_free = region.first_free;
  region.first_free = slot;
  ++region.free;
  ++free_;
}

// Takes from the lowest region that has a free slot, so that grown regions run empty and can go
// back.
Slot* SlotPool::pop_free() {
  for (RegionSlots& region : regions_) {
    if (region.free == 0) continue;
    Slot* slot = region.first_free;
    region.first_free = slot->next_free;
    --region.free;
    --free_;
    return slot;
  }
  return nullptr;
}

Lease SlotPool::lease(Slot* slot) {
  slot->leases = 1;
  high_water_ = std::max(high_water_, ++leased_);
  if (slot->used)
    ++counters_.reuses;
  else
    ++counters_.allocations;
  slot->used = true;
  return Lease::adopt(slot);
}

Lease SlotPool::claim(uint16_t buffer_id) {
  Slot& claimed = slot(buffer_id);
  SLUICE_CHECK(claimed.provided && claimed.leases == 0);
  claimed.provided = false;
  --provided_;
  return lease(&claimed);
}

Lease SlotPool::take() {
  Slot* slot = pop_free();
  if (!slot && grow()) slot = pop_free();
  return slot ? lease(slot) : Lease();
}

Lease SlotPool::take_block(uint32_t size, bool ours) {
  if (size <= options_.slot_bytes)
    if (Lease lease = take()) return lease;
  if (!ours && memory_limit_.heap + size > memory_limit_.heap_max) {
    write_refused_ = true;
    return {};
  }
  return make_block(size);
}

Lease SlotPool::make_block(uint32_t size) {
  memory_limit_.heap += size;
  void* block = ::operator new(sizeof(Slot) + size);
  auto* slot = new (block) Slot;
  slot->data = static_cast<char*>(block) + sizeof(Slot);
  slot->pool = this;
  slot->size = size;
  slot->region = Slot::kHeap;
  slot->leases = 1;
  ++counters_.allocations;
  ++heap_blocks_;
  return Lease::adopt(slot);
}

void return_slot(Slot* slot) {
  if (slot->region == Slot::kShared) {
    auto& shared = *static_cast<SharedSlot*>(slot);
    shared.let_go(shared);
    return;
  }
  SlotPool& pool = *slot->pool;
  if (slot->region == Slot::kHeap) {
    ++pool.counters_.discards;
    --pool.heap_blocks_;
    pool.memory_limit_.heap -= slot->size;
    ::operator delete(slot);
    return;
  }
  --pool.leased_;
  pool.put_back(slot);
}

void SlotPool::wait(SlotWaiter& waiter) {
  SLUICE_CHECK(!waiter.in_queue_.linked());
  ++counters_.waits;
  ring_target_ = std::min(ring_target_ * 2, ring_target_max_);
  waiting_.push_back(waiter);
}

void SlotPool::stop_waiting(SlotWaiter& waiter) {
  if (waiter.in_queue_.linked()) waiting_.remove(waiter);
}

void SlotPool::on_turn_end() {
  if (trim_turns_ > 0) {
    if (--trim_turns_ == 0)
      finish_trim();
    else
      loop_.turn_again();  // the group is empty until the next turn
  } else if (provided_ < ring_target_ && !group_gone_) {
    most_used_ = std::max(most_used_, ring_target_ - provided_);
  }
  replenish();
  wake_waiters();
  if (has_writers_waiting()) wake_writers();
}

void SlotPool::replenish() {
  if (trim_turns_ > 0 || group_gone_ || provided_ >= ring_target_) return;
  Ring& ring = loop_.ring();
  while (provided_ < ring_target_) {
    // The reserve is for our own writing: heads have to leave before the slots of bodies come back.
    if (free_ <= reserve_ && (provided_ >= ring_target_ / 2 || !grow())) break;
    Slot* slot = pop_free();
    slot->provided = true;
    ++provided_;
    ring.provide_buffer(options_.group, slot->data, slot->size, slot->id);
  }
  ring.publish_buffers(options_.group);
}

void SlotPool::wake_waiters() {
  if (trim_turns_ > 0) return;
  // Wakes no more waiters than there are slots. A waiter that finds none again goes to the queue's
  // end.
  for (uint32_t slots = provided_; slots > 0 && has_waiters(); --slots) {
    SlotWaiter& waiter = *waiting_.front();
    stop_waiting(waiter);
    waiter.on_slot_available();
  }
  // The queue's next waiter runs even if the one just woken no longer needs a slot: without this,
  // it would wait for a turn that nothing brings about.
  if (has_waiters() && provided_ > 0) loop_.turn_again();
}

// Who finds none again goes back to the queue's end.
void SlotPool::wake_writers() {
  for (uint32_t most = free_ + memory_limit_.spare_blocks; most > 0 && has_writers_waiting();
       --most) {
    SlotWaiter& waiter = *waiting_to_write_.front();
    stop_waiting_to_write(waiter);
    waiter.on_slot_available();
  }
  if (has_writers_waiting() && may_write()) loop_.turn_again();
}

void SlotPool::trim() {
  ring_target_ = std::clamp(2 * std::exchange(most_used_, 0),
                            std::min(limits::kRingSlotsMin, ring_target_max_), ring_target_max_);
  if (trim_turns_ > 0) return;
  if (group_gone_) group_gone_ = !loop_.ring().reset_buffer_group(options_.group);
  if (slots_ == options_.slots) return;
  bool provided_beyond_first = false;
  for (size_t i = 1; i < regions_.size(); ++i) {
    RegionSlots& region = regions_[i];
    if (!region.memory) continue;
    if (region.free == options_.slots) {
      give_back(region);
      continue;
    }
    uint32_t held = 0;
    for (uint32_t s = 0; s < options_.slots; ++s) held += region.slots[s].leases > 0 ? 1 : 0;
    provided_beyond_first |= held == 0;
  }
  if (!provided_beyond_first || group_gone_) return;
  group_gone_ = !loop_.ring().reset_buffer_group(options_.group);
  trim_turns_ = 2;  // this turn's end, and the end of the next one, which reaps
}

// A completion that was on its way when the group was emptied has been reaped by now, and its slot
// is leased. The slots that are still marked as provided came back with the group.
void SlotPool::finish_trim() {
  for (RegionSlots& region : regions_) {
    if (!region.memory) continue;
    for (uint32_t i = 0; i < options_.slots; ++i) {
      Slot& slot = region.slots[i];
      if (!slot.provided) continue;
      slot.provided = false;
      put_back(&slot);
    }
  }
  provided_ = 0;
}

}  // namespace sluice
