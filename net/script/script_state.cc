#include "net/script/script_state.h"

#include <luajit-2.1/lua.hpp>
#include <utility>

#include "net/script/lua_event.h"
#include "net/script/lua_library.h"

namespace sluice {

namespace {

int reference(lua_State* lua) {
  return luaL_ref(lua, LUA_REGISTRYINDEX);
}

void push_reference(lua_State* lua, int reference) {
  lua_rawgeti(lua, LUA_REGISTRYINDEX, reference);
}

// The function of that name among the globals on top; 0: there is none.
int function_of(lua_State* lua, const char* name) {
  lua_getfield(lua, -1, name);
  if (lua_isnil(lua, -1)) {
    lua_pop(lua, 1);
    return 0;
  }
  if (!lua_isfunction(lua, -1)) luaL_error(lua, "%s is no function", name);
  return reference(lua);
}

}  // namespace

ScriptState::ScriptState(const Config& config, uint64_t generation, ScriptHost& host)
    : generation_(generation),
      call_{host},
      lua_({config.script_memory, config.script_instructions}, &call_),
      scripts_(config.filters.size()) {
  LuaState::Outcome outcome = lua_.call([this](lua_State* lua) {
    open_library(lua);
    push_event(lua);
    event_ = reference(lua);
    push_request(lua);
    request_ = reference(lua);
  });
  for (size_t i = 0; i < scripts_.size(); ++i) {
    const FilterRule& rule = config.filters[i];
    if (!rule.is_script()) continue;
    if (outcome == LuaState::Outcome::kDone) outcome = load(rule, scripts_[i]);
    if (outcome == LuaState::Outcome::kDone) continue;
    wrong_ = lua_.error();
    wrong_place_ = i;
    return;
  }
}

// Runs the script once, so that it defines its functions.
LuaState::Outcome ScriptState::load(const FilterRule& rule, Script& script) {
  script.filter = rule.name;
  script.id = rule.id;
  call_.filter = script.filter;
  std::string name = "@" + rule.script;
  return lua_.call([&](lua_State* lua) {
    // Nothing would check it, whatever it does to memory.
    if (rule.code.starts_with('\x1b')) luaL_error(lua, "%s is bytecode", rule.script.c_str());
    if (luaL_loadbufferx(lua, rule.code.data(), rule.code.size(), name.c_str(), "t") != 0)
      lua_error(lua);
    push_globals(lua);
    lua_pushvalue(lua, -1);
    lua_setfenv(lua, -3);
    lua_insert(lua, -2);
    lua_call(lua, 0, 0);
    script.on_open = function_of(lua, "on_open");
    script.on_event = function_of(lua, "on_event");
    script.on_end = function_of(lua, "on_end");
    if (script.on_open == 0 && script.on_event == 0 && script.on_end == 0)
      luaL_error(lua, "%s: it has none of on_open, on_event and on_end", rule.script.c_str());
  });
}

// Whether the call went well; else the host has been told.
bool ScriptState::done(const Script& script, LuaState::Outcome outcome) {
  if (outcome == LuaState::Outcome::kDone) return true;
  failure_ = outcome == LuaState::Outcome::kLimit ? ScriptFailure::kLimit : ScriptFailure::kError;
  call_.host.script_failed(script.id, script.filter, failure_, lua_.error());
  return false;
}

ScriptState::Opened ScriptState::open(size_t place, const ScriptRequest& request, int& own) {
  const Script& script = scripts_[place];
  call_.filter = script.filter;
  call_.request = &request;
  own = 0;
  LuaState::Outcome outcome = lua_.call([&](lua_State* lua) {
    if (script.on_open != 0) {
      push_reference(lua, script.on_open);
      push_reference(lua, request_);
      lua_call(lua, 1, 1);
      if (lua_isboolean(lua, -1) && lua_toboolean(lua, -1) == 0) return;
      if (!lua_istable(lua, -1) && !lua_isnil(lua, -1))
        luaL_error(lua, "on_open returns a table, nothing, or false");
    }
    if (!lua_istable(lua, -1)) lua_newtable(lua);
    own = reference(lua);
  });
  call_.request = nullptr;
  if (!done(script, outcome)) {
    close(std::exchange(own, 0));
    return Opened::kFailed;
  }
  return own != 0 ? Opened::kYes : Opened::kNo;
}

StreamScripts::Result ScriptState::on_event(size_t place, int own, FilterBench& bench) {
  const Script& script = scripts_[place];
  if (script.on_event == 0) return {};
  call_.filter = script.filter;
  call_.bench = &bench;
  call_.result = {};
  LuaState::Outcome outcome = lua_.call([&](lua_State* lua) {
    push_reference(lua, script.on_event);
    push_reference(lua, event_);
    push_reference(lua, own);
    lua_call(lua, 2, 0);
  });
  call_.bench = nullptr;
  if (!done(script, outcome)) call_.result.failure = failure_;
  return call_.result;
}

void ScriptState::on_end(size_t place, int own, std::string_view ending) {
  const Script& script = scripts_[place];
  if (script.on_end == 0) return;
  call_.filter = script.filter;
  LuaState::Outcome outcome = lua_.call([&](lua_State* lua) {
    push_reference(lua, script.on_end);
    lua_pushlstring(lua, ending.data(), ending.size());
    push_reference(lua, own);
    lua_call(lua, 2, 0);
  });
  done(script, outcome);
}

void ScriptState::close(int own) {
  if (own == 0) return;
  lua_.call([own](lua_State* lua) { luaL_unref(lua, LUA_REGISTRYINDEX, own); });
}

}  // namespace sluice
