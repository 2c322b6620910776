// The scripts of a worker's streams, and what they have to say: counters, lines for the operator,
// failures. Owned by Streams, used on its worker's thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/context/worker_context.h"
#include "net/script/script_counters.h"
#include "net/script/scripts.h"

namespace sluice {

class WorkerScripts final : private ScriptHost {
 public:
  // `bench`: whose counters of filters count failures.
  WorkerScripts(WorkerContext& context, FilterBench& bench)
      : context_(context), bench_(bench), scripts_(*this) {}

  Scripts& scripts() { return scripts_; }
  void snapshot(ScriptMetrics& into) const;

 private:
  void script_says(std::string_view filter, std::string_view text) override;
  void script_counts(std::string_view filter, std::string_view name, std::string_view label,
                     uint64_t amount) override;
  void script_failed(uint32_t id, std::string_view filter, ScriptFailure failure,
                     std::string_view text) override;

  WorkerContext& context_;
  FilterBench& bench_;
  ScriptCounters counters_;
  uint64_t second_ = 0;  // of the last line
  unsigned lines_ = 0;   // in it
  uint64_t lines_dropped_ = 0;
  Scripts scripts_;
};

}  // namespace sluice
