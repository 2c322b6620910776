#include "net/hub/names.h"

#include <cstdint>

namespace sluice {

namespace {

// How long the character at the front of `text` is; 0: it is not UTF-8 (RFC 3629 section 4).
size_t character_bytes(std::string_view text) {
  auto byte = [text](size_t at) { return static_cast<uint8_t>(text[at]); };
  uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  size_t bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < bytes) return 0;
  for (size_t at = 1; at < bytes; ++at) {
    if ((byte(at) & 0xC0) != 0x80) return 0;
  }
  // Too long a form, a surrogate, or beyond the last code point.
  if (first == 0xE0 && byte(1) < 0xA0) return 0;
  if (first == 0xED && byte(1) > 0x9F) return 0;
  if (first == 0xF0 && byte(1) < 0x90) return 0;
  if (first == 0xF4 && byte(1) > 0x8F) return 0;
  return bytes;
}

bool is_control(std::string_view character) {
  auto first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
}

}  // namespace

std::string_view category_of(std::string_view name) {
  return name.substr(0, name.find('-'));
}

std::optional<std::string_view> id_of(std::string_view name) {
  size_t dash = name.find('-');
  if (dash == name.npos) return std::nullopt;
  return name.substr(dash + 1);
}

std::optional<std::string_view> cardinal_id_of(std::string_view name) {
  std::optional<std::string_view> id = id_of(name);
  if (id) id = id->substr(0, id->find('+'));
  return id;
}

const char* name_fault(std::string_view name) {
  if (name.empty()) return "the name is empty";
  if (name.size() > limits::kStreamNameBytesMax) return "the name is longer than 256 bytes";
  if (name[0] == '-') return "the name has no category before its '-'";
  while (!name.empty()) {
    size_t bytes = character_bytes(name);
    if (bytes == 0) return "the name is not UTF-8";
    if (is_control(name.substr(0, bytes))) return "the name has a control character in it";
    name.remove_prefix(bytes);
  }
  return nullptr;
}

}  // namespace sluice
