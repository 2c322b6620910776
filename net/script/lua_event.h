// What a script is given: the event in on_event(), the request in on_open(). Each is one object of
// the state, whatever stream it stands for, and each of its fields is made when the script asks for
// it. Used within a call of LuaState.
#pragma once

struct lua_State;

namespace sluice {

// Each pushes the object; once for each state.
void push_event(lua_State* lua);
void push_request(lua_State* lua);

}  // namespace sluice
