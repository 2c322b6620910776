// A few ranges of HTTP statuses, as a value that a setting has: "200-399", "200,204,300-399".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

struct StatusRanges {
  struct Range {
    uint16_t first = 0;  // 0: no more ranges
    uint16_t last = 0;

    bool operator==(const Range&) const = default;
  };
  static constexpr size_t kMax = 8;

  std::array<Range, kMax> ranges{};

  bool include(int status) const;
  // As it is given: "200-399".
  std::string text() const;
  bool operator==(const StatusRanges&) const = default;
};

// Statuses of final answers, 200 to 599. What is wrong with the text, or "". A comma ends a value
// within --route, where a plus does as well.
std::string parse_status_ranges(std::string_view text, StatusRanges* into);

}  // namespace sluice
