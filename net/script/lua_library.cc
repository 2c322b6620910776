#include "net/script/lua_library.h"

#include <algorithm>
#include <array>
#include <luajit-2.1/lua.hpp>
#include <string_view>

#include "net/base/limits.h"
#include "net/script/lua_state.h"
#include "net/script/script_call.h"

namespace sluice {

namespace {

// Where the functions are kept that globals are made of.
constexpr const char* kParts = "sluice.parts";

constexpr std::array kBase = {
    "assert", "error",  "getmetatable", "ipairs", "next",     "pairs", "pcall",    "rawequal",
    "rawget", "rawset", "setmetatable", "select", "tonumber", "type",  "tostring", "unpack"};
// Without find, match, gmatch and gsub: nothing could stop them. And without dump, which makes
// bytecode.
constexpr std::array kString = {"byte", "char", "format",  "len",  "lower",
                                "rep",  "sub",  "reverse", "upper"};
constexpr std::array kTable = {"concat", "insert", "maxn", "remove", "sort"};
constexpr std::array kMath = {"abs",   "acos", "asin",  "atan", "atan2", "ceil", "cos",   "cosh",
                              "deg",   "exp",  "floor", "fmod", "frexp", "huge", "ldexp", "log",
                              "log10", "max",  "min",   "modf", "pi",    "pow",  "rad",   "random",
                              "sin",   "sinh", "sqrt",  "tan",  "tanh"};

void open(lua_State* lua, lua_CFunction library, const char* name) {
  lua_pushcfunction(lua, library);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 0);
}

// Of the table on top those names, in a table that takes its place.
template <size_t kCount>
void keep(lua_State* lua, const std::array<const char*, kCount>& names) {
  lua_createtable(lua, 0, static_cast<int>(kCount));
  for (const char* name : names) {
    lua_getfield(lua, -2, name);
    lua_setfield(lua, -2, name);
  }
  lua_remove(lua, -2);
}

// A copy of the table on top takes its place.
void copy(lua_State* lua) {
  lua_newtable(lua);
  lua_pushnil(lua);
  while (lua_next(lua, -3) != 0) {
    lua_pushvalue(lua, -2);
    lua_insert(lua, -2);
    lua_rawset(lua, -4);
  }
  lua_remove(lua, -2);
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= limits::kScriptNameBytes &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

int log(lua_State* lua) {
  size_t size = 0;
  const char* text = luaL_checklstring(lua, 1, &size);
  ScriptCall& call = call_of(lua);
  LuaState::of(lua).charge(lua, limits::kScriptLogCost);
  call.host.script_says(call.filter, {text, size});
  return 0;
}

int count(lua_State* lua) {
  size_t name_size = 0;
  size_t label_size = 0;
  const char* name = luaL_checklstring(lua, 1, &name_size);
  const char* label = luaL_optlstring(lua, 2, "", &label_size);
  lua_Number amount = luaL_optnumber(lua, 3, 1);
  if (!is_name({name, name_size}))
    return luaL_argerror(lua, 1, "up to 64 letters, digits and - _ . name a counter");
  // Beyond this not every number is one of Lua's.
  constexpr lua_Number kMax = 9007199254740992.0;
  if (!(amount >= 0 && amount <= kMax)) return luaL_argerror(lua, 3, "a counter only grows");
  ScriptCall& call = call_of(lua);
  LuaState::of(lua).charge(lua, limits::kScriptCountCost);
  call.host.script_counts(call.filter, {name, name_size}, {label, label_size},
                          static_cast<uint64_t>(amount));
  return 0;
}

}  // namespace

ScriptCall& call_of(lua_State* lua) {
  return *static_cast<ScriptCall*>(LuaState::of(lua).owner());
}

void open_library(lua_State* lua) {
  open(lua, luaopen_base, "");
  open(lua, luaopen_string, LUA_STRLIBNAME);
  open(lua, luaopen_table, LUA_TABLIBNAME);
  open(lua, luaopen_math, LUA_MATHLIBNAME);
  lua_newtable(lua);
  int parts = lua_gettop(lua);
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  keep(lua, kBase);
  lua_setfield(lua, parts, "base");
  lua_getglobal(lua, LUA_STRLIBNAME);
  keep(lua, kString);
  lua_setfield(lua, parts, LUA_STRLIBNAME);
  lua_getglobal(lua, LUA_TABLIBNAME);
  keep(lua, kTable);
  lua_setfield(lua, parts, LUA_TABLIBNAME);
  lua_getglobal(lua, LUA_MATHLIBNAME);
  keep(lua, kMath);
  lua_setfield(lua, parts, LUA_MATHLIBNAME);
  push_expressions(lua);
  lua_setfield(lua, parts, "re");
  push_json(lua);
  lua_setfield(lua, parts, "json");

  // All strings share a metatable: scripts do not get it, nor what its methods stand in.
  lua_pushliteral(lua, "");
  lua_getmetatable(lua, -1);
  lua_getfield(lua, parts, LUA_STRLIBNAME);
  copy(lua);
  lua_setfield(lua, -2, "__index");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_settop(lua, parts);

  lua_setfield(lua, LUA_REGISTRYINDEX, kParts);
  lua_newtable(lua);
  lua_replace(lua, LUA_GLOBALSINDEX);
}

void push_globals(lua_State* lua) {
  lua_getfield(lua, LUA_REGISTRYINDEX, kParts);
  lua_getfield(lua, -1, "base");
  copy(lua);
  for (const char* name : {LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME, "re", "json"}) {
    lua_getfield(lua, -2, name);
    copy(lua);
    lua_setfield(lua, -2, name);
  }
  lua_pushcfunction(lua, log);
  lua_setfield(lua, -2, "log");
  lua_pushcfunction(lua, count);
  lua_setfield(lua, -2, "count");
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -2, "_G");
  lua_remove(lua, -2);
}

}  // namespace sluice
