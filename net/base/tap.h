// One worker's part of a tap: the copy of events that somebody watches at the admin port. The
// worker writes it, the admin port's thread reads it, and neither ever waits: what does not fit is
// dropped and counted. Shared by both; what it watches never changes.
#pragma once

#include <atomic>
#include <cstdint>

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
  Tap(uint64_t its_stream, uint32_t its_route, uint32_t its_sample)
      : stream(its_stream), route(its_route), sample(its_sample) {}

  const uint64_t stream;  // 0: those of the route, or a part of them
  const uint32_t route;
  const uint32_t sample;  // of 2^32 streams, about; UINT32_MAX: all

  RecordRing ring{limits::kTapBytes};
  std::atomic<uint64_t> dropped{0};    // events
  std::atomic<bool> over{false};       // nothing more will be written
  std::atomic<bool> unwatched{false};  // nobody reads it any more
};

enum class TapAnswer : uint8_t { kWatching, kNoStream, kNoEvents, kNoRoom };

}  // namespace sluice
