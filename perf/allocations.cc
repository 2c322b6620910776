#include "perf/allocations.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

thread_local uint64_t allocations = 0;

void* allocate(size_t size, size_t alignment) {
  ++allocations;
  void* memory =
      alignment <= alignof(std::max_align_t)
          ? std::malloc(size)
          : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (!memory) std::abort();
  return memory;
}

}  // namespace

namespace sluice::perf {

uint64_t allocations_of_this_thread() {
  return allocations;
}

}  // namespace sluice::perf

// All forms, since a sanitizer defines those that we do not. None is inlined: the compiler would
// see malloc() meet operator delete, and warn.
#define COUNTED [[gnu::noinline]] void*
#define FREED [[gnu::noinline]] void
using Size = size_t;
using Align = std::align_val_t;
using Nothrow = const std::nothrow_t&;

// clang-format off
COUNTED operator new(Size size) { return allocate(size, 1); }
COUNTED operator new[](Size size) { return allocate(size, 1); }
COUNTED operator new(Size size, Nothrow) noexcept { return allocate(size, 1); }
COUNTED operator new[](Size size, Nothrow) noexcept { return allocate(size, 1); }
COUNTED operator new(Size size, Align to) { return allocate(size, static_cast<size_t>(to)); }
COUNTED operator new(Size size, Align to, Nothrow) noexcept { return allocate(size, static_cast<size_t>(to)); }
COUNTED operator new[](Size size, Align to, Nothrow) noexcept { return allocate(size, static_cast<size_t>(to)); }
COUNTED operator new[](Size size, Align to) { return allocate(size, static_cast<size_t>(to)); }
FREED operator delete(void* memory) noexcept { std::free(memory); }
FREED operator delete[](void* memory) noexcept { std::free(memory); }
FREED operator delete(void* memory, Nothrow) noexcept { std::free(memory); }
FREED operator delete[](void* memory, Nothrow) noexcept { std::free(memory); }
FREED operator delete(void* memory, Size) noexcept { std::free(memory); }
FREED operator delete[](void* memory, Size) noexcept { std::free(memory); }
FREED operator delete(void* memory, Align) noexcept { std::free(memory); }
FREED operator delete[](void* memory, Align) noexcept { std::free(memory); }
FREED operator delete(void* memory, Align, Nothrow) noexcept { std::free(memory); }
FREED operator delete[](void* memory, Align, Nothrow) noexcept { std::free(memory); }
FREED operator delete(void* memory, Size, Align) noexcept { std::free(memory); }
FREED operator delete[](void* memory, Size, Align) noexcept { std::free(memory); }
// clang-format on
#undef COUNTED
#undef FREED
