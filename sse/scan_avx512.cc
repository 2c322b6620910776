#include <immintrin.h>

#include "sse/scan.h"

namespace sluice {

LineEndMask scan64_avx512(const char* bytes) {
  const __m512i block = _mm512_loadu_si512(bytes);
  return {_mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\n')),
          _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\r'))};
}

}  // namespace sluice
