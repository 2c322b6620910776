// What a call of a script works with, and what it has said so far: the functions that a script may
// call find it here. One for each ScriptState, set before each call, used on its worker's thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/filter/filters.h"
#include "net/filter/stream_scripts.h"
#include "net/script/script_tools.h"

struct lua_State;

namespace sluice {

class Head;

// The request of a stream, as on_open() sees it.
struct ScriptRequest {
  std::string_view method = "GET";
  std::string_view path = "/";
  std::string_view query = {};  // without its question mark
  const Head* head = nullptr;   // null: it has no fields
};

// Who hears what scripts say.
class ScriptHost {
 public:
  // A line for the operator.
  virtual void script_says(std::string_view filter, std::string_view text) = 0;
  virtual void script_counts(std::string_view filter, std::string_view name, std::string_view label,
                             uint64_t amount) = 0;
  // `id`: the filter's.
  virtual void script_failed(uint32_t id, std::string_view filter, ScriptFailure failure,
                             std::string_view text) = 0;

 protected:
  ~ScriptHost() = default;
};

// Nobody does.
class SilentScriptHost final : public ScriptHost {
 public:
  void script_says(std::string_view /*filter*/, std::string_view /*text*/) override {}
  void script_counts(std::string_view /*filter*/, std::string_view /*name*/,
                     std::string_view /*label*/, uint64_t /*amount*/) override {}
  void script_failed(uint32_t /*id*/, std::string_view /*filter*/, ScriptFailure /*failure*/,
                     std::string_view /*text*/) override {}
};

struct ScriptCall {
  ScriptHost& host;
  ScriptTools tools = {};
  std::string_view filter = {};            // whose script runs
  FilterBench* bench = nullptr;            // in on_event(): with the event
  const ScriptRequest* request = nullptr;  // in on_open()
  StreamScripts::Result result = {};
};

// The one of a state that runs.
ScriptCall& call_of(lua_State* lua);

}  // namespace sluice
