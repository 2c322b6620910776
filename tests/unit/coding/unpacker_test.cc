#include "net/coding/unpacker.h"

#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/coding/packer_testing.h"

namespace sluice::test {
namespace {

std::string deflated(std::string_view plain, int window_bits) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, plain.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

std::string packed_by_us(std::string_view plain, ContentCoding coding) {
  PackerRig rig(coding);
  Body body(rig);
  body.append(plain);
  std::string packed;
  while (!body.packer->ended()) packed += body.pack(/*finished=*/true);
  return packed;
}

std::string zstd_frame(std::string_view plain, int level, int window_log) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string packed(ZSTD_compressBound(plain.size()) + 32, '\0');
  ZSTD_inBuffer in{plain.data(), plain.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue);  // of a size that it does not know
  EXPECT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0U);
  packed.resize(out.pos);
  ZSTD_freeCCtx(context);
  return packed;
}

struct UnpackerRig : ChainRig {
  explicit UnpackerRig(uint64_t decoder_bytes = 16 << 20) {
    limit.bytes_max = decoder_bytes * limits::kDecodersFraction;
  }
  MemoryLimit limit;
  Decoders decoders{limit};
};

// One body, fed and read in pieces.
class Reader {
 public:
  Reader(UnpackerRig& rig, AppliedCoding coding)
      : rig_(rig), unpacker(rig.decoders, coding, rig.memory, rig.pool()) {}

  void feed(std::string_view packed) {
    Lease slot = rig_.pool().take_block(static_cast<uint32_t>(packed.size()), /*ours=*/true);
    packed.copy(slot.data(), packed.size());
    unpacker.append(slot, {slot.data(), packed.size()});
  }
  void read(size_t at_a_time = 100) {
    std::string room(at_a_time, '\0');
    while (unpacker.waits()) plain.append(room.data(), unpacker.unpack(room));
  }
  bool whole() const { return unpacker.fault() == DecodingFault::kNone && unpacker.at_end(); }

 private:
  UnpackerRig& rig_;

 public:
  Unpacker unpacker;
  std::string plain;
};

struct Form {
  const char* name;
  AppliedCoding coding;
  std::function<std::string(std::string_view)> pack;
};

const Form kForms[] = {
    {"gzip", AppliedCoding::kGzip, [](std::string_view text) { return deflated(text, 31); }},
    {"our_gzip", AppliedCoding::kGzip,
     [](std::string_view text) { return packed_by_us(text, ContentCoding::kGzip); }},
    {"deflate", AppliedCoding::kDeflate, [](std::string_view text) { return deflated(text, 15); }},
    {"small_deflate", AppliedCoding::kDeflate,
     [](std::string_view text) { return deflated(text, 9); }},
    {"bare_deflate", AppliedCoding::kDeflate,
     [](std::string_view text) { return deflated(text, -15); }},
    {"zstd", AppliedCoding::kZstd,
     [](std::string_view text) { return packed_by_us(text, ContentCoding::kZstd); }},
    {"large_zstd", AppliedCoding::kZstd,
     [](std::string_view text) { return zstd_frame(text, 19, 23); }},
    {"brotli", AppliedCoding::kBrotli,
     [](std::string_view text) { return packed_by_us(text, ContentCoding::kBrotli); }},
};

std::string events(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += some_event(i);
  return text;
}

class EachForm : public testing::TestWithParam<Form> {};

TEST_P(EachForm, BodyComesOutWhole) {
  UnpackerRig rig;
  std::string text = events(300);
  for (size_t room : {1, 7, 4096, 1 << 20}) {
    Reader reader(rig, GetParam().coding);
    reader.feed(GetParam().pack(text));
    reader.read(room);
    EXPECT_EQ(reader.plain, text);
    EXPECT_TRUE(reader.whole());
  }
  EXPECT_EQ(rig.decoders.metrics().decoder_bytes, 0U);
  EXPECT_EQ(rig.limit.bytes, 0U);
}

TEST_P(EachForm, CutAnywhereIsNoEnd) {
  UnpackerRig rig;
  std::string text = events(3);
  std::string packed = GetParam().pack(text);
  Reader reader(rig, GetParam().coding);
  EXPECT_TRUE(reader.whole());
  for (size_t i = 0; i < packed.size(); ++i) {
    EXPECT_EQ(reader.whole(), i == 0) << "cut at byte " << i;
    reader.feed(packed.substr(i, 1));
    reader.read();
    ASSERT_EQ(reader.unpacker.fault(), DecodingFault::kNone) << "at byte " << i;
    ASSERT_TRUE(text.starts_with(reader.plain));
  }
  EXPECT_TRUE(reader.whole());
  EXPECT_EQ(reader.plain, text);
}

// Any one bit that is wrong: what comes out is bounded, and nothing is read that is not there.
TEST_P(EachForm, DamageIsNeverWorseThanWrong) {
  UnpackerRig rig;
  std::string packed = GetParam().pack(events(3));
  for (size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string damaged = packed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    Reader reader(rig, GetParam().coding);
    reader.feed(damaged);
    reader.read();
    EXPECT_LT(reader.plain.size(), limits::kUnpackedFreeBytes);
  }
  EXPECT_EQ(rig.decoders.metrics().decoder_bytes, 0U);
}

