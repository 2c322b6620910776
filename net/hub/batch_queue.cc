#include "net/hub/batch_queue.h"

#include <chrono>
#include <iterator>

namespace sluice {

uint64_t bytes_of(const StoreBatch& batch) {
  uint64_t bytes = 0;
  for (const StoredEvent& event : batch.events) {
    bytes += kRowBytes + event.stream.size() + event.type.size() + event.data.size() +
             event.metadata.size() + event.message_id.size() + event.origin_id.size();
  }
  for (const StoredKey& key : batch.keys) bytes += kRowBytes + key.key.size();
  for (const StoredConsumer& consumer : batch.consumers) bytes += kRowBytes + consumer.id.size();
  return bytes;
}

bool BatchQueue::put(std::unique_ptr<StoreBatch>& batch) {
  uint64_t bytes = bytes_of(*batch);
  std::lock_guard guard(lock_);
  if (bytes_ > 0 && bytes_ + bytes > bytes_max_) return false;
  bytes_ += bytes;
  batches_.push_back(std::move(batch));
  if (waiting_) wake_.notify_one();
  return true;
}

bool BatchQueue::take(std::deque<std::unique_ptr<StoreBatch>>& into, uint64_t ms) {
  std::unique_lock guard(lock_);
  waiting_ = true;
  wake_.wait_for(guard, std::chrono::milliseconds(ms),
                 [this] { return ended_ || !batches_.empty(); });
  waiting_ = false;
  into.insert(into.end(), std::move_iterator(batches_.begin()), std::move_iterator(batches_.end()));
  batches_.clear();
  return !ended_;
}

void BatchQueue::answered(const StoreBatch& batch) {
  uint64_t bytes = bytes_of(batch);
  std::lock_guard guard(lock_);
  bytes_ -= bytes;
}

void BatchQueue::end() {
  std::lock_guard guard(lock_);
  ended_ = true;
  wake_.notify_one();
}

}  // namespace sluice
