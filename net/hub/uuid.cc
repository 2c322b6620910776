#include "net/hub/uuid.h"

#include <cstdint>

namespace sluice {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

constexpr bool is_dash(size_t at) {
  return at == 8 || at == 13 || at == 18 || at == 23;
}

}  // namespace

std::optional<std::array<char, kUuidBytes>> uuid_of(std::string_view text) {
  if (text.size() != kUuidTextBytes) return std::nullopt;
  std::array<char, kUuidBytes> bytes{};
  size_t digits = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (is_dash(at)) {
      if (text[at] != '-') return std::nullopt;
      continue;
    }
    size_t value = kDigits.find(text[at]);
    if (value == kDigits.npos) return std::nullopt;
    char& byte = bytes[digits / 2];
    byte = static_cast<char>(static_cast<uint8_t>(byte) << 4 | value);
    ++digits;
  }
  return bytes;
}

std::array<char, kUuidTextBytes> uuid_text(std::string_view bytes) {
  std::array<char, kUuidTextBytes> text{};
  size_t digits = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (is_dash(at)) {
      text[at] = '-';
      continue;
    }
    auto byte = static_cast<uint8_t>(bytes[digits / 2]);
    text[at] = kDigits[digits % 2 == 0 ? byte >> 4 : byte & 15];
    ++digits;
  }
  return text;
}

}  // namespace sluice
