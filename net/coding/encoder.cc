#include "net/coding/encoder.h"

#include "net/coding/brotli_encoder.h"
#include "net/coding/deflate_encoder.h"
#include "net/coding/zstd_encoder.h"

namespace sluice {

size_t encoder_bytes(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::kGzip:
      return deflate_encoder_bytes();
    case ContentCoding::kZstd:
      return zstd_encoder_bytes();
    case ContentCoding::kBrotli:
      return brotli_encoder_bytes();
    case ContentCoding::kIdentity:
      break;
  }
  return 0;
}

std::unique_ptr<Encoder> make_encoder(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::kGzip:
      return make_deflate_encoder();
    case ContentCoding::kZstd:
      return make_zstd_encoder();
    case ContentCoding::kBrotli:
      return make_brotli_encoder();
    case ContentCoding::kIdentity:
      break;
  }
  return nullptr;
}

}  // namespace sluice
