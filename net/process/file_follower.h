// Notices when files change: certificates that somebody renews, with no word to us. A thread of its
// own looks at them once a second, since a look may take long where files lie on a network. It says
// so when what it sees is new, and the same as a second ago: whoever writes several files that
// belong together has finished then. Owned by the server and used on its thread; the other thread
// outlives it where it hangs in a look.
#pragma once

#include <memory>

#include "core/file_stamps.h"

namespace sluice {

class FileFollower {
 public:
  FileFollower();
  ~FileFollower();
  FileFollower(const FileFollower&) = delete;
  FileFollower& operator=(const FileFollower&) = delete;

  // Those from here on, which were read when they were so: what has changed since then is told.
  // Starts the thread; false: none is to be had.
  bool follow(FileStamps read);
  // To be polled; take_change() is true then, once for each change.
  int fd() const;
  bool take_change();

 private:
  struct Shared;

  std::shared_ptr<Shared> shared_;
};

}  // namespace sluice
