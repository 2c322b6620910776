#include "core/text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice {

namespace {

template <typename Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number number = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

}  // namespace

#if defined(__SSE2__)
// Sixteen places at a time: only where two inner bytes of `what` stand in their distance is the
// whole compared. Its outer bytes are quotes in most of what is looked for, which are everywhere in
// JSON.
size_t find_text(std::string_view text, std::string_view what, size_t from) {
  constexpr size_t kStep = 16;
  bool is_short = from > text.size() || text.size() - from < kStep - 1 + what.size();
  if (what.size() < 4 || is_short) return text.find(what, from);
  size_t first = 1;
  size_t second = what.size() - 2;
  auto is_at = [](const char* place, char c) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(place));
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
  };
  const size_t end = text.size() - kStep - what.size() + 1;  // where the last step begins
  for (size_t at = from;; at = std::min(at + kStep, end)) {
    const char* place = text.data() + at;
    int alike = _mm_movemask_epi8(
        _mm_and_si128(is_at(place + first, what[first]), is_at(place + second, what[second])));
    for (auto left = static_cast<unsigned>(alike); left != 0; left &= left - 1) {
      auto found = static_cast<size_t>(std::countr_zero(left));
      if (std::memcmp(place + found, what.data(), what.size()) == 0) return at + found;
    }
    if (at == end) return std::string_view::npos;
  }
}

size_t find_either(std::string_view text, char one, char other, size_t from) {
  constexpr size_t kStep = 16;
  const __m128i ones = _mm_set1_epi8(one);
  const __m128i others = _mm_set1_epi8(other);
  for (; text.size() - from >= kStep; from += kStep) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + from));
    int found =
        _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, ones), _mm_cmpeq_epi8(bytes, others)));
    if (found != 0)
      return from + static_cast<size_t>(std::countr_zero(static_cast<unsigned>(found)));
  }
  while (from < text.size() && text[from] != one && text[from] != other) ++from;
  return from;
}
#else
size_t find_text(std::string_view text, std::string_view what, size_t from) {
  return text.find(what, from);
}

size_t find_either(std::string_view text, char one, char other, size_t from) {
  while (from < text.size() && text[from] != one && text[from] != other) ++from;
  return from;
}
#endif

std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t max) {
  auto number = parse_whole<uint64_t>(text);
  return number && *number <= max ? number : std::nullopt;
}

std::optional<double> parse_real(std::string_view text) {
  return parse_whole<double>(text);
}

// The finalizer of splitmix64.
uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// FNV-1a, mixed.
uint64_t hash_text(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mix(hash);
}

void append_number(std::string& out, uint64_t value) {
  std::array<char, 20> digits{};
  char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

const char* error_name(int error) {
  const char* name = strerrorname_np(error);
  return name ? name : "unknown_error";
}

void append_json_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  return text;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

}  // namespace sluice
