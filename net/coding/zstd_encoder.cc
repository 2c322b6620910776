#define ZSTD_STATIC_LINKING_ONLY  // for a state in memory of our own
#include "net/coding/zstd_encoder.h"

#include <zstd.h>

#include "core/check.h"

namespace sluice {
namespace {

// The tables are set with the window, or the level's would come whatever the window is: 40 KB
// instead of 800.
void set_parameters(ZSTD_CCtx_params* params) {
  const std::pair<ZSTD_cParameter, int> values[] = {
      {ZSTD_c_compressionLevel, 1}, {ZSTD_c_windowLog, kZstdWindowLog}, {ZSTD_c_hashLog, 8},
      {ZSTD_c_chainLog, 6},         {ZSTD_c_contentSizeFlag, 0},        {ZSTD_c_checksumFlag, 0}};
  for (const auto& [parameter, value] : values)
    SLUICE_CHECK(!ZSTD_isError(ZSTD_CCtxParams_setParameter(params, parameter, value)));
}

struct FreeParams {
  void operator()(ZSTD_CCtx_params* params) const { ZSTD_freeCCtxParams(params); }
};
using Params = std::unique_ptr<ZSTD_CCtx_params, FreeParams>;

Params parameters() {
  Params params(ZSTD_createCCtxParams());
  SLUICE_CHECK(params);
  set_parameters(params.get());
  return params;
}

size_t context_bytes() {
  static const size_t kBytes = ZSTD_estimateCStreamSize_usingCCtxParams(parameters().get());
  SLUICE_CHECK(!ZSTD_isError(kBytes));
  return kBytes;
}

class ZstdEncoder final : public Encoder {
 public:
  ZstdEncoder() : memory_(std::make_unique_for_overwrite<uint64_t[]>(context_bytes() / 8 + 1)) {
    context_ = ZSTD_initStaticCCtx(memory_.get(), (context_bytes() / 8 + 1) * 8);
    SLUICE_CHECK(context_);
    SLUICE_CHECK(
        !ZSTD_isError(ZSTD_CCtx_setParametersUsingCCtxParams(context_, parameters().get())));
  }

  void begin(std::string_view /*history*/) override {
    ZSTD_CCtx_reset(context_, ZSTD_reset_session_only);
  }

  Step encode(std::string_view plain, Then then, std::span<char> into) override {
    ZSTD_inBuffer in{plain.data(), plain.size(), 0};
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    ZSTD_EndDirective directive = then == Then::kMore    ? ZSTD_e_continue
                                  : then == Then::kFlush ? ZSTD_e_flush
                                                         : ZSTD_e_end;
    size_t left = ZSTD_compressStream2(context_, &out, &in, directive);
    SLUICE_CHECK(!ZSTD_isError(left));
    bool done = in.pos == in.size && (then == Then::kMore || left == 0);
    return {in.pos, out.pos, done};
  }

 private:
  std::unique_ptr<uint64_t[]> memory_;
  ZSTD_CCtx* context_;
};

}  // namespace

size_t zstd_encoder_bytes() {
  return context_bytes() + 8 + sizeof(ZstdEncoder);
}

std::unique_ptr<Encoder> make_zstd_encoder() {
  return std::make_unique<ZstdEncoder>();
}

}  // namespace sluice
