// An answer in a content coding that its client gets as it came, unpacked for the meter alone: a
// piece at a time, and nothing of it is kept. Bounded by limits::kUsageUnpackedBytes; what comes
// behind that, or cannot be unpacked, the meter has to estimate. Owned by the stream's Metering; it
// ends with the attempt at that upstream.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "net/coding/unpacker.h"
#include "net/llm/usage_meter.h"

namespace sluice {

class PackedAnswer {
 public:
  PackedAnswer(Decoders& decoders, AppliedCoding coding, Memory& memory);

  // The next bytes of the body, as they lie in their slot.
  void read(const Lease& lease, std::string_view packed, UsageMeter& meter);

 private:
  Decoders& decoders_;
  std::unique_ptr<Unpacker> unpacker_;  // null: it cannot be unpacked
  uint64_t left_;                       // plain bytes that may still be read
};

}  // namespace sluice
