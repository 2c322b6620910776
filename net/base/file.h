// A small file as a whole: a configuration, a list of hosts. Blocks for as long as the disk does.
#pragma once

#include <string>

namespace sluice {

// False, with errno set: it cannot be read.
bool read_file(const char* path, std::string* text);

}  // namespace sluice
