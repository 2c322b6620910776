// scan64 for each instruction set: one file each, compiled for that set, called by scanner.cc. Such
// a file includes only this header and the intrinsics. (An inline function of the standard library
// instantiated there might be the copy that the linker keeps, and crash an older CPU.) Pure
// functions, callable from any thread; each reads exactly 64 bytes, at any alignment.
#pragma once

#include <cstdint>

namespace sluice {

struct LineEndMask {
  uint64_t lf;
  uint64_t cr;
};

LineEndMask scan64_scalar(const char* bytes);
LineEndMask scan64_sse2(const char* bytes);
LineEndMask scan64_avx2(const char* bytes);
LineEndMask scan64_avx512(const char* bytes);
LineEndMask scan64_neon(const char* bytes);

}  // namespace sluice
