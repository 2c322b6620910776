#include "tests/sim/coded.h"

#include <array>
#include <zlib.h>
#include <zstd.h>

#include "core/check.h"

namespace sluice::sim {

namespace {

constexpr int kGzipWindow = 15 + 16;  // with gzip's header and trailer

}  // namespace

struct BodyPacker::State {
  z_stream gzip{};
  ZSTD_CCtx* zstd = nullptr;
};

BodyPacker::BodyPacker(std::string_view coding) : state_(std::make_unique<State>()) {
  if (coding == "zstd")
    state_->zstd = ZSTD_createCCtx();
  else
    SLUICE_CHECK(deflateInit2(&state_->gzip, 6, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) ==
                 Z_OK);
}

BodyPacker::~BodyPacker() {
  if (state_->zstd)
    ZSTD_freeCCtx(state_->zstd);
  else
    deflateEnd(&state_->gzip);
}

std::string BodyPacker::pack(std::string_view plain, bool ends) {
  std::array<char, 4096> room;
  std::string packed;
  if (state_->zstd) {
    ZSTD_inBuffer in{plain.data(), plain.size(), 0};
    for (size_t left = 1; left > 0;) {
      ZSTD_outBuffer out{room.data(), room.size(), 0};
      left = ZSTD_compressStream2(state_->zstd, &out, &in, ends ? ZSTD_e_end : ZSTD_e_flush);
      SLUICE_CHECK(ZSTD_isError(left) == 0);
      packed.append(room.data(), out.pos);
    }
    return packed;
  }
  z_stream& gzip = state_->gzip;
  std::string in(plain);
  gzip.next_in = reinterpret_cast<Bytef*>(in.data());
  gzip.avail_in = static_cast<uInt>(in.size());
  do {
    gzip.next_out = reinterpret_cast<Bytef*>(room.data());
    gzip.avail_out = static_cast<uInt>(room.size());
    (void)deflate(&gzip, ends ? Z_FINISH : Z_SYNC_FLUSH);
    packed.append(room.data(), room.size() - gzip.avail_out);
  } while (gzip.avail_out == 0);
  return packed;
}

struct BodyUnpacker::State {
  z_stream gzip{};
  ZSTD_DCtx* zstd = nullptr;
  bool at_end = false;
};

BodyUnpacker::BodyUnpacker(std::string_view coding) : state_(std::make_unique<State>()) {
  if (coding == "zstd")
    state_->zstd = ZSTD_createDCtx();
  else
    SLUICE_CHECK(inflateInit2(&state_->gzip, kGzipWindow) == Z_OK);
}

BodyUnpacker::~BodyUnpacker() {
  if (state_->zstd)
    ZSTD_freeDCtx(state_->zstd);
  else
    inflateEnd(&state_->gzip);
}

bool BodyUnpacker::unpack(std::string_view packed, std::string& plain) {
  std::array<char, 4096> room;
  if (packed.empty()) return true;
  if (state_->zstd) {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    for (bool more = true; more;) {
      ZSTD_outBuffer out{room.data(), room.size(), 0};
      size_t left = ZSTD_decompressStream(state_->zstd, &out, &in);
      if (ZSTD_isError(left) != 0) return false;
      plain.append(room.data(), out.pos);
      state_->at_end = left == 0;
      more = in.pos < in.size || out.pos == out.size;
      if (state_->at_end && in.pos == in.size)
        break;  // another frame may follow, and has not begun
    }
    return true;
  }
  z_stream& gzip = state_->gzip;
  std::string in(packed);
  gzip.next_in = reinterpret_cast<Bytef*>(in.data());
  gzip.avail_in = static_cast<uInt>(in.size());
  do {
    gzip.next_out = reinterpret_cast<Bytef*>(room.data());
    gzip.avail_out = static_cast<uInt>(room.size());
    int result = inflate(&gzip, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return false;
    plain.append(room.data(), room.size() - gzip.avail_out);
    state_->at_end = result == Z_STREAM_END;
    if (state_->at_end) return gzip.avail_in == 0;
  } while (gzip.avail_out == 0);
  return true;
}

bool BodyUnpacker::at_end() const {
  return state_->at_end;
}

}  // namespace sluice::sim
