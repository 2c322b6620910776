#include "sse/scanner.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/random_source.h"
#include "tests/unit/sse/reference.h"

namespace sluice::test {
namespace {

LineEndMask masks_by_byte(const char* bytes) {
  LineEndMask mask{0, 0};
  for (unsigned i = 0; i < 64; ++i) {
    mask.lf |= uint64_t{bytes[i] == '\n'} << i;
    mask.cr |= uint64_t{bytes[i] == '\r'} << i;
  }
  return mask;
}

class ScannerMasks : public EachScanner {
 protected:
  static void expect_masks(const char* bytes) {
    LineEndMask expected = masks_by_byte(bytes);
    LineEndMask mask = active_scanner().scan64(bytes);
    ASSERT_EQ(mask.lf, expected.lf) << testing::PrintToString(std::string(bytes, 64));
    ASSERT_EQ(mask.cr, expected.cr) << testing::PrintToString(std::string(bytes, 64));
  }
};

TEST_P(ScannerMasks, EachByteValueAtEachPlace) {
  for (unsigned value = 0; value < 256; ++value) {
    for (size_t place = 0; place < 64; ++place) {
      // Neighbours of one and of many bits: a borrow between bytes would show.
      for (char around : {'\0', 'x', '\x0b', '\xff'}) {
        std::string block(64, around);
        block[place] = static_cast<char>(value);
        expect_masks(block.data());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ScannerMasks, RandomBlocksAtEachAlignment) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  // Line ends, and bytes that differ from them in one bit.
  constexpr std::string_view kBiased = "\n\r\x0b\x0c\x0f\x09\x8a\x8d\x00";
  for (int round = 0; round < 200; ++round) {
    // A block at offset `shift` ends where the heap block ends.
    for (size_t shift = 0; shift < 64; ++shift) {
      std::vector<char> bytes(shift + 64);
      for (char& byte : bytes) {
        byte = random.between(0, 1) == 0 ? kBiased[random.between(0, kBiased.size() - 1)]
                                         : static_cast<char>(random.between(0, 255));
      }
      expect_masks(bytes.data() + shift);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, ScannerMasks, testing::ValuesIn(supported_scanners()), scanner_of);

TEST(Scanners, EndWithScalarWhichEveryCpuSupports) {
  ASSERT_FALSE(scanners().empty());
  EXPECT_STREQ(scanners().back().name, "scalar");
  EXPECT_TRUE(scanners().back().supported());
}

// One for each sse/scan_*.cc that this architecture compiles: none is left out of the table, and
// with it out of the tests.
TEST(Scanners, AreAllThatThisArchitectureHas) {
  std::vector<std::string> names;
  for (const Scanner& scanner : scanners()) names.emplace_back(scanner.name);
#if defined(__x86_64__)
  EXPECT_THAT(names, testing::ElementsAre("avx512", "avx2", "sse2", "scalar"));
#elif defined(__aarch64__)
  EXPECT_THAT(names, testing::ElementsAre("neon", "scalar"));
#else
  EXPECT_THAT(names, testing::ElementsAre("scalar"));
#endif
}

TEST(Scanners, AreVectorisedOnEveryArchitectureWeBuildFor) {
  EXPECT_THAT(supported_scanners(), testing::Contains(testing::AnyOf("sse2", "neon")));
}

TEST(SelectScanner, ForcesEachSupportedOneAndRefusesTheOthers) {
  for (const Scanner& scanner : scanners()) {
    ASSERT_TRUE(select_scanner("scalar"));
    EXPECT_EQ(select_scanner(scanner.name), scanner.supported()) << scanner.name;
    EXPECT_STREQ(active_scanner().name, scanner.supported() ? scanner.name : "scalar");
  }
  ASSERT_TRUE(select_scanner("auto"));
}

TEST(SelectScanner, AutoIsTheDefaultAndTheFastestSupported) {
  EXPECT_EQ(active_scanner().name, supported_scanners().front());
  ASSERT_TRUE(select_scanner("scalar"));
  ASSERT_TRUE(select_scanner("auto"));
  EXPECT_EQ(active_scanner().name, supported_scanners().front());
}

TEST(SelectScanner, LeavesTheActiveOneWhereTheNameIsUnknown) {
  ASSERT_TRUE(select_scanner("scalar"));
  for (const char* name : {"", "avx", "AVX2", "scalar ", "mmx"}) {
    EXPECT_FALSE(select_scanner(name)) << name;
    EXPECT_STREQ(active_scanner().name, "scalar");
  }
  ASSERT_TRUE(select_scanner("auto"));
}

}  // namespace
}  // namespace sluice::test
