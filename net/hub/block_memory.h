// The memory of a hub's blocks that have gone, for those that come: where the history is full, one
// goes for each that comes. The home takes it, on its thread; whoever lets go of a block last gives
// it back, on any worker's thread and without a lock. What is free is bounded. Owned by the hub's
// exchange, so it outlives all blocks.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace sluice {

namespace limits {
// Of what is free and kept.
inline constexpr size_t kHubFreeBlockBytes = 1024UL * 1024;
}  // namespace limits

class BlockMemory {
 public:
  BlockMemory() = default;
  ~BlockMemory();
  BlockMemory(const BlockMemory&) = delete;
  BlockMemory& operator=(const BlockMemory&) = delete;

  // The home's.
  void* take(size_t bytes);
  // What has come back since the last take() goes where it belongs: where a whole history goes and
  // nothing comes, that is the heap.
  void sort_returned();
  size_t free_bytes() const { return free_bytes_; }

  // Any thread's; `bytes` as they were asked for.
  void give_back(void* memory, size_t bytes);

 private:
  struct Free {
    Free* next;
    size_t bytes;
  };

  // Sizes are multiples of a step. Larger blocks are the heap's: to fill them costs far more.
  static constexpr size_t kStep = 64;
  static constexpr size_t kLargest = 4096;

  std::array<Free*, kLargest / kStep + 1> free_{};  // by steps
  size_t free_bytes_ = 0;
  std::atomic<Free*> returned_{nullptr};
};

}  // namespace sluice
