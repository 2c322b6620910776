// What the scripts of one worker have to tell a scrape. Plain values, made by that worker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

// A counter that a script has named.
struct ScriptCount {
  std::string filter;
  std::string name;
  std::string label;
  uint64_t count = 0;
};

struct ScriptMetrics {
  uint64_t states = 0;  // that live: of the configuration that runs, and of streams from before
  uint64_t memory_bytes = 0;
  uint64_t messages_dropped = 0;
  std::vector<ScriptCount> counts = {};
};

}  // namespace sluice
