// How a batch of plain bytes is cut into records: all that leave together share a record, as far as
// a slot has room. A record that fits a segment can be opened as soon as that has come, so records
// are small after a pause, and as large as a slot once there is much to send. That needs no clock:
// a batch that fits a small record is a pause. Owned by the transform of one connection, used on
// its worker's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <sys/uio.h>

namespace sluice {

inline constexpr size_t kRecordPlainBytesMax = 16'384;  // RFC 8446 section 5.1
// AES-GCM allows 2^24.5 records under one key (RFC 8446 section 5.5).
inline constexpr uint64_t kRecordsPerKey = uint64_t{1} << 24;
static_assert(kRecordsPerKey <= 23'726'566);
// In a row, behind the handshake: tickets, key updates, empty records and the like. Each costs us
// 7 us at most, and none is of use in such numbers.
inline constexpr unsigned kRecordsWithoutBytesMax = 32;

class RecordSizes {
 public:
  // `overhead`: the most that sealing adds to a record.
  explicit RecordSizes(size_t overhead) : overhead_(overhead) {}

  void begin_batch(size_t bytes) {
    if (bytes <= kSmallRecordBytes) bulk_bytes_ = 0;
  }
  // The plain bytes of the next record, where `left` are left and the slot has so much room. 0: it
  // has too little, or so little behind other records that another slot is the better place.
  size_t next(size_t left, size_t room, bool behind_others) {
    if (room <= overhead_) return 0;
    size_t most = bulk_bytes_ < kBulkAfterBytes ? kSmallRecordBytes : kRecordPlainBytesMax;
    size_t size = std::min({left, most, room - overhead_});
    if (behind_others && size < std::min(left, kLeastRecordBytes)) return 0;
    bulk_bytes_ += size;
    return size;
  }

 private:
  static constexpr size_t kSmallRecordBytes = 1'400;
  static constexpr size_t kBulkAfterBytes = 64 * 1024;
  // A record behind others in a slot is not worth its overhead if it is shorter than this.
  static constexpr size_t kLeastRecordBytes = 256;

  const size_t overhead_;
  size_t bulk_bytes_ = 0;  // since the last pause
};

// Reads the plain bytes of a batch, record by record.
class PlainBytes {
 public:
  explicit PlainBytes(std::span<const iovec> pieces) : pieces_(pieces) {
    for (const iovec& piece : pieces) left_ += piece.iov_len;
  }
  size_t left() const { return left_; }
  // The next bytes in one piece, in `buffer` where they are not.
  const char* take(size_t size, char* buffer) {
    left_ -= size;
    while (used_ == pieces_.front().iov_len) next_piece();
    const char* first = at();
    if (pieces_.front().iov_len - used_ >= size) {
      used_ += size;
      return first;
    }
    for (size_t copied = 0; copied < size;) {
      if (used_ == pieces_.front().iov_len) next_piece();
      size_t part = std::min(size - copied, pieces_.front().iov_len - used_);
      std::memcpy(buffer + copied, at(), part);
      copied += part;
      used_ += part;
    }
    return buffer;
  }

 private:
  const char* at() const { return static_cast<const char*>(pieces_.front().iov_base) + used_; }
  void next_piece() {
    pieces_ = pieces_.subspan(1);
    used_ = 0;
  }

  std::span<const iovec> pieces_;
  size_t used_ = 0;  // of the first
  size_t left_ = 0;
};

}  // namespace sluice
