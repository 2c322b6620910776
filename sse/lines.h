// The lines of a piece of an event stream, one after the other, with LF, CRLF and CR as line ends
// (html.spec.whatwg.org 9.2.5). What EventReader and FieldReader are made of. It looks at bytes and
// never keeps or changes them; it allocates nothing. Each block of 64 bytes is scanned once,
// however many lines it holds.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sse/pieces.h"

namespace sluice {

class LineReader {
 public:
  explicit LineReader(Pieces bytes) noexcept : rest_(bytes) { begin_piece(); }

  // The next line, without its end. False: none of the rest has an end; nothing follows.
  bool next(Pieces& line) noexcept {
    const char* begin = rest_.first().data();
    const char* end = find_end(begin);
    if (end == piece_end_) return next_across_pieces(line);
    line = std::string_view(begin, static_cast<size_t>(end - begin));
    pass(line.size(), *end);
    return true;
  }

  // What follows the line that was read last.
  const Pieces& rest() const noexcept { return rest_; }

 private:
  // The first line end from `from` on, or the end of the first piece.
  const char* find_end(const char* from) noexcept {
    do {
      for (; ends_ != 0; ends_ &= ends_ - 1) {
        const char* end = block_ + std::countr_zero(ends_);
        if (end >= from) return end;  // else the LF of a CRLF
      }
    } while (next_block());
    return piece_end_;
  }
  // The rest of a line in the first piece, and its end, which is that byte.
  void pass(size_t line_bytes, char end) noexcept {
    size_t behind = rest_.first().size() - line_bytes - 1;
    rest_.remove_prefix(line_bytes + 1);
    bool piece_ends = behind == 0;
    if (end == '\r' && !rest_.empty() && rest_.first().front() == '\n') {
      rest_.remove_prefix(1);
      piece_ends |= behind == 1;
    }
    if (piece_ends) begin_piece();
  }
  void begin_piece() noexcept;
  bool next_block() noexcept;
  bool next_across_pieces(Pieces& line) noexcept;

  Pieces rest_;
  std::string_view piece_;  // the first of rest_, from where it was first looked at
  const char* piece_end_ = nullptr;
  size_t scanned_ = 0;  // bytes of it
  const char* block_ = nullptr;
  uint64_t ends_ = 0;  // of the block scanned last: line ends that are still to be looked at
};

}  // namespace sluice
