// One event while filters look at it: its text in one piece, what its fields are, its JSON, and the
// edits that are made. An edit copies the text with the new bytes in their place, so bytes that no
// edit touches stay as they are. Its buffers are kept from event to event: no event allocates once
// they have grown. One a worker, used on its thread.
// JSON that stands in several `data` lines is looked at as one line, with a blank for each line end
// within, and is written so where it is changed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/filter/json_check.h"
#include "net/filter/json_edit.h"
#include "sse/pieces.h"

namespace sluice {

class EventText {
 public:
  explicit EventText(size_t event_bytes);
  EventText(const EventText&) = delete;
  EventText& operator=(const EventText&) = delete;

  // `padded`: an event in one piece has JsonCheck::kPadding readable bytes behind it. It has to
  // outlive the look at it.
  void begin(const Pieces& event, bool padded);

  bool edited() const { return edits_ > 0; }
  size_t edits() const { return edits_; }
  std::string_view text() const { return text_; }

  // A client dispatches no event for it otherwise (html.spec.whatwg.org 9.2.6).
  bool has_data() { return fields().data_lines > 0; }
  // "message" where it has none.
  std::string_view type();
  std::string_view id() { return fields().id; }
  // All data lines, put together as a client does it; `room` where they are several.
  std::string_view data(std::string& room);
  bool data_is(std::string_view text) { return fields().data_lines == 1 && fields().data == text; }
  // Some text without which it is in none of the data lines, names with escapes apart.
  bool may_have_name(std::string_view needle);

  enum class Json : uint8_t { kNone, kValid, kInvalid };
  Json json();
  // Where json() is kValid.
  std::string_view json_text() { return fields().data; }

  using Part = JsonPart;
  // Of the JSON; the edit leaves it valid.
  void replace_json(Part part, std::string_view with) { replace_json({&part, 1}, with); }
  void replace_json(std::span<const Part> parts, std::string_view with);
  // `lines`: whole `data` lines.
  void replace_data(std::string_view lines);
  void replace_type(std::string_view type);

 private:
  struct Fields {
    std::string_view type;
    std::string_view id;
    std::string_view data;  // the first line of it
    size_t data_lines = 0;
    bool has_type = false;
  };

  const Fields& fields() {
    if (!fields_known_) read_fields();
    return fields_;
  }
  void read_fields();
  std::string_view line_end();
  bool merge_data_lines();
  void write_with_data(std::string_view lines, std::string& out);
  std::string& spare();
  void take(std::string& written);

  std::string_view text_;
  bool padded_ = false;
  bool fields_known_ = false;
  bool json_known_ = false;
  size_t edits_ = 0;
  Json json_ = Json::kNone;
  Fields fields_;
  std::array<std::string, 2> buffers_;
  std::string lines_;
  JsonCheck check_;
};

}  // namespace sluice
