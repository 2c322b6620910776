// The streams of one worker that wait to be resumed, by the upstream that each was lost at, the
// oldest first. Once a stream has been resumed there, others need not wait for the rest of their
// backoff: each that is resumed wakes two, so that all are back soon if the upstream stays, and few
// have come in vain if it goes again. Owned by Streams, used on its worker's thread; a stream
// leaves when its wait ends, for whatever reason.
#pragma once

#include <cstdint>
#include <deque>

#include "core/intrusive_list.h"
#include "net/stream/recovery.h"

namespace sluice {

class HealingWaits {
 public:
  void add(uint32_t upstream, Recovery& recovery);
  void remove(uint32_t upstream, Recovery& recovery);
  // The stream that has waited there for longest, which leaves; null: none.
  Stream* take(uint32_t upstream);

 private:
  using Queue = IntrusiveQueue<Recovery, &Recovery::in_wait>;
  Queue& of(uint32_t upstream);

  std::deque<Queue> queues_;  // by the upstreams' numbers; a queue never moves
};

}  // namespace sluice
