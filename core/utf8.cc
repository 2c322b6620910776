#include "core/utf8.h"

#include <algorithm>
#include <cstdint>

namespace sluice {

namespace {

// Of the character that begins there (RFC 3629); 0: none does.
size_t character_size(std::string_view text) {
  auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  auto goes_on = [&byte](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  uint8_t first = byte(0);
  uint8_t second = byte(1);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !goes_on(1)) return 0;
  if (first < 0xE0) return 2;
  // Neither longer than need be, nor half of a pair, nor beyond the last.
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) return 0;
  if (!goes_on(2)) return 0;
  if (first < 0xF0) return 3;
  return goes_on(3) ? 4 : 0;
}

}  // namespace

std::string_view as_utf8(std::string_view text, std::string& room) {
  size_t valid = 0;
  while (valid < text.size()) {
    size_t size = character_size(text.substr(valid));
    if (size == 0) break;
    valid += size;
  }
  if (valid == text.size()) return text;
  room = text.substr(0, valid);
  for (size_t i = valid; i < text.size();) {
    size_t size = character_size(text.substr(i));
    room += size > 0 ? text.substr(i, size) : std::string_view("\xEF\xBF\xBD");
    i += std::max<size_t>(size, 1);
  }
  return room;
}

}  // namespace sluice
