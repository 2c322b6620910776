// JSON as bytes: where the values of a text lie, and how strings are written. It goes through text
// that a parser has found to be valid (net/filter/json_check.h); of any other it finds something
// within it. Pure functions, which allocate nothing but what is appended; any thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

constexpr bool is_json_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
// Behind the blanks that begin at `at`.
constexpr size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size() && is_json_blank(text[at])) ++at;
  return at;
}
// Behind the string whose opening quote is at `at`.
size_t string_end(std::string_view text, size_t at);
// Behind the value that begins at `at`.
size_t value_end(std::string_view text, size_t at);

// Goes through what stands between a string's quotes, one character (or escape) at a time.
class JsonStringReader {
 public:
  explicit JsonStringReader(std::string_view raw) : raw_(raw) {}

  bool done() const { return at_ == raw_.size(); }
  // Of the raw bytes.
  size_t at() const { return at_; }
  // The bytes that the next character stands for, in UTF-8; until the next call.
  std::string_view next();

 private:
  uint32_t code_unit(size_t at) const;

  std::string_view raw_;
  size_t at_ = 0;
  char utf8_[4] = {};
};

// What a string means: `raw` itself where it has no escapes, else put into `room`.
std::string_view unescaped(std::string_view raw, std::string& room);
// The same as `raw` stands for.
bool string_equals(std::string_view raw, std::string_view text);
// Escapes what JSON wants escaped; other bytes stay as they are.
void append_escaped(std::string& out, std::string_view text);

}  // namespace sluice
