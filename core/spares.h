// Objects that wait to be used again, so that what they hold of the heap is asked for once: one
// that comes back is cleared, and its memory is the next user's. At most so many wait, so that a
// burst does not stay resident. Used on one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace sluice {

// T::clear() forgets all but the memory.
template <typename T>
class Spares {
 public:
  explicit Spares(size_t kept_max) : kept_max_(kept_max) { kept_.reserve(kept_max); }

  std::unique_ptr<T> acquire() {
    if (kept_.empty()) return std::make_unique<T>();
    std::unique_ptr<T> object = std::move(kept_.back());
    kept_.pop_back();
    return object;
  }
  void release(std::unique_ptr<T> object) {
    if (kept_.size() == kept_max_) return;
    object->clear();
    kept_.push_back(std::move(object));
  }

  size_t kept() const { return kept_.size(); }

 private:
  std::vector<std::unique_ptr<T>> kept_;
  size_t kept_max_;
};

}  // namespace sluice
