#include "net/coding/inflate_decoder.h"

#include <zlib.h>

#include "core/check.h"
#include "net/coding/decoders.h"

namespace sluice {
namespace {

constexpr int kGzip = 16 + 15;
constexpr int kZlib = 15;
constexpr int kBare = -15;

voidpf allocate(voidpf memory, uInt items, uInt size) {
  return static_cast<Decoders*>(memory)->allocate(size_t{items} * size);
}
void give_back(voidpf memory, voidpf piece) {
  static_cast<Decoders*>(memory)->free(piece);
}

// With zlib's wrapper the first byte names method 8 and a window of up to 32 KiB. A bare body that
// begins like this would be a stored block whose padding is not zero.
bool has_wrapper(char first) {
  auto byte = static_cast<unsigned char>(first);
  return (byte & 0x0f) == 8 && byte >> 4 <= 7;
}

class InflateDecoder final : public Decoder {
 public:
  InflateDecoder(Decoders& memory, bool gzip) : gzip_(gzip) {
    stream_.zalloc = allocate;
    stream_.zfree = give_back;
    stream_.opaque = &memory;
    ok_ = inflateInit2(&stream_, gzip ? kGzip : kZlib) == Z_OK;
  }
  ~InflateDecoder() override {
    if (ok_) inflateEnd(&stream_);
  }
  InflateDecoder(const InflateDecoder&) = delete;
  InflateDecoder& operator=(const InflateDecoder&) = delete;

  bool ok() const { return ok_; }
  bool at_end() const override { return !begun_ || ended_; }

  Step decode(std::string_view packed, std::span<char> into) override {
    if (packed.empty() && at_end()) return {};
    if (!begun_ && !gzip_ && !has_wrapper(packed.front())) inflateReset2(&stream_, kBare);
    if (ended_) {
      if (!gzip_) return {.fault = DecodingFault::kInvalid};
      inflateReset(&stream_);  // another member
    }
    begun_ = true;
    ended_ = false;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = static_cast<uInt>(into.size());
    int result = inflate(&stream_, Z_SYNC_FLUSH);
    ended_ = result == Z_STREAM_END;
    Step step{packed.size() - stream_.avail_in, into.size() - stream_.avail_out};
    // Z_BUF_ERROR: there is nothing to be done without more bytes, or more room.
    if (result == Z_MEM_ERROR)
      step.fault = DecodingFault::kNoMemory;
    else if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      step.fault = DecodingFault::kInvalid;
    return step;
  }

 private:
  z_stream stream_{};
  const bool gzip_;
  bool ok_ = false;
  bool begun_ = false;
  bool ended_ = false;
};

std::unique_ptr<Decoder> make(Decoders& memory, bool gzip) {
  auto decoder = std::make_unique<InflateDecoder>(memory, gzip);
  if (!decoder->ok()) return nullptr;
  return decoder;
}

}  // namespace

std::unique_ptr<Decoder> make_gzip_decoder(Decoders& memory) {
  return make(memory, /*gzip=*/true);
}

std::unique_ptr<Decoder> make_deflate_decoder(Decoders& memory) {
  return make(memory, /*gzip=*/false);
}

}  // namespace sluice
