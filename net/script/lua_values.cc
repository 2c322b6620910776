#include "net/script/lua_values.h"

#include <cstdlib>
#include <luajit-2.1/lua.hpp>

namespace sluice {

void push_text(lua_State* lua, std::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
}

std::string_view text_at(lua_State* lua, int index) {
  size_t size = 0;
  const char* text = luaL_checklstring(lua, index, &size);
  return {text, size};
}

void raise(lua_State* lua, const char* what) {
  luaL_error(lua, "%s", what);
  std::abort();  // never reached
}

void raise_of_argument(lua_State* lua, int index, const char* what) {
  luaL_argerror(lua, index, what);
  std::abort();  // never reached
}

}  // namespace sluice
