// Any bytes as a packed body, in each coding, and as a plain one that is packed and unpacked again.
// What comes out, and whether the body is whole, is the same however it is cut and however little
// room there is; and no memory is left over.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.h"
#include "net/coding/decoder.h"
#include "net/coding/decoders.h"
#include "net/coding/encoder.h"
#include "tests/fuzz/fuzz_input.h"

namespace sluice::test {
namespace {

constexpr size_t kPlainMax = 256 * 1024;  // a bomb is for the unpacker to end
constexpr AppliedCoding kCodings[] = {AppliedCoding::kGzip, AppliedCoding::kDeflate,
                                      AppliedCoding::kZstd, AppliedCoding::kBrotli};

struct Unpacked {
  std::string plain = {};
  bool whole = false;
  bool broken = false;
  bool cut = false;  // for its length
};

// `room` bytes at a time.
void feed(Decoder& decoder, std::string_view packed, size_t room, Unpacked& into) {
  std::vector<char> space(room);
  while (!into.broken && !into.cut) {
    Decoder::Step step = decoder.decode(packed, space);
    SLUICE_CHECK(step.taken <= packed.size() && step.written <= room);
    into.plain.append(space.data(), step.written);
    packed.remove_prefix(step.taken);
    into.broken = step.fault != DecodingFault::kNone;
    into.cut = into.plain.size() > kPlainMax;
    if (step.written == room) continue;
    // Taken and not written is progress; neither is none.
    if (packed.empty() || (step.taken == 0 && step.written == 0)) {
      into.broken |= !packed.empty();
      break;
    }
  }
  into.whole = !into.broken && decoder.at_end();
}

Unpacked unpack(AppliedCoding coding, std::string_view packed, const std::vector<size_t>& cuts,
                size_t room) {
  MemoryLimit limit{.bytes_max = uint64_t{1} << 30};
  Decoders memory(limit);
  Unpacked result;
  {
    std::unique_ptr<Decoder> decoder = make_decoder(coding, memory);
    SLUICE_CHECK(decoder != nullptr);
    size_t from = 0;
    for (size_t cut : cuts) {
      feed(*decoder, packed.substr(from, cut - from), room, result);
      from = cut;
    }
    feed(*decoder, packed.substr(from), room, result);
  }
  SLUICE_CHECK(limit.bytes == 0 && memory.metrics().decoder_bytes == 0);
  return result;
}

void check(AppliedCoding coding, std::string_view packed, const std::vector<size_t>& cuts,
           size_t room) {
  Unpacked one = unpack(coding, packed, {}, 64 * 1024);
  Unpacked other = unpack(coding, packed, cuts, room);
  size_t common = std::min(one.plain.size(), other.plain.size());
  SLUICE_CHECK(one.plain.compare(0, common, other.plain, 0, common) == 0);
  if (one.cut || other.cut) return;
  SLUICE_CHECK(one.broken == other.broken && one.whole == other.whole);
  if (!one.broken) SLUICE_CHECK(one.plain.size() == other.plain.size());
}

std::string pack(ContentCoding coding, std::string_view plain) {
  std::unique_ptr<Encoder> encoder = make_encoder(coding);
  encoder->begin({});
  std::string packed;
  for (bool done = false; !done;) {
    std::array<char, Encoder::kRoomLeast> room;
    Encoder::Step step = encoder->encode(plain, Encoder::Then::kEnd, room);
    packed.append(room.data(), step.written);
    plain.remove_prefix(step.taken);
    done = step.done;
  }
  return packed;
}

// Of gzip the packer writes what stands around the deflated bytes.
void round_trip(std::string_view plain, const std::vector<size_t>& cuts, size_t room) {
  constexpr std::pair<ContentCoding, AppliedCoding> kPairs[] = {
      {ContentCoding::kGzip, AppliedCoding::kDeflate},
      {ContentCoding::kZstd, AppliedCoding::kZstd},
      {ContentCoding::kBrotli, AppliedCoding::kBrotli}};
  for (const auto& [coding, applied] : kPairs) {
    std::string packed = pack(coding, plain);
    std::vector<size_t> within = cuts;
    for (size_t& cut : within) cut = std::min(cut, packed.size());
    Unpacked read = unpack(applied, packed, within, room);
    SLUICE_CHECK(read.whole && read.plain == plain);
    if (packed.empty()) continue;
    packed.pop_back();
    SLUICE_CHECK(!unpack(applied, packed, {}, room).whole);
  }
}

}  // namespace
}  // namespace sluice::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice;
  using namespace sluice::test;
  FuzzInput input(data, size);
  uint8_t kind = input.byte() % 5;
  size_t room = 1 + input.byte();
  std::vector<size_t> cuts = input.cuts();
  if (kind == 4)
    round_trip(input.rest(), cuts, room);
  else
    check(kCodings[kind], input.rest(), cuts, room);
  return 0;
}
