// A bounded queue from one thread to another, without locks: one thread pushes, one pops. Each side
// keeps what it knows of the other's place, so a push or a pop touches the other's cache line only
// when the queue looks full or empty. It wakes nobody. Owned by whatever outlives both threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace sluice {

template <typename T>
class SpscRing {
 public:
  // `capacity` is a power of two.
  explicit SpscRing(size_t capacity) : mask_(capacity - 1), items_(new T[capacity]) {}

  // The pushing side's. How many more there is room for.
  size_t room() {
    uint64_t tail = tail_.load(std::memory_order_relaxed);
    head_seen_ = head_.load(std::memory_order_acquire);
    return mask_ + 1 - static_cast<size_t>(tail - head_seen_);
  }
  bool push(T item) {
    uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_ && room() == 0) return false;
    items_[tail & mask_] = std::move(item);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // The popping side's.
  bool pop(T& item) {
    uint64_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return false;
    }
    item = std::move(items_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

 private:
  static constexpr size_t kLine = 64;

  const uint64_t mask_;
  const std::unique_ptr<T[]> items_;
  alignas(kLine) std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;
  alignas(kLine) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;
};

}  // namespace sluice
