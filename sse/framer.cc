#include "sse/framer.h"

#include <algorithm>
#include <bit>

#include "sse/scan_block.h"
#include "sse/scanner.h"

namespace sluice {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kRetry = "retry:";

// The offset of the first LF or CR from `at` on, or the size of `bytes`.
size_t find_line_end(std::string_view bytes, size_t at) noexcept {
  auto* scan64 = active_scanner().scan64;
  for (; at < bytes.size(); at += kScanBytes) {
    LineEndMask mask = scan_block(scan64, bytes, at);
    if ((mask.lf | mask.cr) != 0) return at + std::countr_zero(mask.lf | mask.cr);
  }
  return bytes.size();
}

// The bits of `line_starts` whose line is not a comment.
inline uint64_t fields_of(uint64_t line_starts, const char* block) noexcept {
  uint64_t fields = 0;
  for (; line_starts != 0; line_starts &= line_starts - 1) {
    if (block[std::countr_zero(line_starts)] != ':') fields |= line_starts & -line_starts;
  }
  return fields;
}

// The bits of `ends` that have a bit of `fields` between them and the end before. Adding lets a
// carry run from behind each field up to the next field or end. `has_field` is the carry into the
// first byte and out of the last one.
inline uint64_t ends_after_field(uint64_t ends, uint64_t fields, bool& has_field) noexcept {
  uint64_t stops = ends | fields;
  uint64_t behind_fields = fields << 1 | uint64_t{has_field};
  uint64_t reached;
  bool runs_out = __builtin_add_overflow(behind_fields, ~stops, &reached);
  has_field = runs_out || fields >> 63;
  return reached & ends;
}

}  // namespace

Framer::Result Framer::feed(std::string_view bytes) noexcept {
  if (mark_bytes_ != kByteOrderMark.size()) return feed_behind_mark(bytes);
  Result result;
  auto* scan64 = active_scanner().scan64;
  Carry carry = carry_;
  for (size_t offset = 0; offset < bytes.size(); offset += kScanBytes) {
    LineEndMask mask = scan_block(scan64, bytes, offset);
    if ((mask.lf | mask.cr) != 0) {
      frame_block(mask, bytes, offset, carry, result);
    } else if (carry.line_end) {
      carry = {.line_end = false, .has_field = carry.has_field || bytes[offset] != ':'};
    }
  }
  carry_ = carry;
  if (result.whole != 0) {
    open_ = kLineStart;
    pending_ = 0;
  }
  if (result.whole != bytes.size()) result.whole = pass_lines(bytes, result.whole);
  return result;
}

inline void Framer::frame_block(LineEndMask mask, std::string_view bytes, size_t offset,
                                Carry& carry, Result& result) noexcept {
  const size_t last = std::min(bytes.size() - offset, kScanBytes) - 1;
  const uint64_t line_end_bytes = mask.lf | mask.cr;
  const uint64_t after_line_end = line_end_bytes << 1 | uint64_t{carry.line_end};
  const uint64_t crlf_tails = mask.lf & (mask.cr << 1 | uint64_t{carry.cr});
  const uint64_t line_ends = line_end_bytes & ~crlf_tails;
  const uint64_t line_starts = after_line_end & ~line_end_bytes & (~uint64_t{0} >> (63 - last));

  const uint64_t empty_lines = line_ends & after_line_end;
  const uint64_t event_ends =
      empty_lines | (crlf_tails & (empty_lines << 1 | uint64_t{carry.event_end}));
  const uint64_t fields = fields_of(line_starts, bytes.data() + offset);
  uint64_t events = ends_after_field(empty_lines, fields, carry.has_field);

  if (event_ends != 0) result.whole = offset + std::bit_width(event_ends);
  for (; events != 0; events &= events - 1) ++result.events;  // few: cheaper than popcount
  carry.line_end = line_end_bytes >> last & 1;
  carry.cr = mask.cr >> last & 1;
  carry.event_end = event_ends >> last & 1;
}

// Goes through the lines behind the last event end, which is at `whole`; returns the last boundary.
// It looks at them a second time rather than burden the masks: most events arrive with their ends,
// so that there are none.
size_t Framer::pass_lines(std::string_view bytes, size_t whole) noexcept {
  static_assert(kRetry.size() == kPassing);
  size_t at = whole;
  while (at < bytes.size() && open_ != kHeld) {
    if (open_ == kPassing) {
      at = find_line_end(bytes, at);
      if (at == bytes.size()) break;
      open_ = bytes[at] == '\r' ? kBehindCr : kLineStart;
      whole = ++at;
      pending_ = 0;
    } else if (open_ == kBehindCr) {
      open_ = kLineStart;
      if (bytes[at] == '\n') whole = ++at;
    } else if (open_ == kLineStart && bytes[at] == ':') {
      open_ = kPassing;
    } else if (bytes[at] == kRetry[open_]) {
      ++open_;
      ++at;
    } else {
      open_ = kHeld;
    }
  }
  pending_ += bytes.size() - whole;
  return whole;
}

// The start of the stream, as long as it may be a byte order mark. What matched but turns out to be
// none was the beginning of a line, and of a field, as it did not start with ':'.
Framer::Result Framer::feed_behind_mark(std::string_view bytes) noexcept {
  size_t taken = 0;
  while (taken < bytes.size() && mark_bytes_ < kByteOrderMark.size()) {
    if (bytes[taken] != kByteOrderMark[mark_bytes_]) {
      carry_.line_end = mark_bytes_ == 0;
      carry_.has_field = mark_bytes_ != 0;
      if (mark_bytes_ != 0) open_ = kHeld;
      mark_bytes_ = kByteOrderMark.size();
      break;
    }
    ++taken;
    ++mark_bytes_;
  }
  pending_ += taken;
  if (taken == bytes.size()) return {};
  Result result = feed(bytes.substr(taken));
  if (result.whole != 0) result.whole += taken;
  return result;
}

}  // namespace sluice
