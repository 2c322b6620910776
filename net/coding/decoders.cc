#include "net/coding/decoders.h"

#include <cstdlib>

#include "core/check.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

// A piece begins with its size.
constexpr size_t kAhead = alignof(std::max_align_t);
static_assert(kAhead >= sizeof(size_t));

}  // namespace

Decoders::~Decoders() {
  SLUICE_CHECK(metrics_.decoder_bytes == 0);
}

void* Decoders::allocate(size_t bytes) {
  uint64_t most = memory_limit_.bytes_max;
  if (bytes > most) return nullptr;
  bytes += kAhead;
  if (memory_limit_.bytes + bytes > most) return nullptr;
  if (metrics_.decoder_bytes + bytes > most / limits::kDecodersFraction) return nullptr;
  auto* piece = static_cast<char*>(std::malloc(bytes));
  if (!piece) return nullptr;
  *reinterpret_cast<size_t*>(piece) = bytes;
  memory_limit_.bytes += bytes;
  metrics_.decoder_bytes += bytes;
  return piece + kAhead;
}

void Decoders::free(void* piece) {
  if (!piece) return;
  char* begin = static_cast<char*>(piece) - kAhead;
  size_t bytes = *reinterpret_cast<size_t*>(begin);
  memory_limit_.bytes -= bytes;
  metrics_.decoder_bytes -= bytes;
  std::free(begin);
}

}  // namespace sluice
