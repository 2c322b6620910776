// Where the bytes of an event wait for its end: staged, outside the client's outbox, so that an
// event can still be dropped with the attempt that it came from, or be changed. One chain an
// attempt, and only while it has such bytes: idle streams hold none. The worker keeps the chains
// that are not in use, so that staging allocates nothing once as many events have been unfinished
// at a time. Owned by Streams, used on its worker's thread; outlives all streams.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "pool/chain.h"

namespace sluice {

class Staging;

// What one attempt has staged.
struct StagedEvent {
  Chain bytes;
  Staging& home;
};

struct GiveBackStaged {
  void operator()(StagedEvent* event) const;
};
// Null: nothing is staged. What it holds is dropped with it.
using StagedPtr = std::unique_ptr<StagedEvent, GiveBackStaged>;

class Staging {
 public:
  explicit Staging(Memory& memory) : memory_(memory) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // An empty one.
  StagedPtr take();
  size_t in_use() const { return made_ - spare_.size(); }

 private:
  friend GiveBackStaged;
  static constexpr size_t kBlock = 64;

  void make_more();
  void give_back(StagedEvent* event);

  Memory& memory_;
  std::vector<std::unique_ptr<StagedEvent>> spare_;  // has room for all that were made
  size_t made_ = 0;
};

}  // namespace sluice
