#include "net/script/script_counters.h"

#include "core/utf8.h"
#include "net/base/limits.h"
#include "net/script/script_tools.h"

namespace sluice {

namespace {

constexpr std::string_view kOther = "other";

}  // namespace

// Names have no zero bytes, and what is behind the second one is the label, whatever it has.
ScriptCount* ScriptCounters::find(std::string_view filter, std::string_view name,
                                  std::string_view label) {
  key_ = filter;
  (key_ += '\0') += name;
  (key_ += '\0') += label;
  auto found = places_.find(key_);
  return found == places_.end() ? nullptr : &counts_[found->second];
}

// Of what find() has not found.
ScriptCount* ScriptCounters::make(std::string_view filter, std::string_view name,
                                  std::string_view label) {
  places_.emplace(key_, counts_.size());
  return &counts_.emplace_back(
      ScriptCount{std::string(filter), std::string(name), std::string(label)});
}

void ScriptCounters::add(std::string_view filter, std::string_view name, std::string_view label,
                         uint64_t amount) {
  label = as_utf8(label.substr(0, limits::kScriptNameBytes), room_);
  ScriptCount* counter = find(filter, name, label);
  if (!counter && counts_.size() + 2 <= limits::kScriptCountersMax) {
    make(filter, name, label);
    if (!find(filter, name, kOther)) make(filter, name, kOther);
    counter = find(filter, name, label);
  }
  if (!counter) counter = find(filter, name, kOther);
  if (!counter) counter = find(filter, kOther, kOther);
  if (!counter) counter = make(filter, kOther, kOther);  // one for each filter
  counter->count += amount;
}

}  // namespace sluice
