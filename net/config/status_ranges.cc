#include "net/config/status_ranges.h"

#include <algorithm>
#include <optional>

#include "core/text.h"

namespace sluice {
namespace {

std::optional<uint16_t> parse_status(std::string_view text) {
  auto status = parse_decimal(text, 599);
  if (!status || *status < 200) return std::nullopt;
  return static_cast<uint16_t>(*status);
}

std::string wrong_with(std::string_view item, const char* what) {
  return "'" + std::string(item) + "' " + what;
}

std::string parse_range(std::string_view item, StatusRanges::Range* range) {
  size_t dash = item.find('-');
  auto first = parse_status(item.substr(0, dash));
  auto last = dash == item.npos ? first : parse_status(item.substr(dash + 1));
  if (!first || !last)
    return wrong_with(item, "is no status from 200 to 599 and no range of these, such as 200-399");
  if (*first > *last) return wrong_with(item, "is a range that ends before it begins");
  *range = {*first, *last};
  return "";
}

}  // namespace

bool StatusRanges::include(int status) const {
  return std::ranges::any_of(ranges, [status](const Range& range) {
    return range.first != 0 && status >= range.first && status <= range.last;
  });
}

std::string StatusRanges::text() const {
  std::string all;
  for (const Range& range : ranges) {
    if (range.first == 0) break;
    if (!all.empty()) all += ',';
    all += std::to_string(range.first);
    if (range.last != range.first) all += '-' + std::to_string(range.last);
  }
  return all;
}

std::string parse_status_ranges(std::string_view text, StatusRanges* into) {
  StatusRanges parsed;
  size_t count = 0;
  while (true) {
    size_t end = text.find_first_of(",+");
    if (count == StatusRanges::kMax)
      return "more than " + std::to_string(StatusRanges::kMax) + " statuses and ranges";
    std::string wrong = parse_range(text.substr(0, end), &parsed.ranges[count++]);
    if (!wrong.empty()) return wrong;
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  *into = parsed;
  return "";
}

}  // namespace sluice
