// The world of a script: what it may call, and nothing else. Functions of Lua are named one by one:
// those that load code, reach other scripts or the system, or run without an end that the hook sees
// are left out. Each script has tables of its own, so that no script can change another's. Used
// within a call of LuaState.
#pragma once

struct lua_State;

namespace sluice {

// Once for each state, before any script.
void open_library(lua_State* lua);
// Pushes a new table of globals.
void push_globals(lua_State* lua);

// Parts of it: each pushes a table of functions (lua_text.cc).
void push_expressions(lua_State* lua);
void push_json(lua_State* lua);

}  // namespace sluice
