#include "net/stream/worker_scripts.h"

#include "core/text.h"
#include "net/base/limits.h"

namespace sluice {

void WorkerScripts::snapshot(ScriptMetrics& into) const {
  scripts_.snapshot(into);
  into.messages_dropped = lines_dropped_;
  into.counts = counters_.counts();
}

// Few, so that other messages have their place in the log.
void WorkerScripts::script_says(std::string_view filter, std::string_view text) {
  uint64_t now_ms = context_.loop.now_ms();
  if (second_ != now_ms / 1000) {
    second_ = now_ms / 1000;
    lines_ = 0;
  }
  if (++lines_ > limits::kScriptLinesPerSecond) {
    ++lines_dropped_;
    return;
  }
  std::string& line = context_.scratch();
  line += "filter ";
  line += filter;
  line += ": ";
  append_json_escaped(line, text.substr(0, limits::kScriptLineBytes));
  context_.messages.write(LogLevel::kInfo, now_ms, line);
}

void WorkerScripts::script_counts(std::string_view filter, std::string_view name,
                                  std::string_view label, uint64_t amount) {
  counters_.add(filter, name, label, amount);
}

void WorkerScripts::script_failed(uint32_t id, std::string_view filter, ScriptFailure failure,
                                  std::string_view text) {
  bench_.count_of(id).count(failure == ScriptFailure::kLimit ? FilterDeed::kScriptLimit
                                                             : FilterDeed::kScriptError);
  std::string& line = context_.scratch();
  line += "filter ";
  line += filter;
  line += " has failed: ";
  append_json_escaped(line, text.substr(0, limits::kScriptLineBytes));
  context_.warn(line);
}

}  // namespace sluice
