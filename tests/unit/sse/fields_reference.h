// What the readers of events and fields are held against: the same found line by line in one text,
// with none of their cleverness, and a check of one way to cut that text into pieces. Every piece
// is a heap block of exactly its size, so that ASan sees a byte too many.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "sse/events.h"
#include "sse/fields.h"
#include "sse/scanner.h"

namespace sluice::test {

// A field as a text: "data|value".
using FieldTexts = std::vector<std::string>;

// Takes the first line off a text; false where it has no end.
inline bool take_line(std::string_view& text, std::string_view& line) {
  size_t end = text.find_first_of("\r\n");
  if (end == std::string_view::npos) return false;
  line = text.substr(0, end);
  text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  return true;
}

inline FieldTexts reference_fields(std::string_view text) {
  FieldTexts fields;
  for (std::string_view line; take_line(text, line);) {
    size_t colon = line.find(':');
    std::string name(line.substr(0, colon));
    std::string value(colon == line.npos ? "" : line.substr(colon + 1));
    if (colon == 0) {
      fields.push_back("comment|" + value);
      continue;
    }
    if (value.starts_with(' ')) value.erase(0, 1);
    bool ignored = name != "data" && name != "event" && name != "id" && name != "retry";
    if (name == "id") ignored = value.find('\0') != value.npos;
    if (name == "retry")
      ignored = value.empty() || value.find_first_not_of("0123456789") != value.npos;
    if (!ignored) fields.push_back(name + "|" + value);
  }
  return fields;
}

inline std::vector<std::string> reference_events(std::string_view text) {
  std::vector<std::string> events;
  while (!text.empty()) {
    std::string_view rest = text;
    std::string_view line = "?";
    while (!line.empty() && take_line(rest, line)) {
    }
    if (!line.empty()) rest = {};  // the last, which has no empty line
    events.emplace_back(text.substr(0, text.size() - rest.size()));
    text = rest;
  }
  return events;
}

inline std::string text_of(Pieces bytes) {
  std::string text;
  const size_t size = bytes.size();
  const bool in_one_piece = bytes.in_one_piece();
  std::string room(size, '?');
  const std::string flat(bytes.flat(room));
  size_t pieces = 0;
  for (; !bytes.empty(); bytes.remove_prefix(bytes.first().size()), ++pieces) {
    EXPECT_FALSE(bytes.first().empty());
    text += bytes.first();
  }
  EXPECT_EQ(text.size(), size);
  EXPECT_EQ(text, flat);
  EXPECT_EQ(in_one_piece, pieces <= 1);
  return text;
}

inline FieldTexts fields_of(Pieces bytes) {
  constexpr std::string_view kNames[] = {"comment", "data", "event", "id", "retry"};
  FieldTexts fields;
  Field field;
  FieldReader reader(bytes);
  while (reader.next(field))
    fields.push_back(std::string(kNames[static_cast<size_t>(field.kind)]) + "|" +
                     text_of(field.value));
  EXPECT_FALSE(reader.next(field)) << "after the last";
  return fields;
}

// A text in pieces of their own memory.
class CutText {
 public:
  // `cuts`: ascending offsets at which one piece ends and the next begins.
  CutText(std::string_view text, std::vector<size_t> cuts) {
    cuts.push_back(text.size());
    size_t begin = 0;
    for (size_t end : cuts) {
      blocks_.emplace_back(text.begin() + static_cast<ptrdiff_t>(begin),
                           text.begin() + static_cast<ptrdiff_t>(end));
      begin = end;
    }
    for (const std::vector<char>& block : blocks_) views_.emplace_back(block.data(), block.size());
  }
  Pieces pieces() const { return Pieces(views_); }

 private:
  std::vector<std::vector<char>> blocks_;
  std::vector<std::string_view> views_;
};

// The fields of the text as a whole, its events, and the fields of each.
inline void expect_fields(std::string_view text, const std::vector<size_t>& cuts) {
  SCOPED_TRACE("scanner " + std::string(active_scanner().name) + ", cuts " +
               testing::PrintToString(cuts) + " of " + testing::PrintToString(std::string(text)));
  const CutText cut(text, cuts);
  EXPECT_EQ(fields_of(cut.pieces()), reference_fields(text));
  std::vector<std::string> events;
  Pieces event;
  EventReader reader(cut.pieces());
  while (reader.next(event)) {
    events.push_back(text_of(event));
    EXPECT_EQ(fields_of(event), reference_fields(events.back()));
  }
  EXPECT_EQ(events, reference_events(text));
}

inline void expect_fields_byte_by_byte(std::string_view text) {
  std::vector<size_t> cuts;
  for (size_t at = 1; at < text.size(); ++at) cuts.push_back(at);
  expect_fields(text, cuts);
}

}  // namespace sluice::test
