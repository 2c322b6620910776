#include "net/hub/block_memory.h"

#include <new>
#include <sanitizer/asan_interface.h>

namespace sluice {

BlockMemory::~BlockMemory() {
  sort_returned();
  for (Free* first : free_) {
    while (first) {
      Free* next = first->next;
      ::operator delete(first);
      first = next;
    }
  }
}

void* BlockMemory::take(size_t bytes) {
  if (bytes > kLargest) return ::operator new(bytes);
  size_t steps = (bytes + kStep - 1) / kStep;
  if (!free_[steps]) sort_returned();
  Free* memory = free_[steps];
  if (!memory) return ::operator new(steps* kStep);
  free_[steps] = memory->next;
  free_bytes_ -= steps * kStep;
  ASAN_UNPOISON_MEMORY_REGION(memory, steps * kStep);
  return memory;
}

void BlockMemory::give_back(void* memory, size_t bytes) {
  if (bytes > kLargest) {
    ::operator delete(memory);
    return;
  }
  size_t steps = (bytes + kStep - 1) / kStep;
  auto* free = new (memory) Free{returned_.load(std::memory_order_relaxed), steps * kStep};
  ASAN_POISON_MEMORY_REGION(free + 1, steps * kStep - sizeof(Free));
  while (!returned_.compare_exchange_weak(free->next, free, std::memory_order_release,
                                          std::memory_order_relaxed)) {
  }
}

void BlockMemory::sort_returned() {
  if (!returned_.load(std::memory_order_relaxed)) return;
  Free* memory = returned_.exchange(nullptr, std::memory_order_acquire);
  while (memory) {
    Free* next = memory->next;
    if (free_bytes_ + memory->bytes > limits::kHubFreeBlockBytes) {
      ::operator delete(memory);
    } else {
      Free*& first = free_[memory->bytes / kStep];
      memory->next = first;
      first = memory;
      free_bytes_ += memory->bytes;
    }
    memory = next;
  }
}

}  // namespace sluice
