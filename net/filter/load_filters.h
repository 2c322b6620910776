// Makes of a configuration's filters what its routes run, and finds what is wrong with expressions
// and pointers. Runs where the configuration is read: at the start, with --check, and at each
// reload, on a thread that serves nobody. Where anything is wrong the configuration is not used.
#pragma once

#include <string>
#include <vector>

#include "net/config/config.h"

namespace sluice {

// "" or what is wrong, in a line: where, what, what would be right.
std::string load_filters(Config& config, std::vector<std::string>& warnings);

}  // namespace sluice
