// What a worker counts of the bodies that it packs, by coding. Plain numbers; written by the room
// that packs (net/encode), read by a scrape of the same worker.
#pragma once

#include <array>
#include <cstdint>

#include "net/base/content_coding.h"

namespace sluice {

struct EncodingCounts {
  uint64_t bodies = 0;       // begun
  uint64_t plain_bytes = 0;  // taken in
  uint64_t packed_bytes = 0;
  uint64_t taken_back = 0;  // states, from bodies that were idle
  // Now:
  uint64_t states_in_use = 0;
  uint64_t state_bytes = 0;  // spare ones, too
};

struct EncodingMetrics {
  std::array<EncodingCounts, kContentCodings> by_coding{};
  uint64_t refused = 0;  // bodies that go out unpacked, since there is no state for them

  EncodingCounts& of(ContentCoding coding) { return by_coding[static_cast<unsigned>(coding)]; }
  const EncodingCounts& of(ContentCoding coding) const {
    return by_coding[static_cast<unsigned>(coding)];
  }
};

}  // namespace sluice
