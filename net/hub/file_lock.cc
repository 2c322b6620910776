#include "net/hub/file_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/text.h"

namespace sluice {

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

bool FileLock::take(const std::string& file, std::string& error) {
  fd_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) {
    error = file + " cannot be made: " + error_name(errno);
    return false;
  }
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
  error = file + (errno == EWOULDBLOCK ? " is locked: another hub works with this store"
                                       : std::string(" cannot be locked: ") + error_name(errno));
  return false;
}

}  // namespace sluice
