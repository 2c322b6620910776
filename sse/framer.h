// Finds where events end in a WHATWG event stream (html.spec.whatwg.org, section 9.2), however
// the bytes are cut into reads. One per event stream, owned by it, used on its worker's thread.
// It looks at bytes and never keeps or changes them; it allocates nothing.
//
// An event ends at an empty line. Line ends are LF, CRLF and CR in any mix. A CR ends its line at
// once, also as the last byte of a read; an LF that then opens the next read still belongs to
// that line end, so it is counted to the event before it and opens no line of its own.
// A comment or a `retry:` line is done with at its line end: many servers send a comment alone to
// keep a stream alive. Where only such lines stand in a block, the end of each is a boundary, too.
// Any other line and all that follows it in its block waits for the empty line.
// A byte order mark that opens the stream is no part of its first line, but waits (is pending)
// with it: nothing may be sent ahead of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

struct LineEndMask;

class Framer {
 public:
  struct Result {
    // Offset in the fed bytes just past the last boundary, an event end or the end of a comment or
    // `retry:` line before any other line of its block (the line end included); 0 where none of
    // the fed bytes reaches one.
    size_t whole = 0;
    // Blocks closed within the fed bytes that held at least one line which is not a comment.
    uint32_t events = 0;
  };

  Result feed(std::string_view bytes) noexcept;

  // True where a line of ours would change no event: nothing of an unfinished one has been fed, nor
  // of an unfinished line.
  bool at_boundary() const noexcept { return pending_ == 0; }

  // Bytes fed since the last boundary.
  uint64_t pending() const noexcept { return pending_; }

 private:
  // What the masks of the next bytes need to know of the ones before them.
  struct Carry {
    bool line_end = true;    // the last byte was LF or CR (or there is none): a line starts here
    bool cr = false;         // the last byte was CR
    bool event_end = false;  // the last byte closed an event
    bool has_field = false;  // the open block holds a line that is not a comment
  };

  // What the bytes since the last event end are. Up to kPassing, the line that is open has so far
  // that many bytes of `retry:` and no others; 0 is a line's start.
  enum Open : uint8_t {
    kLineStart = 0,
    kPassing = 6,  // in a comment or a `retry:` line: its end is a boundary
    kBehindCr,     // the CR that ended such a line was the last byte
    kHeld,         // another line has begun: all waits for the empty line
  };

  Result feed_behind_mark(std::string_view bytes) noexcept;
  static void frame_block(LineEndMask mask, std::string_view bytes, size_t offset, Carry& carry,
                          Result& result) noexcept;
  size_t pass_lines(std::string_view bytes, size_t whole) noexcept;

  uint64_t pending_ = 0;
  Carry carry_;
  uint8_t mark_bytes_ = 0;  // of the byte order mark seen; its size once that is settled
  uint8_t open_ = kLineStart;
};

}  // namespace sluice
