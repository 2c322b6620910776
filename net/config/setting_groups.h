// The parts of the table of settings (net/config/settings.h), as --help shows them, and what they
// have in common. Each is made once, when the table is.
#pragma once

#include <cstdint>
#include <vector>

#include "net/config/settings.h"
#include "net/config/values.h"

namespace sluice {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;
inline constexpr uint64_t kDayMs = 24ULL * 3'600'000;

inline constexpr Bounds kTimeout{1, kDayMs, true};

std::vector<Setting> stream_settings();
std::vector<Setting> filter_settings();
std::vector<Setting> hub_settings();
std::vector<Setting> group_settings();
std::vector<Setting> health_settings();
std::vector<Setting> recovery_settings();
std::vector<Setting> timeout_settings();
std::vector<Setting> connection_settings();
std::vector<Setting> tls_settings();

}  // namespace sluice
