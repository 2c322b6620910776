// Finds line ends in event-stream bytes, 64 at a time, with the widest vectors of this CPU. A
// scanner turns 64 bytes into two bit masks (bit i = byte i is LF, is CR); the framer has one copy
// of the logic over those masks. The implementation is chosen once, before threads start, by CPU or
// by force (--simd). All give equal masks (tests/unit/sse/scanner_test.cc proves it).
#pragma once

#include <span>
#include <string_view>

#include "sse/scan.h"

namespace sluice {

struct Scanner {
  const char* name;  // "scalar", "sse2", "avx2", "avx512", "neon"
  // Reads exactly 64 bytes, at any alignment.
  LineEndMask (*scan64)(const char* bytes);
  bool (*supported)();  // by this CPU
};

// Compiled-in implementations, fastest first; "scalar" is always the last.
std::span<const Scanner> scanners();

// The active one: the fastest that this CPU supports until another one is selected. Any thread may
// read it; it is set before threads start.
const Scanner& active_scanner();

// Makes `name` ("auto" or one of scanners()) the active one. False: unknown or not supported by
// this CPU; nothing changes then.
bool select_scanner(std::string_view name);

}  // namespace sluice
