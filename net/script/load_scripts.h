// Reads the scripts that a configuration names, and finds what is wrong with them: each is loaded
// once, as workers do it. Runs where the configuration is read, on a thread that serves nobody.
// Where anything is wrong the configuration is not used.
#pragma once

#include <string>

#include "net/config/config.h"

namespace sluice {

// "" or what is wrong, in a line: where, what.
std::string load_scripts(Config& config);

}  // namespace sluice
