// A slot: a fixed piece of a worker's slab, into which the kernel receives, or we write heads and
// spilled bytes. Leases count its readers; the last one gives it back to its pool. Slots and leases
// belong to one worker, and no other thread touches them. A slot of no region is a block from the
// heap, for heads when the pool is at its limit; it is freed, not pooled (a "discard"). A shared
// slot lends memory that is no worker's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sluice {

class SlotPool;

struct Slot {
  static constexpr uint16_t kHeap = UINT16_MAX;        // region of a heap block
  static constexpr uint16_t kShared = UINT16_MAX - 1;  // of one whose memory is somebody else's

  char* data = nullptr;
  SlotPool* pool = nullptr;
  Slot* next_free = nullptr;
  uint32_t size = 0;
  uint32_t leases = 0;    // 0: free, or with the kernel
  uint16_t id = 0;        // within its pool; the provided-buffer id
  uint16_t region = 0;    // within its pool
  bool provided = false;  // with the kernel
  bool used = false;      // has been leased before
};

// A slot without a pool, on memory that others may read at the same time, other workers too: nobody
// writes into it. Its owner is told when the last lease has gone.
struct SharedSlot : Slot {
  explicit SharedSlot(void (*last_lease_gone)(SharedSlot&)) : let_go(last_lease_gone) {
    region = kShared;
  }

  void (*const let_go)(SharedSlot&);
};

void return_slot(Slot* slot);  // pool/slot_pool.cc: the last lease is gone

// A counted reference to a slot.
class Lease {
 public:
  Lease() = default;
  // Adopts a count that the pool has already taken.
  static Lease adopt(Slot* slot) {
    Lease lease;
    lease.slot_ = slot;
    return lease;
  }
  Lease(const Lease& other) : slot_(other.slot_) {
    if (slot_) ++slot_->leases;
  }
  Lease(Lease&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  Lease& operator=(Lease other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~Lease() {
    if (slot_ && --slot_->leases == 0) return_slot(slot_);
  }

  explicit operator bool() const { return slot_ != nullptr; }
  Slot* slot() const { return slot_; }
  char* data() const { return slot_->data; }
  uint32_t size() const { return slot_->size; }

 private:
  Slot* slot_ = nullptr;
};

}  // namespace sluice
