#define ZSTD_STATIC_LINKING_ONLY  // for an allocator of our own
#include "net/coding/zstd_decoder.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "core/check.h"
#include "net/coding/decoders.h"

namespace sluice {
namespace {

constexpr int kWindowLogMax = 23;

void* allocate(void* memory, size_t bytes) {
  return static_cast<Decoders*>(memory)->allocate(bytes);
}
void give_back(void* memory, void* piece) {
  static_cast<Decoders*>(memory)->free(piece);
}

class ZstdDecoder final : public Decoder {
 public:
  explicit ZstdDecoder(Decoders& memory)
      : context_(ZSTD_createDCtx_advanced({allocate, give_back, &memory})) {
    if (context_)
      SLUICE_CHECK(
          !ZSTD_isError(ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kWindowLogMax)));
  }
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

  bool ok() const { return context_ != nullptr; }
  bool at_end() const override { return at_end_; }

  Step decode(std::string_view packed, std::span<char> into) override {
    if (packed.empty() && at_end_) return {};
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    size_t left = ZSTD_decompressStream(context_, &out, &in);
    Step step{in.pos, out.pos};
    if (ZSTD_isError(left))
      step.fault = ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation
                       ? DecodingFault::kNoMemory
                       : DecodingFault::kInvalid;
    else
      at_end_ = left == 0;
    return step;
  }

 private:
  ZSTD_DCtx* context_;
  bool at_end_ = true;
};

}  // namespace

std::unique_ptr<Decoder> make_zstd_decoder(Decoders& memory) {
  auto decoder = std::make_unique<ZstdDecoder>(memory);
  if (!decoder->ok()) return nullptr;
  return decoder;
}

}  // namespace sluice
