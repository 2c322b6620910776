#include "net/script/lua_event.h"

#include <luajit-2.1/lua.hpp>
#include <string>
#include <string_view>

#include "net/base/limits.h"
#include "net/filter/event_lines.h"
#include "net/http/head.h"
#include "net/script/lua_state.h"
#include "net/script/lua_values.h"
#include "net/script/script_call.h"

namespace sluice {

namespace {

constexpr int kObject = 1;
constexpr int kKey = 2;
constexpr int kValue = 3;

// Of a field that is asked for; no field has an empty name.
std::string_view key_at(lua_State* lua) {
  if (lua_type(lua, kKey) != LUA_TSTRING) return {};
  size_t size = 0;
  const char* key = lua_tolstring(lua, kKey, &size);
  return {key, size};
}

// --- the event ---

ScriptCall& call_with_event(lua_State* lua) {
  ScriptCall& call = call_of(lua);
  if (!call.bench) luaL_error(lua, "the event is there in on_event alone");
  return call;
}

// So that `event.drop()` is not taken for `event:drop()`.
ScriptCall& call_of_method(lua_State* lua) {
  if (lua_type(lua, kObject) != LUA_TUSERDATA)
    luaL_error(lua, "methods are called with a colon: event:drop()");
  return call_with_event(lua);
}

void check_size(lua_State* lua, size_t bytes) {
  if (bytes > limits::kScriptOutputBytes)
    LuaState::of(lua).refuse(lua, "it writes more than 1 MiB for an event");
}

int event_index(lua_State* lua) {
  ScriptCall& call = call_with_event(lua);
  EventText& event = call.bench->event;
  std::string_view key = key_at(lua);
  if (key == "data") {
    push_text(lua, event.data(call.tools.room));
  } else if (key == "type") {
    push_text(lua, event.type());
  } else if (key == "id") {
    push_text(lua, event.id());
  } else {
    lua_settop(lua, kKey);
    lua_rawget(lua, lua_upvalueindex(1));
  }
  return 1;
}

// What is there already stays as it is, to the byte.
int event_newindex(lua_State* lua) {
  ScriptCall& call = call_with_event(lua);
  EventText& event = call.bench->event;
  std::string_view key = key_at(lua);
  if (key == "data") {
    std::string_view data = text_at(lua, kValue);
    if (data == event.data(call.tools.room)) return 0;
    check_size(lua, data.size());
    call.tools.out.clear();
    append_data_lines(call.tools.out, data);
    check_size(lua, call.tools.out.size());
    event.replace_data(call.tools.out);
  } else if (key == "type") {
    std::string_view type = text_at(lua, kValue);
    if (type == event.type()) return 0;
    check_size(lua, type.size());
    if (type.find_first_of("\r\n") != type.npos) return luaL_error(lua, "a type is one line");
    event.replace_type(type);
  } else if (key == "id") {
    return luaL_error(lua, "an id stays, since a client resumes behind it");
  } else {
    return luaL_error(lua, "an event has a type and data to be set");
  }
  return 0;
}

int event_drop(lua_State* lua) {
  call_of_method(lua).result.dropped = true;
  return 0;
}

std::string_view field_of(lua_State* lua, int table, const char* name, bool needed) {
  lua_getfield(lua, table, name);
  if (lua_isstring(lua, -1) == 0 && (needed || !lua_isnil(lua, -1)))
    luaL_error(lua, "an event is { type = \"name\", data = \"text\" }, the type left out or not");
  size_t size = 0;
  const char* text = lua_tolstring(lua, -1, &size);  // stays on the stack, and so stays
  return {text, size};
}

// An event of the script's own, from a table.
void append_own(lua_State* lua, int table, std::string& out) {
  luaL_checktype(lua, table, LUA_TTABLE);
  lua_pushnil(lua);
  while (lua_next(lua, table) != 0) {
    lua_pop(lua, 1);
    bool known = false;
    if (lua_type(lua, -1) == LUA_TSTRING) {
      std::string_view name(lua_tostring(lua, -1));
      known = name == "type" || name == "data";
    }
    if (!known) luaL_error(lua, "an added event has a type and data, and nothing else");
  }
  std::string_view type = field_of(lua, table, "type", false);
  std::string_view data = field_of(lua, table, "data", true);
  if (type.find_first_of("\r\n") != type.npos) luaL_error(lua, "a type is one line");
  ScriptCall& call = call_of(lua);
  check_size(lua, type.size() + data.size());
  append_event(out, type, data);
  check_size(lua, call.bench->before.size() + call.bench->after.size());
  LuaState::of(lua).charge(lua, 1 + data.size() / limits::kScriptBytesPerInstruction);
  ++call.result.added;
}

int event_add_before(lua_State* lua) {
  append_own(lua, kKey, call_of_method(lua).bench->before);
  return 0;
}

int event_add_after(lua_State* lua) {
  append_own(lua, kKey, call_of_method(lua).bench->after);
  return 0;
}

// The stream ends behind this event, or behind the one that is given.
int event_stop(lua_State* lua) {
  ScriptCall& call = call_of_method(lua);
  if (!lua_isnoneornil(lua, kKey)) append_own(lua, kKey, call.bench->after);
  call.result.ends = true;
  return 0;
}

// --- the request ---

const ScriptRequest& request_of(lua_State* lua) {
  const ScriptRequest* request = call_of(lua).request;
  if (!request) raise(lua, "the request is there in on_open alone");
  return *request;
}

int request_index(lua_State* lua) {
  const ScriptRequest& request = request_of(lua);
  std::string_view key = key_at(lua);
  if (key == "method") {
    push_text(lua, request.method);
  } else if (key == "path") {
    push_text(lua, request.path);
  } else if (key == "query") {
    push_text(lua, request.query);
  } else if (key == "fields") {
    lua_pushvalue(lua, lua_upvalueindex(1));
  } else {
    return luaL_error(lua, "a request has a method, a path, a query and fields");
  }
  return 1;
}

// The first one of that name, in any case.
int field_index(lua_State* lua) {
  const ScriptRequest& request = request_of(lua);
  std::string_view key = key_at(lua);
  std::optional<std::string_view> value;
  if (request.head && !key.empty()) value = request.head->find(key);
  if (value)
    push_text(lua, *value);
  else
    lua_pushnil(lua);
  return 1;
}

int refuse_to_set(lua_State* lua) {
  return luaL_error(lua, "a request cannot be changed");
}

// An object with these functions, for which the value on top is the upvalue of the first.
void make_object(lua_State* lua, lua_CFunction index, lua_CFunction newindex) {
  lua_pushcclosure(lua, index, 1);
  lua_newuserdata(lua, 0);
  lua_newtable(lua);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, newindex);
  lua_setfield(lua, -2, "__newindex");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_setmetatable(lua, -2);
  lua_remove(lua, -2);
}

}  // namespace

void push_event(lua_State* lua) {
  static const luaL_Reg kMethods[] = {{"drop", event_drop},
                                      {"add_before", event_add_before},
                                      {"add_after", event_add_after},
                                      {"stop", event_stop},
                                      {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_register(lua, nullptr, kMethods);
  make_object(lua, event_index, event_newindex);
}

void push_request(lua_State* lua) {
  lua_pushnil(lua);
  make_object(lua, field_index, refuse_to_set);
  make_object(lua, request_index, refuse_to_set);
}

}  // namespace sluice
