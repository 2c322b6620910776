#include "net/hub/block_slots.h"

#include <utility>

#include "core/check.h"

namespace sluice {

BlockSlots::~BlockSlots() {
  SLUICE_CHECK(lent_ == 0);
}

Lease BlockSlots::lend(Block& block) {
  BlockSlot& slot = take(block.text(), block.text_size());
  slot.block = &block;
  return Lease::adopt(&slot);
}

Lease BlockSlots::lend(const Lease& block, CodedForm& form) {
  BlockSlot& slot = take(form.memory(), form.memory_size());
  slot.form_of = block;
  return Lease::adopt(&slot);
}

BlockSlots::BlockSlot& BlockSlots::take(char* data, uint32_t size) {
  if (!free_) {
    made_.push_back(std::make_unique<BlockSlot[]>(kAtATime));
    for (size_t i = 0; i < kAtATime; ++i) {
      BlockSlot& slot = made_.back()[i];
      slot.owner = this;
      slot.next_free = free_;
      free_ = &slot;
    }
  }
  auto& slot = static_cast<BlockSlot&>(*free_);
  free_ = slot.next_free;
  ++lent_;
  slot.data = data;
  slot.size = size;
  slot.leases = 1;
  return slot;
}

void BlockSlots::take_back(SharedSlot& shared) {
  auto& slot = static_cast<BlockSlot&>(shared);
  slot.form_of = {};
  if (Block* block = std::exchange(slot.block, nullptr)) block->let_go();
  slot.next_free = slot.owner->free_;
  slot.owner->free_ = &slot;
  --slot.owner->lent_;
}

}  // namespace sluice
