// What a worker counts of the bodies that it packs and unpacks, by coding. Plain numbers; written
// by the room that does so (net/coding), read by a scrape of the same worker.
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

// Why a packed body of an upstream's could not be unpacked to its end.
enum class DecodingFault : uint8_t {
  kNone,
  kInvalid,   // its bytes are not of that coding, or behind its end
  kCut,       // it ended before its coding did
  kRatio,     // it becomes more than any event stream should (limits::kUnpackedRatioMax)
  kNoMemory,  // of --pool-max
};
inline constexpr unsigned kDecodingFaults = 5;

constexpr const char* decoding_fault_name(DecodingFault fault) {
  constexpr std::array<const char*, kDecodingFaults> kNames = {"", "invalid", "cut", "ratio",
                                                               "memory"};
  return kNames[static_cast<unsigned>(fault)];
}

struct DecodingCounts {
  uint64_t bodies = 0;        // begun
  uint64_t packed_bytes = 0;  // taken in
  uint64_t plain_bytes = 0;
};

struct DecodingMetrics {
  std::array<DecodingCounts, kAppliedCodings> by_coding{};
  std::array<uint64_t, kDecodingFaults> faults{};
  uint64_t decoder_bytes = 0;  // now

  DecodingCounts& of(AppliedCoding coding) { return by_coding[static_cast<unsigned>(coding)]; }
  const DecodingCounts& of(AppliedCoding coding) const {
    return by_coding[static_cast<unsigned>(coding)];
  }
};

}  // namespace sluice
