// Finds where events end in a WHATWG event stream (html.spec.whatwg.org, section 9.2), however
// the bytes are cut into reads. One per event stream, owned by it, used on its worker's thread.
// It looks at bytes and never keeps or changes them; it allocates nothing.
//
// An event ends at an empty line. Line ends are LF, CRLF and CR in any mix. A CR ends its line at
// once, also as the last byte of a read; an LF that then opens the next read still belongs to
// that line end, so it is counted to the event before it and opens no line of its own.
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
    // Offset in the fed bytes just past the last event end (its final line end included);
    // 0 where none of the fed bytes closes an event.
    size_t whole = 0;
    // Blocks closed within the fed bytes that held at least one line which is not a comment.
    uint32_t events = 0;
  };

  Result feed(std::string_view bytes) noexcept;

  // True where the next byte would open a new event: nothing of an unfinished one has been fed.
  bool at_boundary() const noexcept { return pending_ == 0; }

  // Bytes fed since the last event end.
  uint64_t pending() const noexcept { return pending_; }

 private:
  // What the masks of the next bytes need to know of the ones before them.
  struct Carry {
    bool line_end = true;    // the last byte was LF or CR (or there is none): a line starts here
    bool cr = false;         // the last byte was CR
    bool event_end = false;  // the last byte closed an event
    bool has_field = false;  // the open block holds a line that is not a comment
  };

  size_t skip_byte_order_mark(std::string_view bytes) noexcept;
  static void frame_block(LineEndMask mask, std::string_view bytes, size_t offset, Carry& carry,
                          Result& result) noexcept;

  uint64_t pending_ = 0;
  Carry carry_;
  uint8_t mark_bytes_ = 0;  // of the byte order mark seen; its size once that is settled
};

}  // namespace sluice
