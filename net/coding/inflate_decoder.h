// zlib's inflate for gzip (RFC 1952), of one member or several, and for deflate, which servers send
// with zlib's wrapper (RFC 1950), as RFC 9110 section 8.4.1.2 wants it, or bare (RFC 1951).
#pragma once

#include <memory>

#include "net/coding/decoder.h"

namespace sluice {

std::unique_ptr<Decoder> make_gzip_decoder(Decoders& memory);
std::unique_ptr<Decoder> make_deflate_decoder(Decoders& memory);

}  // namespace sluice
