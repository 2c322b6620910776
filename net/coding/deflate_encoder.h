// zlib's deflate without a wrapper (RFC 1951), and the check sum that gzip's has. The wrapper is
// the body's (net/coding/packer.cc), which outlives this state. A flush is always a SYNC flush:
// Go's reader hands out nothing before an empty stored block, which a PARTIAL one does not write.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "net/coding/encoder.h"

namespace sluice {

// 4 KiB of history: an event is found in the one before it. Smaller windows find nothing, larger
// ones pack a few percent better and leave the CPU's cache.
size_t deflate_encoder_bytes();
std::unique_ptr<Encoder> make_deflate_encoder();

// gzip's check sum of `before`'s bytes and these (RFC 1952 section 8). It begins with 0.
uint32_t gzip_check(uint32_t before, std::string_view bytes);
// The sum of `before`'s bytes and of others whose sum is `check` and whose number has that shift.
uint32_t gzip_join(uint32_t before, uint32_t check, uint32_t shift);
uint32_t gzip_shift(size_t bytes);

}  // namespace sluice
