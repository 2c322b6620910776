// What functions of scripts need beside Lua: expressions and pointers that they have named,
// compiled and kept; the check of JSON; room for texts. Bounded: where too many are kept, all of
// them go. One for each ScriptState, used on its worker's thread. It knows nothing of Lua, so
// nothing here is left by an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/filter/json_check.h"
#include "net/filter/json_edit.h"
#include "net/filter/json_pointer.h"
#include "net/filter/pattern.h"

namespace sluice {

class ScriptTools {
 public:
  static constexpr size_t kKeptMax = 64;

  struct Pointer {
    JsonPointer pointer;
    JsonPointer parent;

    JsonTarget target() const { return {pointer, parent}; }
  };

  // Null: it is none, and `wrong` says why. Else it stays until another one is asked for. `made`:
  // it was not there.
  const Pattern* pattern(std::string_view expression, bool& made);
  const Pointer* pointer(std::string_view text);
  std::string wrong;

  // `call`: a number of the call that is under way. Within one a text at the same place is the same
  // text: Lua's never change, and none goes away before the call's end. `checked`: it was not
  // known.
  bool is_json(std::string_view text, uint64_t call, bool& checked);
  void note_json(std::string_view text, uint64_t call);

  std::string out;
  std::string room;
  std::string value;
  std::vector<JsonPart> parts;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <typename Value>
  using ByText = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  ByText<Pattern> patterns_;
  ByText<Pointer> pointers_;
  JsonCheck check_{4096};
  std::string padded_;
  std::string_view json_;  // found to be JSON, in that call
  uint64_t json_in_call_ = 0;
};

}  // namespace sluice
