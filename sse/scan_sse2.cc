#include <emmintrin.h>

#include "sse/scan.h"

namespace sluice {
namespace {

uint64_t match16(__m128i bytes, __m128i wanted) {
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted)));
}

uint64_t match64(const __m128i (&block)[4], char value) {
  const __m128i wanted = _mm_set1_epi8(value);
  return match16(block[0], wanted) | match16(block[1], wanted) << 16 |
         match16(block[2], wanted) << 32 | match16(block[3], wanted) << 48;
}

}  // namespace

LineEndMask scan64_sse2(const char* bytes) {
  const auto* at = reinterpret_cast<const __m128i*>(bytes);
  const __m128i block[4] = {_mm_loadu_si128(at), _mm_loadu_si128(at + 1), _mm_loadu_si128(at + 2),
                            _mm_loadu_si128(at + 3)};
  return {match64(block, '\n'), match64(block, '\r')};
}

}  // namespace sluice
