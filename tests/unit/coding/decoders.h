// Decoders of what encoders wrote, as clients have them: each is fed piece by piece, and tells
// which plain bytes it can hand out so far, and whether the body has come to its end.
#pragma once

#include <brotli/decode.h>
#include <memory>
#include <string>
#include <string_view>
#include <zlib.h>
#include <zstd.h>

#include <gtest/gtest.h>

#include "net/base/content_coding.h"

namespace sluice::test {

class Decoder {
 public:
  virtual ~Decoder() = default;
  // All that can be read of the plain bytes, up to here.
  virtual void feed(std::string_view packed) = 0;
  // A body that ends here is complete.
  virtual bool ended() const = 0;

  std::string plain;
  bool failed = false;
};

class GzipDecoder final : public Decoder {
 public:
  GzipDecoder() { inflateInit2(&stream_, 16 + 15); }
  ~GzipDecoder() override { inflateEnd(&stream_); }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  void feed(std::string_view packed) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    for (;;) {
      char room[512];
      stream_.next_out = reinterpret_cast<Bytef*>(room);
      stream_.avail_out = sizeof room;
      int result = inflate(&stream_, Z_SYNC_FLUSH);
      plain.append(room, sizeof room - stream_.avail_out);
      if (result == Z_STREAM_END) ended_ = true;
      if (result != Z_OK) {
        failed |= (result != Z_STREAM_END && result != Z_BUF_ERROR) || stream_.avail_in > 0;
        return;
      }
    }
  }
  bool ended() const override { return ended_; }

 private:
  z_stream stream_{};
  bool ended_ = false;
};

class ZstdDecoder final : public Decoder {
 public:
  ZstdDecoder() : context_(ZSTD_createDCtx()) {}
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

  void feed(std::string_view packed) override {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    for (bool more = true; more && !failed;) {
      char room[512];
      ZSTD_outBuffer out{room, sizeof room, 0};
      size_t before = in.pos;
      size_t left = ZSTD_decompressStream(context_, &out, &in);
      failed |= ZSTD_isError(left) != 0;
      if (in.pos > before || out.pos > 0) ended_ = left == 0;
      plain.append(room, out.pos);
      more = in.pos < in.size || out.pos == out.size;
    }
  }
  bool ended() const override { return ended_; }

 private:
  ZSTD_DCtx* context_;
  bool ended_ = false;
};

class BrotliDecoder final : public Decoder {
 public:
  BrotliDecoder() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}
  ~BrotliDecoder() override { BrotliDecoderDestroyInstance(state_); }
  BrotliDecoder(const BrotliDecoder&) = delete;
  BrotliDecoder& operator=(const BrotliDecoder&) = delete;

  void feed(std::string_view packed) override {
    size_t in_left = packed.size();
    auto in = reinterpret_cast<const uint8_t*>(packed.data());
    for (bool more = true; more && !failed;) {
      uint8_t room[512];
      size_t out_left = sizeof room;
      uint8_t* out = room;
      auto result = BrotliDecoderDecompressStream(state_, &in_left, &in, &out_left, &out, nullptr);
      plain.append(reinterpret_cast<char*>(room), sizeof room - out_left);
      failed |= result == BROTLI_DECODER_RESULT_ERROR;
      more = !failed && BrotliDecoderHasMoreOutput(state_);
    }
  }
  bool ended() const override { return BrotliDecoderIsFinished(state_) != 0; }

 private:
  BrotliDecoderState* state_;
};

inline std::unique_ptr<Decoder> decoder_of(ContentCoding coding) {
  if (coding == ContentCoding::kGzip) return std::make_unique<GzipDecoder>();
  if (coding == ContentCoding::kZstd) return std::make_unique<ZstdDecoder>();
  return std::make_unique<BrotliDecoder>();
}

}  // namespace sluice::test
