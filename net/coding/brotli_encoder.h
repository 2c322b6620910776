// Brotli (RFC 7932). It cannot begin anew, so a state serves one body, and it allocates at each
// flush.
#pragma once

#include <memory>

#include "net/coding/encoder.h"

namespace sluice {

size_t brotli_encoder_bytes();
std::unique_ptr<Encoder> make_brotli_encoder();

}  // namespace sluice
