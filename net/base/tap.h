// One worker's part of a tap: the copy of events that somebody watches at the admin port. The
// worker writes it, the admin port's thread reads it, and neither ever waits: what does not fit is
// dropped and counted. Shared by both; what it watches never changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/record_ring.h"
#include "net/base/ending.h"
#include "net/base/limits.h"

namespace sluice {

// A record of its ring: this, and the text of whole events or, where a stream has ended, of the
// ending's name.
struct TapRecord {
  uint64_t stream;
  uint64_t dropped;  // events before it, in all
  bool end;
};

struct Tap {
  Tap(uint64_t its_stream, uint32_t its_route, uint32_t its_sample,
      std::shared_ptr<const void> in_use = nullptr)
      : stream(its_stream), route(its_route), route_in_use(std::move(in_use)), sample(its_sample) {}

  const uint64_t stream;  // 0: those of the route, or a part of them
  const uint32_t route;
  const std::shared_ptr<const void> route_in_use;  // so that no other one gets its number
  const uint32_t sample;                           // of 2^32 streams, about; UINT32_MAX: all

  RecordRing ring{limits::kTapBytes};
  std::atomic<uint64_t> dropped{0};    // events
  std::atomic<bool> over{false};       // nothing more will be written
  std::atomic<bool> unwatched{false};  // nobody reads it any more
};

enum class TapAnswer : uint8_t { kWatching, kNoStream, kNoEvents, kNoRoom };

}  // namespace sluice
