#include <immintrin.h>

#include "sse/scan.h"

namespace sluice {
namespace {

uint64_t match64(__m256i low, __m256i high, char value) {
  const __m256i wanted = _mm256_set1_epi8(value);
  int low_bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted));
  int high_bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted));
  return uint64_t{static_cast<uint32_t>(high_bits)} << 32 | static_cast<uint32_t>(low_bits);
}

}  // namespace

LineEndMask scan64_avx2(const char* bytes) {
  const auto* at = reinterpret_cast<const __m256i*>(bytes);
  const __m256i low = _mm256_loadu_si256(at);
  const __m256i high = _mm256_loadu_si256(at + 1);
  return {match64(low, high, '\n'), match64(low, high, '\r')};
}

}  // namespace sluice
