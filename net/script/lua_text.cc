// What scripts have for texts: expressions (RE2, in the place of Lua's patterns) and JSON. Each
// function counts for as many instructions as its work is worth.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <luajit-2.1/lua.hpp>
#include <span>
#include <string>
#include <string_view>

#include "core/text.h"
#include "core/utf8.h"
#include "net/base/limits.h"
#include "net/filter/json_text.h"
#include "net/script/lua_library.h"
#include "net/script/lua_state.h"
#include "net/script/lua_values.h"
#include "net/script/script_call.h"

namespace sluice {

namespace {

constexpr int kText = 1;   // the first argument of all of them
constexpr int kPlace = 2;  // the expression, or the pointer

using Groups = std::array<std::string_view, 1 + Pattern::kGroupsMax>;

void charge_bytes(lua_State* lua, size_t bytes) {
  LuaState::of(lua).charge(lua, 1 + bytes / limits::kScriptBytesPerInstruction);
}

// --- expressions ---

// Before a search, since nothing stops it.
void charge_search(lua_State* lua, const Pattern& pattern, size_t bytes) {
  LuaState& state = LuaState::of(lua);
  if (pattern.steps(bytes) > limits::kScriptSearchSteps)
    state.refuse(lua, "it searches too long a text for this expression");
  uint64_t instructions = 1 + bytes / limits::kScriptBytesPerInstruction;
  uint64_t weight = 1 + pattern.steps(1) / limits::kScriptProgramPerInstruction;
  state.charge(lua, instructions * weight);
}

const Pattern& pattern_at(lua_State* lua, int index) {
  ScriptTools& tools = call_of(lua).tools;
  bool made = false;
  std::string_view expression = text_at(lua, index);
  const Pattern* pattern = tools.pattern(expression, made);
  if (made) LuaState::of(lua).charge(lua, limits::kScriptCompileCost + expression.size());
  if (!pattern) raise_of_argument(lua, index, tools.wrong.c_str());
  return *pattern;
}

void push_group(lua_State* lua, std::string_view group) {
  if (group.data())
    push_text(lua, group);
  else
    lua_pushnil(lua);
}

// What find() and match() have in common: the arguments (text, expression[, begin]) and the search.
bool search(lua_State* lua, Groups& found, size_t& groups) {
  std::string_view text = text_at(lua, kText);
  const Pattern& pattern = pattern_at(lua, kPlace);
  lua_Integer begin = luaL_optinteger(lua, 3, 1);
  auto size = static_cast<lua_Integer>(text.size());
  if (begin < 0) begin = std::max<lua_Integer>(size + begin + 1, 1);
  if (begin > size + 1) return false;
  size_t at = begin > 0 ? static_cast<size_t>(begin - 1) : 0;
  charge_search(lua, pattern, text.size() - at);
  groups = pattern.groups();
  return pattern.find(0, text, at, std::span(found).first(1 + groups));
}

// begin, end, groups...; nil where there is no match.
int re_find(lua_State* lua) {
  Groups found;
  size_t groups = 0;
  if (!search(lua, found, groups)) {
    lua_pushnil(lua);
    return 1;
  }
  const char* text = lua_tostring(lua, kText);
  auto begin = found[0].data() - text;
  lua_pushinteger(lua, begin + 1);
  lua_pushinteger(lua, begin + static_cast<lua_Integer>(found[0].size()));
  for (size_t i = 1; i <= groups; ++i) push_group(lua, found[i]);
  return 2 + static_cast<int>(groups);
}

// The groups, or what matches where there are none.
int re_match(lua_State* lua) {
  Groups found;
  size_t groups = 0;
  if (!search(lua, found, groups)) {
    lua_pushnil(lua);
    return 1;
  }
  if (groups == 0) push_text(lua, found[0]);
  for (size_t i = 1; i <= groups; ++i) push_group(lua, found[i]);
  return groups == 0 ? 1 : static_cast<int>(groups);
}

// "%0" is what matched, "%1" its first group, "%%" a percent sign. False: it has another.
bool append_replaced(std::string& out, std::string_view with, const Groups& found, size_t groups) {
  for (size_t i = 0; i < with.size(); ++i) {
    if (with[i] != '%') {
      out += with[i];
      continue;
    }
    if (++i == with.size()) return false;
    auto group = static_cast<size_t>(with[i] - '0');
    if (with[i] == '%')
      out += '%';
    else if (group <= groups)
      out += found[group];
    else
      return false;
  }
  return true;
}

// Behind the character that begins there, so that none is cut in two.
size_t behind_character(std::string_view text, size_t at) {
  ++at;
  while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

// gsub(text, expression, replacement[, times]): the text, and how often it was replaced.
int re_gsub(lua_State* lua) {
  std::string_view text = text_at(lua, kText);
  const Pattern& pattern = pattern_at(lua, kPlace);
  std::string_view with = text_at(lua, 3);
  lua_Number times = luaL_optnumber(lua, 4, HUGE_VAL);
  std::string& out = call_of(lua).tools.out;
  out.clear();
  Groups found;
  lua_Integer replaced = 0;
  size_t kept = 0;  // up to there it is in `out`
  charge_search(lua, pattern, text.size());
  for (size_t at = 0; at <= text.size() && static_cast<lua_Number>(replaced) < times;) {
    if (!pattern.find(0, text, at, std::span(found).first(1 + pattern.groups()))) break;
    auto begin = static_cast<size_t>(found[0].data() - text.data());
    size_t end = begin + found[0].size();
    out += text.substr(kept, begin - kept);
    if (!append_replaced(out, with, found, pattern.groups()))
      return luaL_argerror(lua, 3, "%0 to %9 name groups that there are, and %% is a percent sign");
    // Searching on may go through all of the rest again, which the time shows.
    charge_bytes(lua, end - begin + with.size());
    if (out.size() > limits::kScriptOutputBytes)
      LuaState::of(lua).refuse(lua, "the text grows beyond 1 MiB");
    ++replaced;
    kept = end;
    at = end;
    if (found[0].empty()) {
      at = behind_character(text, end);
      if (end < text.size()) out += text.substr(end, at - end);
      kept = std::min(at, text.size());
    }
  }
  if (replaced == 0) {
    lua_pushvalue(lua, kText);
  } else {
    out += text.substr(kept);
    push_text(lua, out);
  }
  lua_pushinteger(lua, replaced);
  return 2;
}

// The expression that stands for just that text.
int re_quote(lua_State* lua) {
  std::string_view text = text_at(lua, kText);
  std::string& out = call_of(lua).tools.out;
  out.clear();
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || static_cast<uint8_t>(c) >= 0x80;
    if (c == '\0')
      out += "\\x00";
    else if (plain)
      out += c;
    else
      (out += '\\') += c;
  }
  charge_bytes(lua, text.size());
  push_text(lua, out);
  return 1;
}

// --- JSON ---

bool is_json(lua_State* lua, std::string_view text) {
  bool checked = false;
  bool is = call_of(lua).tools.is_json(text, LuaState::of(lua).calls(), checked);
  charge_bytes(lua, checked ? text.size() : 0);
  return is;
}

const ScriptTools::Pointer& pointer_at(lua_State* lua, int index) {
  ScriptTools& tools = call_of(lua).tools;
  const ScriptTools::Pointer* pointer = tools.pointer(text_at(lua, index));
  if (!pointer) raise_of_argument(lua, index, tools.wrong.c_str());
  return *pointer;
}

// null is a value, and not nil, which says that there is none.
void push_null(lua_State* lua) {
  lua_pushlightuserdata(lua, nullptr);
}

// And the name of its kind.
int push_value(lua_State* lua, std::string_view value) {
  switch (value.front()) {
    case '"':
      push_text(lua, unescaped(value.substr(1, value.size() - 2), call_of(lua).tools.room));
      lua_pushliteral(lua, "string");
      break;
    case '{':
      push_text(lua, value);
      lua_pushliteral(lua, "object");
      break;
    case '[':
      push_text(lua, value);
      lua_pushliteral(lua, "array");
      break;
    case 't':
    case 'f':
      lua_pushboolean(lua, value.front() == 't' ? 1 : 0);
      lua_pushliteral(lua, "boolean");
      break;
    case 'n':
      push_null(lua);
      lua_pushliteral(lua, "null");
      break;
    default:
      lua_pushnumber(lua, parse_real(value).value_or(HUGE_VAL));
      lua_pushliteral(lua, "number");
  }
  return 2;
}

// The JSON of Lua's value at that index.
void write_value(lua_State* lua, int index, std::string& out) {
  out.clear();
  switch (lua_type(lua, index)) {
    case LUA_TSTRING:
      out += '"';
      append_escaped(out, as_utf8(text_at(lua, index), call_of(lua).tools.room));
      out += '"';
      return;
    case LUA_TNUMBER: {
      lua_Number number = lua_tonumber(lua, index);
      if (!std::isfinite(number)) luaL_argerror(lua, index, "JSON has no such number");
      std::array<char, 32> digits{};
      out.assign(digits.data(), std::to_chars(digits.begin(), digits.end(), number).ptr);
      return;
    }
    case LUA_TBOOLEAN:
      out = lua_toboolean(lua, index) != 0 ? "true" : "false";
      return;
    case LUA_TLIGHTUSERDATA:
      out = "null";
      return;
    default:
      luaL_argerror(lua, index,
                    "a string, a number, a boolean or json.null; json.put takes JSON as text");
  }
}

// get(text, pointer): the value and its kind; nil where there is none, or no JSON. An object or an
// array is its text.
int json_get(lua_State* lua) {
  std::string_view text = text_at(lua, kText);
  const ScriptTools::Pointer& pointer = pointer_at(lua, kPlace);
  JsonPlace place;
  if (!is_json(lua, text)) {
    lua_pushnil(lua);
    return 1;
  }
  charge_bytes(lua, text.size());
  if (!pointer.pointer.find(text, place)) {
    lua_pushnil(lua);
    return 1;
  }
  return push_value(lua, text.substr(place.begin, place.end - place.begin));
}

// The text with the parts replaced, and true; the text itself and false where there are none.
int push_edited(lua_State* lua, std::string_view text, std::string_view with) {
  ScriptTools& tools = call_of(lua).tools;
  if (tools.parts.empty()) {
    lua_pushvalue(lua, kText);
    lua_pushboolean(lua, 0);
    return 2;
  }
  std::string& out = tools.out;
  out.clear();
  size_t at = 0;
  for (const JsonPart& part : tools.parts) {
    out += text.substr(at, part.begin - at);
    out += with;
    at = part.end;
  }
  out += text.substr(at);
  charge_bytes(lua, text.size() + out.size());
  if (out.size() > limits::kScriptOutputBytes)
    LuaState::of(lua).refuse(lua, "the text grows beyond 1 MiB");
  push_text(lua, out);
  tools.note_json({lua_tostring(lua, -1), out.size()}, LuaState::of(lua).calls());
  lua_pushboolean(lua, 1);
  return 2;
}

int put_value(lua_State* lua, std::string_view value) {
  std::string_view text = text_at(lua, kText);
  const ScriptTools::Pointer& pointer = pointer_at(lua, kPlace);
  ScriptTools& tools = call_of(lua).tools;
  tools.parts.clear();
  JsonPart part{};
  std::string_view with;
  if (is_json(lua, text) &&
      find_place_to_set(text, pointer.target(), value, part, with, tools.room))
    tools.parts.push_back(part);
  return push_edited(lua, text, with);
}

int json_set(lua_State* lua) {
  std::string& value = call_of(lua).tools.value;
  write_value(lua, 3, value);
  return put_value(lua, value);
}

// The value is JSON, as a text.
int json_put(lua_State* lua) {
  std::string_view value = text_at(lua, 3);
  if (!is_json(lua, value)) return luaL_argerror(lua, 3, "is no JSON; json.set takes strings");
  return put_value(lua, value);
}

int json_remove(lua_State* lua) {
  std::string_view text = text_at(lua, kText);
  const ScriptTools::Pointer& pointer = pointer_at(lua, kPlace);
  ScriptTools& tools = call_of(lua).tools;
  if (pointer.pointer.is_root()) return luaL_argerror(lua, kPlace, "the whole cannot be removed");
  tools.parts.clear();
  if (is_json(lua, text)) find_parts_to_remove(text, pointer.target(), tools.parts);
  return push_edited(lua, text, "");
}

int json_quote(lua_State* lua) {
  std::string& value = call_of(lua).tools.value;
  write_value(lua, 1, value);
  charge_bytes(lua, value.size());
  push_text(lua, value);
  return 1;
}

}  // namespace

void push_expressions(lua_State* lua) {
  static const luaL_Reg kFunctions[] = {{"find", re_find},
                                        {"match", re_match},
                                        {"gsub", re_gsub},
                                        {"quote", re_quote},
                                        {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
}

void push_json(lua_State* lua) {
  static const luaL_Reg kFunctions[] = {{"get", json_get},     {"set", json_set},
                                        {"put", json_put},     {"remove", json_remove},
                                        {"quote", json_quote}, {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
  push_null(lua);
  lua_setfield(lua, -2, "null");
}

}  // namespace sluice