TEST_P(EachForm, NothingComesOutBeforeThereIsRoom) {
  UnpackerRig rig;
  Reader reader(rig, GetParam().coding);
  reader.feed(GetParam().pack(std::string(100'000, 'x')));
  std::string room(10, '\0');
  EXPECT_EQ(reader.unpacker.unpack(room), 10U);
  EXPECT_TRUE(reader.unpacker.waits());
  EXPECT_EQ(rig.decoders.metrics().of(GetParam().coding).plain_bytes, 10U);
  reader.read();
  EXPECT_EQ(reader.plain.size(), 100'000U - 10);
  EXPECT_FALSE(reader.unpacker.waits());
}

TEST_P(EachForm, TooMuchOutOfTooLittleFails) {
  UnpackerRig rig;
  std::string bomb = GetParam().pack(std::string(64 << 20, '\0'));
  if (bomb.size() * limits::kUnpackedRatioMax > 64 << 20) GTEST_SKIP() << "it packs no better";
  Reader reader(rig, GetParam().coding);
  for (size_t at = 0; at < bomb.size(); at += 4096) {
    reader.feed(std::string_view(bomb).substr(at, 4096));
    reader.read(4096);
  }
  EXPECT_EQ(reader.unpacker.fault(), DecodingFault::kRatio);
  EXPECT_LE(reader.plain.size(), limits::kUnpackedFreeBytes + 4096);
  EXPECT_FALSE(reader.whole());
}

TEST_P(EachForm, WithoutMemoryItFails) {
  UnpackerRig rig(/*decoder_bytes=*/1000);
  Reader reader(rig, GetParam().coding);
  if (reader.unpacker.fault() == DecodingFault::kNone) reader.feed(GetParam().pack(events(300)));
  reader.read();
  EXPECT_EQ(reader.unpacker.fault(), DecodingFault::kNoMemory);
  EXPECT_EQ(rig.limit.bytes, rig.decoders.metrics().decoder_bytes);
}

INSTANTIATE_TEST_SUITE_P(Unpacker, EachForm, testing::ValuesIn(kForms),
                         [](const auto& form) { return form.param.name; });

void expect_fault(AppliedCoding coding, const std::string& packed, DecodingFault fault,
                  std::string_view plain) {
  UnpackerRig rig;
  Reader reader(rig, coding);
  reader.feed(packed);
  reader.read();
  EXPECT_EQ(reader.unpacker.fault(), fault);
  EXPECT_EQ(reader.plain, plain);
}

TEST(Unpacker, MembersAndFramesFollowEachOther) {
  std::string member = deflated("one", 31);
  expect_fault(AppliedCoding::kGzip, member + member + member, DecodingFault::kNone, "oneoneone");
  std::string frame = zstd_frame("two", 3, 17);
  std::string skipped("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
  expect_fault(AppliedCoding::kZstd, frame + skipped + frame, DecodingFault::kNone, "twotwo");
}

TEST(Unpacker, NothingElseStandsBehindTheEnd) {
  expect_fault(AppliedCoding::kGzip, deflated("one", 31) + "x", DecodingFault::kNone, "one");
  expect_fault(AppliedCoding::kGzip, deflated("one", 31) + "xyz", DecodingFault::kInvalid, "one");
  expect_fault(AppliedCoding::kDeflate, deflated("one", 15) + "x", DecodingFault::kInvalid, "one");
  expect_fault(AppliedCoding::kDeflate, deflated("one", -15) + "x", DecodingFault::kInvalid, "one");
  expect_fault(AppliedCoding::kZstd, zstd_frame("one", 3, 17) + "xyzu", DecodingFault::kInvalid,
               "one");
  expect_fault(AppliedCoding::kBrotli, packed_by_us("one", ContentCoding::kBrotli) + "x",
               DecodingFault::kInvalid, "one");
}

TEST(Unpacker, SumsAreChecked) {
  std::string packed = deflated("one", 31);
  packed[packed.size() - 6] ^= 1;
  expect_fault(AppliedCoding::kGzip, packed, DecodingFault::kInvalid, "one");
}

TEST(Unpacker, WindowsOverEightMegabytesAreRefused) {
  std::string text(1000, 'x');
  expect_fault(AppliedCoding::kZstd, zstd_frame(text, 3, 24), DecodingFault::kInvalid, "");
  // RFC 7932 has no such window: 62 MiB, of "large window brotli".
  expect_fault(AppliedCoding::kBrotli, std::string("\x11\x1a\x03", 3), DecodingFault::kInvalid, "");
}

TEST(Unpacker, BytesThatWaitAreDense) {
  UnpackerRig rig;
  Reader reader(rig, AppliedCoding::kGzip);
  std::string packed = deflated(events(100), 31);
  uint32_t before = rig.pool().leased();
  for (char c : packed) reader.feed(std::string(1, c));
  EXPECT_LE(rig.pool().leased() - before, 2 + packed.size() / rig.pool().slot_bytes());
  reader.read();
  EXPECT_TRUE(reader.whole());
}

}  // namespace
}  // namespace sluice::test
