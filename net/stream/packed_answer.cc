#include "net/stream/packed_answer.h"

#include <algorithm>
#include <array>

#include "net/base/limits.h"

namespace sluice {

PackedAnswer::PackedAnswer(Decoders& decoders, AppliedCoding coding, Memory& memory)
    : decoders_(decoders), left_(limits::kUsageUnpackedBytes) {
  if (coding == AppliedCoding::kOther) return;
  unpacker_ = std::make_unique<Unpacker>(decoders, coding, memory, memory.http_message);
}

void PackedAnswer::read(const Lease& lease, std::string_view packed, UsageMeter& meter) {
  if (unpacker_) {
    unpacker_->append(lease, packed);
    std::array<char, 4096> plain;
    while (unpacker_->waits() && left_ > 0) {
      size_t size = unpacker_->unpack({plain.data(), std::min<size_t>(plain.size(), left_)});
      meter.on_body({plain.data(), size});
      left_ -= size;
    }
    DecodingFault fault = unpacker_->fault();
    if (fault == DecodingFault::kNone && left_ > 0) return;
    if (fault != DecodingFault::kNone) ++decoders_.metrics().faults[static_cast<unsigned>(fault)];
    unpacker_.reset();
  }
  meter.on_unread_body(packed.size());
}

}  // namespace sluice
