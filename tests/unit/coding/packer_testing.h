// What tests of packed bodies share: a body with its encoders, and the client that reads it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/base/limits.h"
#include "net/coding/packer.h"
#include "tests/unit/coding/decoders.h"
#include "tests/unit/pool/chain_testing.h"

namespace sluice::test {

inline constexpr ContentCoding kAllCodings[] = {ContentCoding::kGzip, ContentCoding::kZstd,
                                                ContentCoding::kBrotli};

inline std::string some_event(size_t i) {
  return "id: " + std::to_string(i) + "\ndata: {\"choices\":[{\"delta\":{\"content\":\" word" +
         std::to_string(i * 7919 % 1000) + "\"}}]}\n\n";
}

struct PackerRig : ChainRig {
  // Room for so many states of that coding.
  explicit PackerRig(ContentCoding its_coding, size_t states = 4) : coding(its_coding) {
    limit.bytes_max = states * encoder_bytes(coding) * limits::kEncodersFraction;
  }

  std::unique_ptr<Packer> packer(Packer::Way way = Packer::Way::kEachSend) {
    return std::make_unique<Packer>(encoders, coding, way, memory, pool());
  }

  ContentCoding coding;
  MemoryLimit limit;
  Encoders encoders{limit};
};

// A body and its reader.
class Body {
 public:
  explicit Body(PackerRig& rig, Packer::Way way = Packer::Way::kEachSend)
      : packer(rig.packer(way)), packed_(rig.memory, rig.pool()), decoder(decoder_of(rig.coding)) {}

  void append(std::string_view text) {
    ASSERT_TRUE(packer->plain().append_block(text, /*ours=*/true));
    sent += text;
  }
  // Packs what is there; the bytes that leave.
  std::string pack(bool finished = false) {
    packer->pack(packed_, finished);
    std::string wire = text_of(packed_);
    packed_.consume(packed_.bytes());
    return wire;
  }
  // All leaves and is read. What was added can be read then.
  void send(bool finished = false) {
    do {
      wire_bytes += pack_and_feed(finished);
    } while (!packer->plain().empty());
    EXPECT_FALSE(decoder->failed);
    EXPECT_EQ(decoder->plain, sent);
  }

  std::unique_ptr<Packer> packer;

 private:
  size_t pack_and_feed(bool finished) {
    std::string wire = pack(finished);
    decoder->feed(wire);
    return wire.size();
  }
  Chain packed_;

 public:
  std::unique_ptr<Decoder> decoder;
  std::string sent;
  size_t wire_bytes = 0;
};

}  // namespace sluice::test
