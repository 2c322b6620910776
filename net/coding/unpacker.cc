#include "net/coding/unpacker.h"

#include <array>

#include "net/base/limits.h"

namespace sluice {

Unpacker::Unpacker(Decoders& decoders, AppliedCoding coding, Memory& memory, SlotPool& spill)
    : decoders_(decoders),
      decoder_(make_decoder(coding, decoders)),
      packed_(memory, spill),
      coding_(coding) {
  ++decoders_.metrics().of(coding_).bodies;
  if (!decoder_) fault_ = DecodingFault::kNoMemory;
}

Unpacker::~Unpacker() = default;

void Unpacker::append(const Lease& lease, std::string_view packed) {
  bool small = packed.size() <= lease.size() / limits::kSpillFraction;
  if (small && !packed_.empty()) packed = packed_.append_copy(packed);
  if (!packed.empty()) packed_.append(lease, packed);
}

size_t Unpacker::unpack(std::span<char> into) {
  size_t written = 0;
  while (written < into.size() && waits()) {
    std::array<iovec, 1> piece{};
    uint64_t covered = 0;
    packed_.fill(piece, 0, packed_.bytes(), &covered);
    std::string_view packed(static_cast<const char*>(piece[0].iov_base), covered);
    std::span<char> room = into.subspan(written);
    Decoder::Step step = decoder_->decode(packed, room);
    packed_.consume(step.taken);
    written += step.written;
    more_ = step.written == room.size();
    fault_ = step.fault;
    count(step.taken, step.written);
    bool stuck = step.taken == 0 && step.written == 0 && !packed.empty();
    if (stuck && fault_ == DecodingFault::kNone) fault_ = DecodingFault::kInvalid;
  }
  return written;
}

void Unpacker::count(size_t taken, size_t written) {
  packed_bytes_ += taken;
  plain_bytes_ += written;
  DecodingCounts& counts = decoders_.metrics().of(coding_);
  counts.packed_bytes += taken;
  counts.plain_bytes += written;
  if (plain_bytes_ > limits::kUnpackedFreeBytes &&
      plain_bytes_ > packed_bytes_ * limits::kUnpackedRatioMax)
    fault_ = DecodingFault::kRatio;
}

}  // namespace sluice
