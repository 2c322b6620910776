// The few operations on header text that the HTTP/1 files share: tokens, blanks, names without
// case, comma-separated lists (RFC 9110 section 5.6). Pure functions on views, any thread; they
// never allocate. Bytes outside ASCII are data: no locale takes part.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "core/text.h"

namespace sluice {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_alphanumeric(char c) {
  const char lower = ascii_lower(c);
  return is_digit(c) || (lower >= 'a' && lower <= 'z');
}

constexpr bool is_hex_digit(char c) {
  const char lower = ascii_lower(c);
  return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

constexpr unsigned hex_value(char digit) {
  return static_cast<unsigned>(is_digit(digit) ? digit - '0' : ascii_lower(digit) - 'a' + 10);
}

// A table, since every byte of every field's name is looked up.
inline constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> token{};
  for (const unsigned char c : std::string_view("!#$%&'*+-.^_`|~")) token[c] = true;
  for (unsigned c = 0; c < token.size(); ++c) token[c] |= is_alphanumeric(static_cast<char>(c));
  return token;
}();

constexpr bool is_token_char(char c) {
  return kTokenChars[static_cast<unsigned char>(c)];
}

constexpr bool is_token(std::string_view text) {
  for (const char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

constexpr bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The characters of a field's value, and of quoted or escaped text in it: no control character but
// HTAB (RFC 9110 section 5.5).
constexpr bool is_text_char(char c) {
  return (static_cast<unsigned char>(c) >= ' ' && c != '\x7f') || c == '\t';
}

// Without leading and trailing SP and HTAB.
constexpr std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The text before ';', without blanks: a media type or list element without its parameters.
constexpr std::string_view without_parameters(std::string_view text) {
  return trim_blanks(text.substr(0, text.find(';')));
}

// Calls predicate(element) for the elements of a comma-separated list, blanks trimmed and empty
// ones included, until it returns true. Commas inside quotes separate too: a field that decides
// about framing or forwarding may hold no quotes.
template <typename Predicate>
constexpr bool any_list_element(std::string_view list, Predicate&& predicate) {
  while (true) {
    const size_t comma = list.find(',');
    if (predicate(trim_blanks(list.substr(0, comma)))) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace sluice
