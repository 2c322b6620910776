// A place within JSON (RFC 6901), and where that place is in a text. Made when the configuration is
// read, and only read from then on, by all workers. Of members that share a name the last counts,
// as in JSON.parse(). The text has to be valid JSON; finding allocates nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// A value within a text, as offsets. Of a member or an element also what is around it.
struct JsonPlace {
  static constexpr size_t kNone = std::string_view::npos;

  size_t begin = 0;  // of the value
  size_t end = 0;
  size_t name_begin = kNone;  // of the member's name, its quotes included
  size_t name_end = kNone;
  size_t item_begin = 0;        // of the name, or of an array's element
  size_t comma_before = kNone;  // that separates it from the one before
  size_t comma_behind = kNone;
};

// What is in an object or an array, in order; in any other value there is nothing.
class JsonItems {
 public:
  JsonItems(std::string_view json, const JsonPlace& value);

  bool next(JsonPlace& item);
  // Whether the one that was read last has that name, or that index.
  bool is_called(const JsonPlace& item, std::string_view token) const;

 private:
  std::string_view json_;
  bool object_;
  size_t at_ = 0;
  size_t end_ = 0;  // the last bracket
  size_t read_ = 0;
  size_t comma_before_ = JsonPlace::kNone;
};

class JsonPointer {
 public:
  // nullopt: it is none.
  static std::optional<JsonPointer> parse(std::string_view text);

  bool is_root() const { return tokens_.empty(); }
  const std::string& last() const { return tokens_.back(); }
  // Without its last token.
  JsonPointer parent() const;

  // False: there is nothing.
  bool find(std::string_view json, JsonPlace& place) const;
  // A text without `"token"` of the last token that is no index cannot have this place, unless it
  // has names with escapes. Empty: any text may.
  const std::string& needle() const { return needle_; }

 private:
  static bool find_in(std::string_view json, std::string_view token, JsonPlace& place);
  void set_needle();

  std::vector<std::string> tokens_;
  std::string needle_;
};

}  // namespace sluice
