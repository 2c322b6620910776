// Small pieces of text that several rooms read or write: numbers, errors, JSON strings. Pure, any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// The number that `text` is from its first byte to its last: decimal digits only, no sign, no
// blank. nullopt: it is anything else, or more than `max`.
std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t max = UINT64_MAX);
// The same of a number that may have a sign, a fraction and an exponent ("0.5", "1e3").
std::optional<double> parse_real(std::string_view text);

// Where `what` begins for the first time at or behind `from`; npos: nowhere. For texts of some
// hundred bytes: memmem() builds a table at each call, and string_view's find() stops at each quote
// of a JSON text.
size_t find_text(std::string_view text, std::string_view what, size_t from = 0);
// Where one of the two bytes stands for the first time at or behind `from`, which is within the
// text; its size: nowhere.
size_t find_either(std::string_view text, char one, char other, size_t from);

void append_number(std::string& out, uint64_t value);

// Spread over all 64 bits, and the same in every process.
uint64_t hash_text(std::string_view text);
// The bits of `value`, well mixed.
uint64_t mix(uint64_t value);

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// The name of an errno ("ECONNREFUSED"), which lives as long as the program.
const char* error_name(int error);

// ASCII letters, as names of hosts have them.
std::string lower_case(std::string_view text);

// Appends text with ", \ and control characters escaped as JSON has them. Bytes beyond ASCII are
// escaped as if they were Latin-1, so that a peer's bytes never make the line invalid.
void append_json_escaped(std::string& out, std::string_view text);

// What was typed or read may hold anything; a message stays one line.
std::string one_line(std::string text);

}  // namespace sluice
