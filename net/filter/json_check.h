// Whether a text is JSON, as simdjson says: its grammar, its numbers, its strings, its UTF-8. The
// parser has memory of its own, some 14 bytes for each of a text, made once for texts of the size
// that is given. It grows where longer ones come, up to 64 KiB; what is longer than both has a
// parser that goes with it. One a worker, used on its thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace sluice {

class JsonCheck {
 public:
  // So many bytes behind a text have to be readable; what they are does not matter.
  static constexpr size_t kPadding = 64;
  // It has memory for texts of that size for good once one has come.
  static constexpr size_t kKeptBytes = 64UL * 1024;

  explicit JsonCheck(size_t text_bytes);
  ~JsonCheck();

  // `text` has its padding.
  bool valid(std::string_view text);
  // Needs no padding.
  static bool is_utf8(std::string_view text);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace sluice
