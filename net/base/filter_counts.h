// What one filter has done, on one worker. Plain numbers, of that worker's thread.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

enum class FilterDeed : uint8_t { kDropped, kChanged, kAdded, kEnded, kInvalid };
inline constexpr std::array<const char*, 5> kFilterDeedNames = {"dropped", "changed", "added",
                                                                "ended", "invalid"};

struct FilterCounts {
  std::array<uint64_t, kFilterDeedNames.size()> events{};

  void count(FilterDeed deed) { ++events[static_cast<unsigned>(deed)]; }
};

}  // namespace sluice
