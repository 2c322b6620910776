#include "net/filter/json_text.h"

#include <cstring>

namespace sluice {

namespace {

unsigned hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  return (static_cast<unsigned>(c | 0x20) - 'a' + 10) & 0xf;
}

size_t write_utf8(uint32_t code, char* out) {
  auto put = [&](size_t i, uint32_t bits) { out[i] = static_cast<char>(bits); };
  if (code < 0x80) {
    put(0, code);
    return 1;
  }
  if (code < 0x800) {
    put(0, 0xC0 | (code >> 6));
    put(1, 0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    put(0, 0xE0 | (code >> 12));
    put(1, 0x80 | ((code >> 6) & 0x3F));
    put(2, 0x80 | (code & 0x3F));
    return 3;
  }
  put(0, 0xF0 | (code >> 18));
  put(1, 0x80 | ((code >> 12) & 0x3F));
  put(2, 0x80 | ((code >> 6) & 0x3F));
  put(3, 0x80 | (code & 0x3F));
  return 4;
}

}  // namespace

size_t string_end(std::string_view text, size_t at) {
  for (size_t from = at + 1; from < text.size();) {
    const void* found = std::memchr(text.data() + from, '"', text.size() - from);
    if (!found) break;
    auto quote = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    size_t backslashes = 0;
    while (quote - backslashes > at + 1 && text[quote - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return quote + 1;
    from = quote + 1;
  }
  return text.size();
}

size_t value_end(std::string_view text, size_t at) {
  size_t depth = 0;
  while (at < text.size()) {
    switch (text[at]) {
      case '"':
        at = string_end(text, at);
        if (depth == 0) return at;
        break;
      case '{':
      case '[':
        ++depth;
        ++at;
        break;
      case '}':
      case ']':
        if (depth == 0) return at;
        ++at;
        if (--depth == 0) return at;
        break;
      case ',':
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        if (depth == 0) return at;
        ++at;
        break;
      default:
        ++at;
    }
  }
  return at;
}

uint32_t JsonStringReader::code_unit(size_t at) const {
  uint32_t code = 0;
  for (size_t i = 0; i < 4 && at + i < raw_.size(); ++i) code = code * 16 + hex_digit(raw_[at + i]);
  return code;
}

std::string_view JsonStringReader::next() {
  if (raw_[at_] != '\\' || at_ + 1 == raw_.size()) return raw_.substr(at_++, 1);
  char kind = raw_[at_ + 1];
  if (kind != 'u') {
    constexpr std::string_view kKinds = "bfnrt";
    constexpr std::string_view kMeanings = "\b\f\n\r\t";
    size_t place = kKinds.find(kind);
    at_ += 2;
    return place == kKinds.npos ? raw_.substr(at_ - 1, 1) : kMeanings.substr(place, 1);
  }
  uint32_t code = code_unit(at_ + 2);
  at_ = std::min(at_ + 6, raw_.size());
  if (code >= 0xD800 && code < 0xDC00 && raw_.substr(at_, 2) == "\\u") {
    uint32_t low = code_unit(at_ + 2);
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      at_ = std::min(at_ + 6, raw_.size());
    }
  }
  if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;  // half of a pair
  return {utf8_, write_utf8(code, utf8_)};
}

std::string_view unescaped(std::string_view raw, std::string& room) {
  if (raw.find('\\') == raw.npos) return raw;
  room.clear();
  for (JsonStringReader reader(raw); !reader.done();) room += reader.next();
  return room;
}

bool string_equals(std::string_view raw, std::string_view text) {
  if (raw.find('\\') == raw.npos) return raw == text;
  for (JsonStringReader reader(raw); !reader.done();) {
    std::string_view part = reader.next();
    if (!text.starts_with(part)) return false;
    text.remove_prefix(part.size());
  }
  return text.empty();
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  size_t copied = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(copied, at - copied)) += '\\';
    copied = at + 1;
    if (c == '\n') {
      out += 'n';
    } else if (byte < 0x20) {
      out += "u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += c;
    }
  }
  out += text.substr(copied);
}

}  // namespace sluice
