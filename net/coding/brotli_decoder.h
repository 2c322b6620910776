// Brotli (RFC 7932), without the large windows that are no part of it.
#pragma once

#include <memory>

#include "net/coding/decoder.h"

namespace sluice {

std::unique_ptr<Decoder> make_brotli_decoder(Decoders& memory);

}  // namespace sluice
