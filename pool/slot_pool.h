// The slots of one size class of one worker, cut from regions. Some are with the kernel (provided
// to the class's buffer group, to be picked when data arrives), some are leased, the rest are free:
// provided + leased + free == slots, always. Owned by the worker, used on its thread only.
//
// The pool grows by whole regions while slots are short, up to a limit that all classes of the
// worker share, and gives grown regions back when they are idle. Out of slots is a wait, not an
// error: a connection whose receive found none queues here and hears when one is back. Heads cannot
// wait; they may take blocks from the heap, which count towards the same limit.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/intrusive_list.h"
#include "core/loop.h"
#include "pool/limits.h"
#include "pool/region.h"
#include "pool/slot.h"

namespace sluice {

struct PoolCounters {
  uint64_t allocations = 0;  // slots used for the first time, and heap blocks
  uint64_t reuses = 0;       // leases of slots that had been used before
  uint64_t discards = 0;     // heap blocks freed and slots of regions given back
  uint64_t waits = 0;        // receives that found no slot
};

// The memory that peers' bytes may occupy on a worker, in bytes (--pool-max): the regions of all
// classes, and a part of its own for the heap, with blocks and the bytes that connections keep
// beside them (charge()).
struct MemoryLimit {
  uint64_t bytes_max = 0;  // of regions
  uint64_t heap_max = 0;
  uint64_t bytes = 0;
  uint64_t heap = 0;
  uint32_t spare_blocks = limits::kSpareBlocks;  // not in use
  std::bitset<Ring::kFixedBuffersMax> fixed_in_use = {};

  // Accounts for `now` bytes in the place of `*before`. False: more is asked for than is left, and
  // nothing has changed.
  bool charge(uint32_t* before, uint32_t now) {
    if (now > *before && heap + (now - *before) > heap_max) return false;
    heap = heap - *before + now;
    *before = now;
    return true;
  }
};

// Waits for a slot; intrusive.
class SlotWaiter {
 public:
  virtual ~SlotWaiter() = default;
  virtual void on_slot_available() = 0;

 private:
  friend class SlotPool;
  ListLink<SlotWaiter> in_queue_;
};

class SlotPool final : public TurnHook {
 public:
  struct Options {
    const char* name;
    uint16_t group;  // buffer group of the ring
    uint32_t slot_bytes;
    uint32_t slots;  // at first, and the step by which the class grows
    // False: the kernel receives into none of them, and none is there before one is asked for.
    bool receives = true;
  };

  // Registers itself with the loop's turn end. ok() is false if memory or the kernel refused.
  SlotPool(Loop& loop, MemoryLimit& memory_limit, const Options& options);
  ~SlotPool();
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  bool ok() const { return ok_; }
  const char* name() const { return options_.name; }
  uint16_t group() const { return options_.group; }
  uint32_t slot_bytes() const { return options_.slot_bytes; }

  // The slot that a completion named: it was with the kernel and is leased now.
  Lease claim(uint16_t buffer_id);
  // A slot to write into; empty if there is none and the class cannot grow.
  Lease take();
  // A slot, or a block of the heap with room for `size` bytes; empty if the limit has no room for
  // the block. For our own bytes (`ours`) there is always room: they are a few hundred for a
  // connection, at most.
  Lease take_block(uint32_t size, bool ours);
  // The same of our own bytes, and never a slot: they may lie there for long.
  Lease make_block(uint32_t size);

  // Queues until a slot is with the kernel again.
  void wait(SlotWaiter& waiter);
  void stop_waiting(SlotWaiter& waiter);
  bool has_waiters() const { return !waiting_.empty(); }
  // Queues for a slot to write into, or a spare block. The reserve is theirs, so they do not stand
  // behind receives.
  void wait_to_write(SlotWaiter& waiter) { waiting_to_write_.push_back(waiter); }
  void stop_waiting_to_write(SlotWaiter& waiter) { waiting_to_write_.remove(waiter); }
  bool has_writers_waiting() const { return !waiting_to_write_.empty(); }
  bool awaited() const { return has_waiters() || has_writers_waiting(); }
  // Receives or writers wait, and the class has neither a slot for them nor room to grow.
  bool exhausted() const {
    bool receives = has_waiters() && provided_ == 0 && trim_turns_ == 0 && !group_gone_;
    return receives || (has_writers_waiting() && !may_write());
  }

  // take_block() has found nothing, since forget_refusal() at least.
  bool write_refused() const { return write_refused_; }
  void forget_refusal() { write_refused_ = false; }

  // Fits the number of slots with the kernel to the use of recent turns, and gives back grown
  // regions without a lease; called about once a second. If such a region still has slots with the
  // kernel, the group is emptied first and refilled a turn later. If the kernel then refuses to
  // have the group back, each later call tries again, and receives wait.
  void trim();

  void on_turn_end() override;

  Loop& loop() const { return loop_; }
  MemoryLimit& memory_limit() { return memory_limit_; }
  const PoolCounters& counters() const { return counters_; }
  uint32_t slots() const { return slots_; }        // current size
  uint32_t provided() const { return provided_; }  // with the kernel
  uint32_t free() const { return free_; }
  uint32_t leased() const { return leased_; }
  uint32_t high_water() const { return high_water_; }  // most leased at once
  uint64_t bytes() const { return uint64_t{slots_} * options_.slot_bytes; }
  uint32_t heap_blocks() const { return heap_blocks_; }  // alive now
  const Region& first_region() const { return *regions_[0].memory; }

 private:
  friend void return_slot(Slot* slot);

  struct RegionSlots {
    std::unique_ptr<Region> memory;  // null: given back
    std::unique_ptr<Slot[]> slots;
    Slot* first_free = nullptr;
    uint32_t free = 0;
  };

  bool grow();
  void give_back(RegionSlots& region);
  void put_back(Slot* slot);
  Slot* pop_free();
  Lease lease(Slot* slot);
  Slot& slot(uint16_t id) { return regions_[id / options_.slots].slots[id % options_.slots]; }
  void replenish();
  void wake_waiters();
  void wake_writers();
  bool write_refused_ = false;
  bool may_write() const { return free_ > 0 || memory_limit_.spare_blocks > 0; }
  void finish_trim();

  Loop& loop_;
  MemoryLimit& memory_limit_;
  Options options_;
  uint32_t reserve_;
  uint32_t ring_target_max_;
  uint32_t ring_target_;
  uint32_t most_used_ = 0;  // of the slots with the kernel, in one turn, since the last trim()
  uint32_t slots_ = 0;
  uint32_t provided_ = 0;
  uint32_t free_ = 0;
  uint32_t leased_ = 0;
  uint32_t heap_blocks_ = 0;
  uint32_t high_water_ = 0;
  bool ok_ = false;
  // Turns until the emptied group is filled again: completions on their way are reaped in between.
  uint8_t trim_turns_ = 0;
  bool group_gone_ = false;           // the kernel has no slot of ours
  std::vector<RegionSlots> regions_;  // a region's place is its id
  IntrusiveQueue<SlotWaiter, &SlotWaiter::in_queue_> waiting_;
  IntrusiveQueue<SlotWaiter, &SlotWaiter::in_queue_> waiting_to_write_;
  PoolCounters counters_;
};

}  // namespace sluice
