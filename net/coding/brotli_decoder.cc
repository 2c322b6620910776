#include "net/coding/brotli_decoder.h"

#include <brotli/decode.h>

#include "net/coding/decoders.h"

namespace sluice {
namespace {

void* allocate(void* memory, size_t bytes) {
  return static_cast<Decoders*>(memory)->allocate(bytes);
}
void give_back(void* memory, void* piece) {
  static_cast<Decoders*>(memory)->free(piece);
}

bool is_allocation(BrotliDecoderErrorCode error) {
  return error <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
         error >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

class BrotliDecoder final : public Decoder {
 public:
  explicit BrotliDecoder(Decoders& memory)
      : state_(BrotliDecoderCreateInstance(allocate, give_back, &memory)) {}
  ~BrotliDecoder() override {
    if (state_) BrotliDecoderDestroyInstance(state_);
  }
  BrotliDecoder(const BrotliDecoder&) = delete;
  BrotliDecoder& operator=(const BrotliDecoder&) = delete;

  bool ok() const { return state_ != nullptr; }
  bool at_end() const override { return !begun_ || BrotliDecoderIsFinished(state_) != 0; }

  Step decode(std::string_view packed, std::span<char> into) override {
    if (at_end() && packed.empty()) return {};
    if (begun_ && at_end()) return {.fault = DecodingFault::kInvalid};
    begun_ = true;
    size_t in_left = packed.size();
    size_t out_left = into.size();
    auto in = reinterpret_cast<const uint8_t*>(packed.data());
    auto out = reinterpret_cast<uint8_t*>(into.data());
    auto result = BrotliDecoderDecompressStream(state_, &in_left, &in, &out_left, &out, nullptr);
    Step step{packed.size() - in_left, into.size() - out_left};
    if (result == BROTLI_DECODER_RESULT_ERROR)
      step.fault = is_allocation(BrotliDecoderGetErrorCode(state_)) ? DecodingFault::kNoMemory
                                                                    : DecodingFault::kInvalid;
    return step;
  }

 private:
  BrotliDecoderState* state_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Decoder> make_brotli_decoder(Decoders& memory) {
  auto decoder = std::make_unique<BrotliDecoder>(memory);
  if (!decoder->ok()) return nullptr;
  return decoder;
}

}  // namespace sluice
