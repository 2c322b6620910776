// Texts from and to Lua, and errors that never return. Used within a call of LuaState.
#pragma once

#include <string_view>

struct lua_State;

namespace sluice {

void push_text(lua_State* lua, std::string_view text);
// An argument of a function; an error where it is none.
std::string_view text_at(lua_State* lua, int index);

[[noreturn]] void raise(lua_State* lua, const char* what);
[[noreturn]] void raise_of_argument(lua_State* lua, int index, const char* what);

}  // namespace sluice
