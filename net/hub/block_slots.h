// One worker's slots on the memory of blocks and their coded forms: by them its bytes go to clients
// without being copied, and leases count who of this worker still sends them. They are kept for the
// next blocks.
// Owned by a worker's hubs, used on its thread; outlives its streams.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "net/hub/block.h"
#include "pool/slot.h"

namespace sluice {

class BlockSlots {
 public:
  BlockSlots() = default;
  ~BlockSlots();
  BlockSlots(const BlockSlots&) = delete;
  BlockSlots& operator=(const BlockSlots&) = delete;

  // Takes over the worker's hold on the block, which ends with the last lease.
  Lease lend(Block& block);
  // A form of the block that `block` is a lease on, and so keeps.
  Lease lend(const Lease& block, CodedForm& form);
  size_t lent() const { return lent_; }

 private:
  struct BlockSlot : SharedSlot {
    BlockSlot() : SharedSlot(take_back) {}

    Block* block = nullptr;  // null: a form's, of the block below
    Lease form_of;
    BlockSlots* owner = nullptr;
  };
  static constexpr size_t kAtATime = 256;

  BlockSlot& take(char* data, uint32_t size);
  static void take_back(SharedSlot& slot);

  Slot* free_ = nullptr;
  size_t lent_ = 0;
  std::vector<std::unique_ptr<BlockSlot[]>> made_;
};

}  // namespace sluice
