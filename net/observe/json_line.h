// Members of a line of JSON, appended to a text; the first one opens the object. For logs, on their
// worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/text.h"

namespace sluice {

// Milliseconds with three decimals.
void append_ms(std::string& out, uint64_t ns);

class JsonLine {
 public:
  explicit JsonLine(std::string& out) : out_(out) {}

  void text(std::string_view key, std::string_view value) {
    name(key);
    out_ += '"';
    append_json_escaped(out_, value);
    out_ += '"';
  }
  void number(std::string_view key, uint64_t value) {
    name(key);
    append_number(out_, value);
  }
  void ms(std::string_view key, uint64_t ns) {
    name(key);
    append_ms(out_, ns);
  }
  void null(std::string_view key) {
    name(key);
    out_ += "null";
  }

 private:
  void name(std::string_view key) {
    out_ += out_.empty() ? "{\"" : ",\"";
    out_ += key;
    out_ += "\":";
  }

  std::string& out_;
};

}  // namespace sluice
