// The counters that a worker's scripts have named. Bounded: beyond limits::kScriptCountersMax a new
// label is counted as "other", for which each name has a place from its first label on, and a new
// name as "other", too. They outlive reloads. Owned by the worker's host of scripts, used on its
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/base/script_counts.h"

namespace sluice {

class ScriptCounters {
 public:
  void add(std::string_view filter, std::string_view name, std::string_view label, uint64_t amount);
  // Those of zero are places that have not been needed.
  const std::vector<ScriptCount>& counts() const { return counts_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  ScriptCount* find(std::string_view filter, std::string_view name, std::string_view label);
  ScriptCount* make(std::string_view filter, std::string_view name, std::string_view label);

  std::vector<ScriptCount> counts_;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> places_;
  std::string key_;
  std::string room_;
};

}  // namespace sluice
