// Scanning bytes that are no multiple of 64: the last block of a piece. Used by what goes through
// bytes block by block (framer.cc, lines.cc). Reads no byte beyond the piece.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "sse/scan.h"

namespace sluice {

inline constexpr size_t kScanBytes = 64;

// The masks of up to 64 bytes from `offset` on; bits beyond the end of `bytes` are 0.
inline LineEndMask scan_block(LineEndMask (*scan64)(const char*), std::string_view bytes,
                              size_t offset) noexcept {
  size_t left = bytes.size() - offset;
  if (left >= kScanBytes) return scan64(bytes.data() + offset);
  if (bytes.size() >= kScanBytes) {  // look at some bytes again rather than copy the rest
    LineEndMask mask = scan64(bytes.data() + bytes.size() - kScanBytes);
    size_t again = kScanBytes - left;
    return {mask.lf >> again, mask.cr >> again};
  }
  char block[kScanBytes] = {};
  std::memcpy(block, bytes.data() + offset, left);
  return scan64(block);
}

}  // namespace sluice
