#include "core/units.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "core/text.h"

namespace sluice {
namespace {

constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();

struct Unit {
  std::string_view suffix;
  uint64_t factor;
};

// Largest first: format_scaled takes the first that divides.
constexpr Unit kSizeUnits[] = {{"g", 1ULL << 30}, {"m", 1ULL << 20}, {"k", 1ULL << 10}, {"", 1}};
constexpr Unit kDurationUnits[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit kFineDurationUnits[] = {
    {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<uint64_t> parse_scaled(std::string_view text, std::span<const Unit> units) {
  size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto unit = std::ranges::find_if(units, [suffix = text.substr(digits)](const Unit& u) {
    return equal_ignoring_case(u.suffix, suffix);
  });
  if (unit == units.end()) return std::nullopt;
  auto number = parse_decimal(text.substr(0, digits), kMax / unit->factor);
  return number ? std::optional(*number * unit->factor) : std::nullopt;
}

std::string format_scaled(uint64_t value, std::span<const Unit> units) {
  if (value == 0) return "0";
  auto unit = std::ranges::find_if(units, [value](const Unit& u) { return value % u.factor == 0; });
  return std::to_string(value / unit->factor).append(unit->suffix);
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
  return parse_scaled(text, kSizeUnits);
}

std::optional<uint64_t> parse_duration_ms(std::string_view text) {
  if (text == "0") return 0;
  return parse_scaled(text, kDurationUnits);
}

std::optional<uint64_t> parse_duration_us(std::string_view text) {
  if (text == "0") return 0;
  return parse_scaled(text, kFineDurationUnits);
}

std::string format_size(uint64_t bytes) {
  return format_scaled(bytes, kSizeUnits);
}

std::string format_duration_ms(uint64_t ms) {
  return format_scaled(ms, kDurationUnits);
}

std::string format_duration_us(uint64_t us) {
  return format_scaled(us, kFineDurationUnits);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  // One row of the table at a time: row[j] is the distance of a's first i bytes to b's first j.
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace sluice
