#include "net/coding/brotli_encoder.h"

#include <brotli/encode.h>

#include "core/check.h"

namespace sluice {
namespace {

// Qualities 0 and 1 forget everything at each flush, and those above 3 take twice the memory.
constexpr uint32_t kQuality = 3;
constexpr uint32_t kWindowBits = 14;

class BrotliEncoder final : public Encoder {
 public:
  BrotliEncoder() { BrotliEncoder::begin({}); }
  ~BrotliEncoder() override { BrotliEncoderDestroyInstance(state_); }
  BrotliEncoder(const BrotliEncoder&) = delete;
  BrotliEncoder& operator=(const BrotliEncoder&) = delete;

  void begin(std::string_view /*history*/) override {
    BrotliEncoderDestroyInstance(state_);
    state_ = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
    SLUICE_CHECK(state_);
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, kQuality);
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, kWindowBits);
  }

  Step encode(std::string_view plain, Then then, std::span<char> into) override {
    size_t in_left = plain.size();
    size_t out_left = into.size();
    auto next_in = reinterpret_cast<const uint8_t*>(plain.data());
    auto next_out = reinterpret_cast<uint8_t*>(into.data());
    BrotliEncoderOperation operation = then == Then::kMore    ? BROTLI_OPERATION_PROCESS
                                       : then == Then::kFlush ? BROTLI_OPERATION_FLUSH
                                                              : BROTLI_OPERATION_FINISH;
    SLUICE_CHECK(BrotliEncoderCompressStream(state_, operation, &in_left, &next_in, &out_left,
                                             &next_out, nullptr));
    bool done = in_left == 0 && !BrotliEncoderHasMoreOutput(state_) &&
                (then != Then::kEnd || BrotliEncoderIsFinished(state_));
    return {plain.size() - in_left, into.size() - out_left, done};
  }

 private:
  BrotliEncoderState* state_ = nullptr;
};

}  // namespace

// Measured: 343 KB.
size_t brotli_encoder_bytes() {
  return size_t{352} * 1024;
}

std::unique_ptr<Encoder> make_brotli_encoder() {
  return std::make_unique<BrotliEncoder>();
}

}  // namespace sluice
