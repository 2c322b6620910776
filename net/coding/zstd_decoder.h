// Zstandard (RFC 8878), of one frame or several. A window of more than 8 MiB is refused, as RFC
// 9659 has it.
#pragma once

#include <memory>

#include "net/coding/decoder.h"

namespace sluice {

std::unique_ptr<Decoder> make_zstd_decoder(Decoders& memory);

}  // namespace sluice
