// The version, as --version and /metrics show it.
#pragma once

#include <string_view>

namespace sluice {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace sluice
