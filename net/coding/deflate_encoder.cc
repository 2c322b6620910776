#include "net/coding/deflate_encoder.h"

#include <zlib.h>

#include "core/check.h"

namespace sluice {
namespace {

constexpr int kLevel = 6;
constexpr int kWindowBits = 12;
constexpr int kMemLevel = 4;

class DeflateEncoder final : public Encoder {
 public:
  DeflateEncoder() {
    ok_ = deflateInit2(&stream_, kLevel, Z_DEFLATED, -kWindowBits, kMemLevel, Z_DEFAULT_STRATEGY) ==
          Z_OK;
  }
  ~DeflateEncoder() override {
    if (ok_) deflateEnd(&stream_);
  }
  DeflateEncoder(const DeflateEncoder&) = delete;
  DeflateEncoder& operator=(const DeflateEncoder&) = delete;

  bool ok() const { return ok_; }
  void begin(std::string_view history) override {
    deflateReset(&stream_);
    if (history.empty()) return;
    int result = deflateSetDictionary(&stream_, reinterpret_cast<const Bytef*>(history.data()),
                                      static_cast<uInt>(history.size()));
    SLUICE_CHECK(result == Z_OK);
  }

  Step encode(std::string_view plain, Then then, std::span<char> into) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream_.avail_in = static_cast<uInt>(plain.size());
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = static_cast<uInt>(into.size());
    int flush = then == Then::kMore ? Z_NO_FLUSH : then == Then::kFlush ? Z_SYNC_FLUSH : Z_FINISH;
    int result = deflate(&stream_, flush);
    SLUICE_CHECK(result != Z_STREAM_ERROR);
    // Room that is left says that nothing waits for more of it.
    bool done = then == Then::kEnd ? result == Z_STREAM_END
                                   : stream_.avail_in == 0 && stream_.avail_out > 0;
    return {plain.size() - stream_.avail_in, into.size() - stream_.avail_out, done};
  }

 private:
  z_stream stream_{};
  bool ok_ = false;
};

}  // namespace

// As zlib's documentation (zconf.h) has it, and what it needs beside.
size_t deflate_encoder_bytes() {
  return (size_t{1} << (kWindowBits + 2)) + (size_t{1} << (kMemLevel + 9)) + 5952 +
         sizeof(DeflateEncoder);
}

std::unique_ptr<Encoder> make_deflate_encoder() {
  auto encoder = std::make_unique<DeflateEncoder>();
  if (!encoder->ok()) return nullptr;
  return encoder;
}

uint32_t gzip_check(uint32_t before, std::string_view bytes) {
  if (bytes.empty()) return before;  // without an address, zlib begins anew
  return static_cast<uint32_t>(
      crc32(before, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

uint32_t gzip_shift(size_t bytes) {
  return static_cast<uint32_t>(crc32_combine_gen(static_cast<z_off_t>(bytes)));
}

uint32_t gzip_join(uint32_t before, uint32_t check, uint32_t shift) {
  return static_cast<uint32_t>(crc32_combine_op(before, check, shift));
}

}  // namespace sluice
