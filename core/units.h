// Sizes and times as people write them: "4k", "256m", "500ms", "30s", "5m", "1h". Used by flags,
// the configuration file and the demo. Pure functions, callable from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// Bytes. Accepts a decimal number with an optional k, m or g (powers of 1024, either case).
// nullopt: not of that form, or more than 2^63-1.
std::optional<uint64_t> parse_size(std::string_view text);

// Milliseconds. Accepts a decimal number with ms, s, m or h; a bare "0" needs no unit. Any other
// bare number is refused, since its unit would be a guess.
std::optional<uint64_t> parse_duration_ms(std::string_view text);

// Microseconds, in the same form, with us too.
std::optional<uint64_t> parse_duration_us(std::string_view text);

// The shortest text that the parsers above read back as the same value.
std::string format_size(uint64_t bytes);
std::string format_duration_ms(uint64_t ms);
std::string format_duration_us(uint64_t us);

// The entry of `candidates` that is closest to `word` by edit distance, or "" if none is near
// enough to be a slip of the keyboard.
template <typename Range>
std::string closest_name(std::string_view word, const Range& candidates);

// Levenshtein distance, O(a*b), for short names.
size_t edit_distance(std::string_view a, std::string_view b);

template <typename Range>
std::string closest_name(std::string_view word, const Range& candidates) {
  std::string best;
  size_t best_distance = word.size() / 3 + 2;
  for (const auto& candidate : candidates) {
    size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace sluice
