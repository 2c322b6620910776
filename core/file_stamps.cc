#include "core/file_stamps.h"

#include <sys/stat.h>

namespace sluice {

FileStamp stamp_of(const std::string& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {static_cast<int64_t>(found.st_dev),
          static_cast<int64_t>(found.st_ino),
          found.st_size,
          found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec,
          found.st_ctim.tv_sec,
          found.st_ctim.tv_nsec};
}

FileStamps stamps_of(const std::vector<std::string>& files) {
  FileStamps all;
  for (const std::string& file : files) all.emplace(file, stamp_of(file));
  return all;
}

}  // namespace sluice
