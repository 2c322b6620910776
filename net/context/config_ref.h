// A worker's hold on a snapshot. Its streams share one count, which only that worker's thread
// touches: an atomic one would be written by all workers, for every request. The last holder lets
// go of the worker's share, and the last share deletes the snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "net/config/snapshot.h"

namespace sluice {

class ConfigRef {
 public:
  explicit ConfigRef(std::shared_ptr<const ConfigSnapshot> snapshot)
      : share_(new Share{std::move(snapshot)}) {}
  ConfigRef(const ConfigRef& other) : share_(other.share_) { ++share_->holders; }
  ConfigRef& operator=(ConfigRef other) {
    std::swap(share_, other.share_);
    return *this;
  }
  ~ConfigRef() {
    // The analyzer loses count where one function has two of them.
    if (--share_->holders == 0) delete share_;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  }

  const ConfigSnapshot& operator*() const { return *share_->snapshot; }
  const ConfigSnapshot* operator->() const { return share_->snapshot.get(); }

 private:
  struct Share {
    std::shared_ptr<const ConfigSnapshot> snapshot;
    uint32_t holders = 1;
  };

  Share* share_;
};

}  // namespace sluice
