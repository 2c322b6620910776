#include "net/http2/session_memory.h"

#include <array>
#include <cstdlib>
#include <malloc.h>

#include "core/check.h"

namespace sluice {

namespace {

// A frame of the largest size, its header and the byte that says how much padding follows.
constexpr size_t kFrameBufferBytes = 16'384 + 9 + 1;
thread_local constinit std::array<char, kFrameBufferBytes> frame_buffer{};

}  // namespace

void* SessionMemory::counted(void* block) {
  bytes_ += malloc_usable_size(block);
  return block;
}

void* SessionMemory::allocate(size_t size) {
  if (size == kFrameBufferBytes && !frame_buffer_) return frame_buffer_ = frame_buffer.data();
  return counted(std::malloc(size));
}

void* SessionMemory::allocate_zeroed(size_t count, size_t size) {
  return counted(std::calloc(count, size));
}

void* SessionMemory::resize(void* block, size_t size) {
  if (!block) return allocate(size);
  SLUICE_CHECK(block != frame_buffer_);  // it has its size for good
  bytes_ -= malloc_usable_size(block);
  void* moved = std::realloc(block, size);
  bytes_ += malloc_usable_size(moved ? moved : block);
  return moved;
}

void SessionMemory::free(void* block) {
  if (block && block == frame_buffer_) {
    frame_buffer_ = nullptr;
    return;
  }
  bytes_ -= malloc_usable_size(block);
  std::free(block);
}

}  // namespace sluice
