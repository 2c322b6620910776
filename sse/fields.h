// The fields of an event, as the WHATWG has a client read them (html.spec.whatwg.org 9.2.6), each
// value as a view of where it lies. What a client ignores is left out: names that it does not know,
// an `id` with a NUL, a `retry` that is not all digits, a line without an end. Comments, which it
// ignores, too, are handed out. Of several `event` or `id` fields the last counts; the lines of
// `data` are joined by LFs. FieldReader never keeps or changes bytes, and allocates nothing.
//
//   Field field;
//   for (FieldReader fields(event); fields.next(field);)
//     if (field.kind == FieldKind::kId) last_id = field.value;
//
// A run of whole events may be read like one event by a caller to whom their ends mean nothing.
#pragma once

#include <cstdint>

#include "sse/lines.h"
#include "sse/pieces.h"

namespace sluice {

enum class FieldKind : uint8_t { kComment, kData, kEvent, kId, kRetry };

struct Field {
  FieldKind kind = FieldKind::kComment;
  // Without the one space that may follow the colon; of a comment, all that follows its colon.
  Pieces value;
};

// The field of a line that is not empty, which comes without its end. False: a client ignores it.
bool read_field(const Pieces& line, Field& field) noexcept;

class FieldReader {
 public:
  explicit FieldReader(Pieces event) noexcept : lines_(event) {}

  // The next field. False: there is none.
  bool next(Field& field) noexcept;

 private:
  LineReader lines_;
};

}  // namespace sluice
