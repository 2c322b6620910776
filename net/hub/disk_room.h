// The room on the disk that a file lies on. SQLite can neither delete nor tidy up on a full disk,
// so there is ballast, a file that is worth nothing but its size: it is let go when the disk is
// full, and taken again when there is room for it and some more. Used on the store's thread.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

class DiskRoom {
 public:
  struct Sizes {
    uint64_t ballast_bytes = uint64_t{16} << 20;
    // With less than this there is no more writing.
    uint64_t min_bytes = uint64_t{8} << 20;
  };

  // `file` is the ballast's name; it has to stand on the disk that is meant.
  DiskRoom(std::string file, Sizes sizes) : file_(std::move(file)), sizes_(sizes) {}

  // The ballast is there, or could be taken. It stays when this object goes.
  bool take_ballast();
  void drop_ballast();
  // There is room for so many bytes; a disk that cannot be asked has some.
  bool has(uint64_t bytes) const;

 private:
  const std::string file_;
  const Sizes sizes_;
  bool ballast_ = false;
};

}  // namespace sluice
