// Records of bytes from one thread to another, in order, without a lock: one producer, one
// consumer. Its size is fixed. The producer never waits: a record for which there is no room is not
// begun. The consumer looks by itself whether there is something; nobody wakes it. Owned by
// whoever both share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "core/check.h"

namespace sluice {

class RecordRing {
 public:
  // `bytes` is a power of two.
  explicit RecordRing(size_t bytes)
      : size_(bytes), bytes_(std::make_unique_for_overwrite<char[]>(bytes)) {
    SLUICE_CHECK((bytes & (bytes - 1)) == 0);
  }

  // --- the producer's ---

  // False: there is no room for a record of so many bytes. Else write() takes so many, and commit()
  // hands them over.
  bool begin(size_t bytes) {
    uint64_t used = writing_ - read_.load(std::memory_order_acquire);
    if (bytes > size_ || used + kPrefix + bytes > size_) return false;
    auto prefix = static_cast<uint32_t>(bytes);
    write(&prefix, kPrefix);
    return true;
  }
  void write(const void* from, size_t bytes) {
    if (bytes == 0) return;  // `from` may be null then, which memcpy() forbids
    size_t at = writing_ & (size_ - 1);
    size_t first = std::min(bytes, size_ - at);
    std::memcpy(bytes_.get() + at, from, first);
    std::memcpy(bytes_.get(), static_cast<const char*>(from) + first, bytes - first);
    writing_ += bytes;
  }
  void commit() { written_.store(writing_, std::memory_order_release); }

  // --- the consumer's ---

  bool empty() const {
    return written_.load(std::memory_order_acquire) == read_.load(std::memory_order_relaxed);
  }
  // The next record into `into`. False: there is none.
  bool read(std::string& into) {
    if (empty()) return false;
    uint64_t at = read_.load(std::memory_order_relaxed);
    uint32_t bytes = 0;
    copy(at, &bytes, kPrefix);
    into.resize(bytes);
    copy(at + kPrefix, into.data(), bytes);
    read_.store(at + kPrefix + bytes, std::memory_order_release);
    return true;
  }

 private:
  static constexpr size_t kPrefix = sizeof(uint32_t);

  void copy(uint64_t from, void* into, size_t bytes) const {
    size_t at = from & (size_ - 1);
    size_t first = std::min(bytes, size_ - at);
    std::memcpy(into, bytes_.get() + at, first);
    std::memcpy(static_cast<char*>(into) + first, bytes_.get(), bytes - first);
  }

  const size_t size_;
  const std::unique_ptr<char[]> bytes_;
  uint64_t writing_ = 0;  // the producer's
  alignas(64) std::atomic<uint64_t> written_{0};
  alignas(64) std::atomic<uint64_t> read_{0};
};

}  // namespace sluice
