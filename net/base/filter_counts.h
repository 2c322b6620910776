// What one filter has done, on one worker. Plain numbers, of that worker's thread.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

// The last two: a script among the filters, whose stream has failed with it.
enum class FilterDeed : uint8_t {
  kDropped,
  kChanged,
  kAdded,
  kEnded,
  kInvalid,
  kUnsearched,  // an expression would have taken too long
  kScriptError,
  kScriptLimit,
};
inline constexpr std::array<const char*, 8> kFilterDeedNames = {
    "dropped", "changed",    "added",        "ended",
    "invalid", "unsearched", "script_error", "script_limit"};

struct FilterCounts {
  std::array<uint64_t, kFilterDeedNames.size()> events{};

  void count(FilterDeed deed, uint64_t times = 1) { events[static_cast<unsigned>(deed)] += times; }
};

}  // namespace sluice
