// A worker's scripts: the state of the configuration that runs, those of former ones whose streams
// still live, and what a stream has of them. Owned by Streams, used on its worker's thread. A state
// is made for the first stream that needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "net/base/script_counts.h"
#include "net/config/snapshot.h"
#include "net/filter/filters.h"
#include "net/filter/stream_scripts.h"
#include "net/script/script_call.h"
#include "net/script/script_state.h"

namespace sluice {

class Scripts {
 public:
  explicit Scripts(ScriptHost& host) : host_(host) {}

  struct Opened {
    std::unique_ptr<StreamScripts> scripts = nullptr;  // null where none looks at the stream
    Filters::Chosen chosen = 0;                        // without the scripts that do not
    ScriptFailure failure = ScriptFailure::kNone;
  };
  // Of a stream that `chosen` of a route's filters look at, if their scripts agree.
  Opened open(const Config& config, uint64_t generation, const Filters& filters,
              Filters::Chosen chosen, const ScriptRequest& request);

  // At a turn's end: garbage, and the state of a configuration that is no longer `generation`.
  void collect(uint64_t generation);

  void snapshot(ScriptMetrics& into) const;

 private:
  std::shared_ptr<ScriptState> state_of(const Config& config, uint64_t generation);

  ScriptHost& host_;
  std::shared_ptr<ScriptState> newest_;
  std::vector<std::weak_ptr<ScriptState>> states_;
};

}  // namespace sluice
