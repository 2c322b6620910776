#include "sse/id_lines.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sse/fields.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> lines_of(std::string_view bytes) {
  std::vector<std::string> lines;
  size_t at = 0;
  for (std::string_view line; !(line = next_id_line(bytes, at)).empty();) lines.emplace_back(line);
  return lines;
}

TEST(IdLines, AreFoundWhereLinesBegin) {
  EXPECT_THAT(lines_of("id: 1\ndata: id: 2\n\ndata: x\rid:3\rretry: 4\r\ni\n\nid: no end"),
              ElementsAre("id: 1\n", "id:3\r", "retry: 4\r", "i\n"));
  EXPECT_THAT(lines_of(""), ElementsAre());
  EXPECT_THAT(lines_of("\nid: 1\n"), ElementsAre("id: 1\n"));
}

// What is passed over holds no id, wherever lines lie within the blocks that are scanned.
TEST(IdLines, AgreeWithTheReaderOfAllFields) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::string text;
    unsigned state = seed;
    auto draw = [&state](unsigned count) {
      state = state * 1664525 + 1013904223;
      return (state >> 16) % count;
    };
    for (unsigned lines = draw(12); lines > 0; --lines) {
      static constexpr const char* kLines[] = {"id: 7", "id",  "id:",    "data: id: 3",
                                               "",      ": x", "idx: 1", "retry: 5"};
      static constexpr const char* kEnds[] = {"\n", "\r\n", "\r"};
      text += kLines[draw(8)] + std::string(draw(2) * draw(90), 'i') + kEnds[draw(3)];
    }
    auto ids = [](std::string_view bytes, std::vector<std::string>& into) {
      Field field;
      for (FieldReader fields{Pieces(bytes)}; fields.next(field);)
        if (field.kind == FieldKind::kId || field.kind == FieldKind::kRetry)
          into.emplace_back(field.value.first());
    };
    std::vector<std::string> all;
    std::vector<std::string> found;
    ids(text, all);
    for (const std::string& line : lines_of(text)) ids(line, found);
    ASSERT_EQ(found, all) << "seed " << seed << ": " << text;
  }
}

}  // namespace
}  // namespace sluice
