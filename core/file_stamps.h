// What tells one content of files from another without reading them. By ctime, too: a file may be
// given an old mtime. Callable from any thread; a look may take long where files lie on a network.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice {

// Zeros where there is no file.
using FileStamp = std::array<int64_t, 7>;
// By path.
using FileStamps = std::map<std::string, FileStamp>;

FileStamp stamp_of(const std::string& file);
FileStamps stamps_of(const std::vector<std::string>& files);

}  // namespace sluice
