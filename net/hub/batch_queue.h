// What is on its way to the disk, from the thread that appends to the one that writes. It is bound
// by the bytes of what has been appended and is not answered yet. A lock for each batch: both
// threads hold it for no longer than it takes to move a pointer. Owned by the store.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "net/hub/store.h"

namespace sluice {

class BatchQueue {
 public:
  explicit BatchQueue(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // False: there is no room. A batch larger than all room fits into an empty queue.
  bool put(std::unique_ptr<StoreBatch>& batch);
  // All that is there goes behind what `into` has. Waits for something, for the end, or until
  // `ms` have passed. False: there will be no more.
  bool take(std::deque<std::unique_ptr<StoreBatch>>& into, uint64_t ms);
  // A batch that was taken has been answered.
  void answered(const StoreBatch& batch);
  void end();

 private:
  const uint64_t bytes_max_;
  std::mutex lock_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<StoreBatch>> batches_;
  uint64_t bytes_ = 0;
  bool waiting_ = false;
  bool ended_ = false;
};

// Numbers, indexes, and what SQLite keeps of a row.
inline constexpr uint64_t kRowBytes = 100;
// What a batch takes on the disk, roughly.
uint64_t bytes_of(const StoreBatch& batch);

}  // namespace sluice
