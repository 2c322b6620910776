// The events of a run, one by one: how far each reaches, as a view of where it lies. For streams
// whose events are looked at; a framer's feed() finds the run (all whole events of a read, behind
// what was unfinished of the first), and does no more for the others. It never keeps or changes
// bytes, and allocates nothing.
// A run begins and ends at boundaries of the framer, so it may begin with the LF of a CRLF whose CR
// ended the one before, and end with comments and `retry:` lines whose block goes on. Each of these
// is handed out as an event, too: one without a field (sse/fields.h) that tells a client anything.
// All that is handed out adds up to the run.
#pragma once

#include "sse/lines.h"
#include "sse/pieces.h"

namespace sluice {

// A stream without the byte order mark that may open it (html.spec.whatwg.org 9.2.5): it belongs to
// no line. For the first run of a stream only.
Pieces without_mark(Pieces stream) noexcept;

class EventReader {
 public:
  explicit EventReader(Pieces run) noexcept : rest_(run), lines_(run) {}

  // The next event, its empty line included. False: there is none.
  bool next(Pieces& event) noexcept;
  // The same for a caller who wants its lines, too, but for the empty one: take(line). So they are
  // found once (read_field() of sse/fields.h reads them).
  template <typename Take>
  bool next(Pieces& event, Take take) {
    if (rest_.empty()) return false;
    for (Pieces line; lines_.next(line) && !line.empty();) take(line);
    event = rest_.prefix(rest_.size() - lines_.rest().size());
    rest_ = lines_.rest();
    return true;
  }

 private:
  Pieces rest_;
  LineReader lines_;
};

}  // namespace sluice
