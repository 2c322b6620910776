#include "net/hub/block_slots.h"

#include "core/check.h"

namespace sluice {

BlockSlots::~BlockSlots() {
  SLUICE_CHECK(lent_ == 0);
}

Lease BlockSlots::lend(Block& block) {
  if (!free_) {
    made_.push_back(std::make_unique<BlockSlot[]>(kAtATime));
    for (size_t i = 0; i < kAtATime; ++i) {
      BlockSlot& slot = made_.back()[i];
      slot.owner = this;
      slot.next_free = free_;
      free_ = &slot;
    }
  }
  auto* slot = static_cast<BlockSlot*>(free_);
  free_ = slot->next_free;
  ++lent_;
  slot->block = &block;
  slot->data = block.text();
  slot->size = block.text_size();
  slot->leases = 1;
  return Lease::adopt(slot);
}

void BlockSlots::take_back(SharedSlot& shared) {
  auto& slot = static_cast<BlockSlot&>(shared);
  slot.block->let_go();
  slot.block = nullptr;
  slot.next_free = slot.owner->free_;
  slot.owner->free_ = &slot;
  --slot.owner->lent_;
}

}  // namespace sluice
