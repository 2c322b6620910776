// The body of one upstream's response on its way out of a content coding: packed bytes wait here in
// the slots that they came in, and plain ones are pulled out as far as there is room for them. So
// what a body becomes never waits anywhere, however much it is. Owned by the stream that it comes
// to; it ends with the attempt at that upstream.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "net/coding/decoder.h"
#include "net/coding/decoders.h"
#include "pool/chain.h"

namespace sluice {

class Unpacker {
 public:
  // Packed bytes that have to wait are copied into slots of `spill`, where they are few.
  Unpacker(Decoders& decoders, AppliedCoding coding, Memory& memory, SlotPool& spill);
  ~Unpacker();
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // Packed bytes, behind those before.
  void append(const Lease& lease, std::string_view packed);
  // More plain bytes may come without more packed ones.
  bool waits() const { return fault_ == DecodingFault::kNone && (more_ || !packed_.empty()); }
  // The next plain bytes; how many there are. They stand also where it fails behind them.
  size_t unpack(std::span<char> into);

  DecodingFault fault() const { return fault_; }
  // The body may end behind what has been unpacked.
  bool at_end() const { return !decoder_ || decoder_->at_end(); }
  bool holds_in(const SlotPool& pool) const { return packed_.holds_in(pool); }

 private:
  void count(size_t taken, size_t written);

  Decoders& decoders_;
  std::unique_ptr<Decoder> decoder_;
  Chain packed_;
  uint64_t packed_bytes_ = 0;  // taken in
  uint64_t plain_bytes_ = 0;
  const AppliedCoding coding_;
  DecodingFault fault_ = DecodingFault::kNone;
  bool more_ = false;  // the last step has filled its room
};

}  // namespace sluice
