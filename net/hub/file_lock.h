// A file that one process at a time works with. The lock is on a file of its own beside it, and the
// kernel drops it when its holder ends, however that ends. It also tells two holders within one
// process apart, which SQLite's locks do not. Any thread.
#pragma once

#include <string>

namespace sluice {

class FileLock {
 public:
  FileLock() = default;
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // False, with `error` set, a line: somebody else has it, or the file cannot be made.
  bool take(const std::string& file, std::string& error);

 private:
  int fd_ = -1;
};

}  // namespace sluice
