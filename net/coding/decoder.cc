#include "net/coding/decoder.h"

#include "net/coding/brotli_decoder.h"
#include "net/coding/inflate_decoder.h"
#include "net/coding/zstd_decoder.h"

namespace sluice {

std::unique_ptr<Decoder> make_decoder(AppliedCoding coding, Decoders& memory) {
  switch (coding) {
    case AppliedCoding::kGzip:
      return make_gzip_decoder(memory);
    case AppliedCoding::kDeflate:
      return make_deflate_decoder(memory);
    case AppliedCoding::kZstd:
      return make_zstd_decoder(memory);
    case AppliedCoding::kBrotli:
      return make_brotli_decoder(memory);
    case AppliedCoding::kNone:
    case AppliedCoding::kOther:
      break;
  }
  return nullptr;
}

}  // namespace sluice
