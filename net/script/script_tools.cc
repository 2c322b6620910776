#include "net/script/script_tools.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sluice {

const Pattern* ScriptTools::pattern(std::string_view expression, bool& made) {
  made = false;
  auto found = patterns_.find(expression);
  if (found != patterns_.end()) return &found->second;
  made = true;
  wrong.clear();
  Pattern compiled(std::string(expression), 1, wrong);
  if (!wrong.empty()) return nullptr;
  if (patterns_.size() == kKeptMax) patterns_.clear();
  return &patterns_.emplace(expression, std::move(compiled)).first->second;
}

const ScriptTools::Pointer* ScriptTools::pointer(std::string_view text) {
  auto found = pointers_.find(text);
  if (found != pointers_.end()) return &found->second;
  std::optional<JsonPointer> parsed = JsonPointer::parse(text);
  if (!parsed) {
    wrong = "is no JSON pointer: \"/choices/0/delta\"";
    return nullptr;
  }
  if (pointers_.size() == kKeptMax) pointers_.clear();
  JsonPointer parent = parsed->is_root() ? JsonPointer() : parsed->parent();
  return &pointers_.emplace(text, Pointer{*std::move(parsed), std::move(parent)}).first->second;
}

bool ScriptTools::is_json(std::string_view text, uint64_t call, bool& checked) {
  checked = false;
  if (json_in_call_ == call && json_.data() == text.data() && json_.size() == text.size())
    return true;
  checked = true;
  padded_.clear();
  padded_.reserve(text.size() + JsonCheck::kPadding);
  padded_ = text;
  if (!check_.valid(padded_)) return false;
  note_json(text, call);
  return true;
}

void ScriptTools::note_json(std::string_view text, uint64_t call) {
  json_ = text;
  json_in_call_ = call;
}

}  // namespace sluice
