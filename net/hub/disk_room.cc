#include "net/hub/disk_room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace sluice {

bool DiskRoom::take_ballast() {
  if (ballast_ || sizes_.ballast_bytes == 0) return true;
  struct stat found {};
  if (stat(file_.c_str(), &found) == 0 &&
      static_cast<uint64_t>(found.st_blocks) * 512 >= sizes_.ballast_bytes) {
    return ballast_ = true;
  }
  if (!has(sizes_.ballast_bytes)) return false;
  int fd = open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  // Its blocks are really taken: a file that is only long would give nothing back.
  ballast_ = posix_fallocate(fd, 0, static_cast<off_t>(sizes_.ballast_bytes)) == 0;
  close(fd);
  if (!ballast_) unlink(file_.c_str());
  return ballast_;
}

void DiskRoom::drop_ballast() {
  ballast_ = false;
  unlink(file_.c_str());
}

bool DiskRoom::has(uint64_t bytes) const {
  struct statvfs disk {};
  std::string folder = file_.substr(0, file_.rfind('/') + 1);
  if (statvfs(folder.empty() ? "." : folder.c_str(), &disk) != 0) return true;
  return uint64_t{disk.f_bavail} * disk.f_frsize >= sizes_.min_bytes + bytes;
}

}  // namespace sluice
