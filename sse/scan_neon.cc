#include <arm_neon.h>

#include "sse/scan.h"

namespace sluice {
namespace {

// NEON has no movemask: each matching byte keeps the bit of its place within eight, and three
// rounds of adding neighbours fold 64 bytes into 8, in order.
uint64_t match64(const uint8x16x4_t& block, uint8_t value) {
  const uint8x16_t wanted = vdupq_n_u8(value);
  const uint8x16_t place = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  const uint8x16_t sum01 = vpaddq_u8(vandq_u8(vceqq_u8(block.val[0], wanted), place),
                                     vandq_u8(vceqq_u8(block.val[1], wanted), place));
  const uint8x16_t sum23 = vpaddq_u8(vandq_u8(vceqq_u8(block.val[2], wanted), place),
                                     vandq_u8(vceqq_u8(block.val[3], wanted), place));
  const uint8x16_t sum = vpaddq_u8(sum01, sum23);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)), 0);
}

}  // namespace

LineEndMask scan64_neon(const char* bytes) {
  const auto* at = reinterpret_cast<const uint8_t*>(bytes);
  const uint8x16x4_t block = {
      {vld1q_u8(at), vld1q_u8(at + 16), vld1q_u8(at + 32), vld1q_u8(at + 48)}};
  return {match64(block, '\n'), match64(block, '\r')};
}

}  // namespace sluice
