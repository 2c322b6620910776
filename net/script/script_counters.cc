#include "net/script/script_counters.h"

#include "net/base/limits.h"
#include "net/script/script_tools.h"

namespace sluice {

namespace {

constexpr std::string_view kOther = "other";

}  // namespace

// Names have no zero bytes, and what is behind the second one is the label, whatever it has.
ScriptCount* ScriptCounters::find(std::string_view filter, std::string_view name,
                                  std::string_view label, bool always) {
  key_ = filter;
  (key_ += '\0') += name;
  (key_ += '\0') += label;
  auto found = places_.find(key_);
  if (found != places_.end()) return &counts_[found->second];
  if (counts_.size() >= limits::kScriptCountersMax && !always) return nullptr;
  places_.emplace(key_, counts_.size());
  return &counts_.emplace_back(
      ScriptCount{std::string(filter), std::string(name), std::string(label)});
}

// A name that comes too late is counted under "other", too: of these there is one a filter.
void ScriptCounters::add(std::string_view filter, std::string_view name, std::string_view label,
                         uint64_t amount) {
  label = as_utf8(label.substr(0, limits::kScriptNameBytes), room_);
  ScriptCount* counter = find(filter, name, label, false);
  if (!counter) counter = find(filter, name, kOther, false);
  if (!counter) counter = find(filter, kOther, kOther, true);
  counter->count += amount;
}

}  // namespace sluice
