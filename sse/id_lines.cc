#include "sse/id_lines.h"

#include <bit>
#include <cstdint>

#include "sse/scan_block.h"
#include "sse/scanner.h"

namespace sluice {

namespace {

bool begins_one(char c) noexcept {
  return c == 'i' || c == 'r';
}

// Where such a line begins; the size where there is none.
size_t find_start(std::string_view bytes, size_t at) noexcept {
  if (at == 0 && !bytes.empty() && begins_one(bytes.front())) return 0;
  auto* scan64 = active_scanner().scan64;
  for (; at < bytes.size(); at += kScanBytes) {
    LineEndMask mask = scan_block(scan64, bytes, at);
    for (uint64_t ends = mask.lf | mask.cr; ends != 0; ends &= ends - 1) {
      size_t start = at + static_cast<size_t>(std::countr_zero(ends)) + 1;
      if (start < bytes.size() && begins_one(bytes[start])) return start;
    }
  }
  return bytes.size();
}

}  // namespace

std::string_view next_id_line(std::string_view bytes, size_t& at) noexcept {
  size_t start = find_start(bytes, at);
  size_t end = start;
  while (end < bytes.size() && bytes[end] != '\n' && bytes[end] != '\r') ++end;
  at = end;
  return end < bytes.size() ? bytes.substr(start, end + 1 - start) : std::string_view();
}

}  // namespace sluice
