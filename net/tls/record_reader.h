// Puts the records of one connection together from pieces of the wire, so that whoever opens them
// sees whole ones only. A record that came in one piece stays where it is; of one that comes in
// parts as much is kept as has come, since a peer may announce more than it sends. Owned by the
// transform of one connection, used on its worker's thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "pool/slot_pool.h"

namespace sluice {

inline constexpr size_t kRecordHeaderBytes = 5;

class RecordReader {
 public:
  // How long the record with that header is, header and all; 0: no record begins like that.
  using RecordBytes = size_t(const char* header);

  // The next record, taken from the front of *wire or put together in a block of `slots`; *in is
  // then what it lies in. A header alone, of which `record_bytes` says 0: its bytes are no record.
  // Empty: more is needed, and *wire is used up.
  std::span<char> next(Lease* in, std::span<char>* wire, SlotPool& slots,
                       RecordBytes* record_bytes);
  // No part of a record waits for the rest.
  bool empty() const { return part_size_ == 0; }

 private:
  bool complete_header(std::span<char>* wire);

  std::string part_;      // behind its header
  size_t part_size_ = 0;  // header and all
  std::array<char, kRecordHeaderBytes> header_{};
};

}  // namespace sluice
