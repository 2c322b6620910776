// Zstandard (RFC 8878) in memory of a fixed size. It writes one frame, without a check sum.
#pragma once

#include <memory>

#include "net/coding/encoder.h"

namespace sluice {

// The window, and so a block's most bytes, is 2 KiB (RFC 8878 section 3.1.1.2.4).
inline constexpr unsigned kZstdWindowLog = 11;

size_t zstd_encoder_bytes();
std::unique_ptr<Encoder> make_zstd_encoder();

}  // namespace sluice
