// The scripts of one configuration on one worker: a state of Lua in which all of them have been
// loaded, and what belongs to each stream in it. Streams share it, and the last of them that lives
// keeps it over a reload. An error or a limit ends the call that it happens in, and no more. Used
// on its worker's thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/config.h"
#include "net/script/lua_state.h"
#include "net/script/script_call.h"

namespace sluice {

class ScriptState {
 public:
  // `generation`: of the configuration. Of its filters it takes those that are scripts.
  ScriptState(const Config& config, uint64_t generation, ScriptHost& host);

  uint64_t generation() const { return generation_; }
  // What is wrong with a script, and which one it is; "": they have been loaded.
  const std::string& wrong() const { return wrong_; }
  size_t wrong_place() const { return wrong_place_; }

  // A script is named by its place in the configuration. `own`: what the stream has of its own
  // there, to be given back with close().
  enum class Opened : uint8_t { kYes, kNo, kFailed };
  Opened open(size_t place, const ScriptRequest& request, int& own);
  StreamScripts::Result on_event(size_t place, int own, FilterBench& bench);
  void on_end(size_t place, int own, std::string_view ending);
  void close(int own);
  ScriptFailure last_failure() const { return failure_; }

  // Garbage, at a turn's end.
  void collect() { lua_.collect(); }
  bool exhausted() { return lua_.exhausted(); }
  size_t memory_bytes() const { return lua_.memory_bytes(); }
  uint64_t allocations() const { return lua_.allocations(); }

 private:
  struct Script {
    std::string filter;
    uint32_t id = 0;
    int on_open = 0;  // references; 0: it has none
    int on_event = 0;
    int on_end = 0;
  };

  LuaState::Outcome load(const FilterRule& rule, Script& script);
  bool done(const Script& script, LuaState::Outcome outcome);

  const uint64_t generation_;
  ScriptCall call_;
  LuaState lua_;
  std::vector<Script> scripts_;  // by their places
  int event_ = 0;
  int request_ = 0;
  std::string wrong_;
  size_t wrong_place_ = 0;
  ScriptFailure failure_ = ScriptFailure::kNone;
};

}  // namespace sluice
