#include <bit>
#include <cstring>

#include "sse/scan.h"

namespace sluice {
namespace {

static_assert(std::endian::native == std::endian::little, "byte i must be bits 8i to 8i+7");

constexpr uint64_t kLowBits = 0x0101010101010101;
constexpr uint64_t kSevenBits = 0x7f7f7f7f7f7f7f7f;

// Bit i of the result: byte i of `word` is `value`. Exact, as the sums never leave their byte.
uint64_t match8(uint64_t word, uint8_t value) {
  uint64_t differing = word ^ (kLowBits * value);
  uint64_t zero = ~(((differing & kSevenBits) + kSevenBits) | differing | kSevenBits);
  // Bit 7 of each byte moves to bit 0; the product then gathers all eight in its top byte.
  return ((zero >> 7) * 0x0102040810204080) >> 56;
}

}  // namespace

LineEndMask scan64_scalar(const char* bytes) {
  LineEndMask mask{0, 0};
  for (unsigned i = 0; i < 64; i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    mask.lf |= match8(word, '\n') << i;
    mask.cr |= match8(word, '\r') << i;
  }
  return mask;
}

}  // namespace sluice
