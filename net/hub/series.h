// The events of one stream or one category that are held, as their global positions in order: a
// ring that grows by doubling and goes when it is empty. What has been evicted is remembered as the
// last one: a reader whose cursor is not behind it has lost something. Events that go from the
// midst are told apart from those that go first, since a reader may know of the one and not of the
// other. Owned by a log, used on its worker's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice {

// What is gone of a stream or a category.
struct Loss {
  uint64_t through() const { return std::max(evicted_through, hole_through); }

  uint64_t evicted_through = 0;  // the last one that went as the first one held
  uint64_t hole_through = 0;     // the last one that went from the midst
  uint64_t last_hole = 0;        // its number, as the log counts
};

class Series {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint64_t operator[](size_t i) const { return ring_[(begin_ + i) & (capacity_ - 1)]; }
  uint64_t front() const { return (*this)[0]; }
  uint64_t back() const { return (*this)[size_ - 1]; }
  const Loss& loss() const { return loss_; }
  // Of a new one, whose readers know better than the log what of its name they have missed.
  void set_loss(const Loss& loss) { loss_ = loss; }

  void push(uint64_t global) {
    if (size_ == capacity_) grow();
    ring_[(begin_ + size_++) & (capacity_ - 1)] = global;
  }
  // Evicts all up to and including that one.
  void evict_through(uint64_t global) {
    while (size_ > 0 && front() <= global) {
      loss_.evicted_through = front();
      begin_ = static_cast<uint32_t>((begin_ + 1) & (capacity_ - 1));
      --size_;
    }
    if (size_ == 0) {
      ring_.reset();
      capacity_ = begin_ = 0;
    }
  }
  // The first one goes, by its stream's own limit and not in the order of the log.
  void lose_first(uint64_t number) {
    uint64_t evicted = loss_.evicted_through;
    uint64_t first = front();
    evict_through(first);
    loss_.evicted_through = evicted;
    lose(first, number);
  }
  // One from their midst is gone, too, or may be. `number` counts the log's.
  void lose(uint64_t global, uint64_t number) {
    loss_.hole_through = std::max(loss_.hole_through, global);
    loss_.last_hole = number;
  }

  // The index of the first one that is not before `global`. Most readers are near the end.
  size_t find(uint64_t global) const {
    size_t low = 0;
    size_t high = size_;
    for (size_t step = 1; step <= size_; step *= 2) {
      if ((*this)[size_ - step] < global) {
        low = size_ - step + 1;
        break;
      }
      high = size_ - step;
    }
    while (low < high) {
      size_t middle = low + (high - low) / 2;
      if ((*this)[middle] < global)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

 private:
  void grow() {
    uint32_t capacity = std::max<uint32_t>(capacity_ * 2, 2);
    auto ring = std::make_unique<uint64_t[]>(capacity);
    for (uint32_t i = 0; i < size_; ++i) ring[i] = (*this)[i];
    ring_ = std::move(ring);
    capacity_ = capacity;
    begin_ = 0;
  }

  std::unique_ptr<uint64_t[]> ring_;
  uint32_t capacity_ = 0;  // 0, or a power of two
  uint32_t begin_ = 0;
  uint32_t size_ = 0;
  Loss loss_;
};

}  // namespace sluice
