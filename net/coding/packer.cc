#include "net/coding/packer.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "net/base/limits.h"
#include "net/coding/deflate_encoder.h"
#include "net/coding/zstd_encoder.h"

namespace sluice {

namespace {

using namespace std::string_view_literals;

// RFC 1952 section 2.3: deflate, no time, of an unknown system.
constexpr std::string_view kGzipHeader = "\x1f\x8b\x08\0\0\0\0\0\0\xff"sv;
// RFC 8878 section 3.1.1: magic number, neither a size nor a check sum, and the window.
constexpr std::array<char, 6> kZstdHeader = {
    '\x28', '\xb5', '\x2f', '\xfd', 0, static_cast<char>((kZstdWindowLog - 10) << 3)};
// An empty block that ends the frame, or deflate's body.
constexpr std::string_view kZstdLast = "\x01\0\0"sv;
constexpr std::string_view kDeflateLast = "\x01\0\0\xff\xff"sv;

constexpr size_t kStepBytes = 4096;

template <size_t kBytes>
std::array<char, kBytes> little_endian(uint64_t value) {
  std::array<char, kBytes> bytes{};
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

template <size_t kBytes>
std::string_view view_of(const std::array<char, kBytes>& bytes) {
  return {bytes.data(), bytes.size()};
}

// The plain bytes have been consumed, so what became of them cannot be refused.
void append(Chain& packed, std::string_view bytes) {
  (void)packed.append_block(bytes, /*ours=*/true);
}

}  // namespace

Packer::Packer(Encoders& encoders, ContentCoding coding, Way way, Memory& memory, SlotPool& spill)
    : encoders_(encoders),
      state_(way == Way::kElsewhere ? nullptr : encoders.take(coding, *this)),
      plain_(memory, spill),
      coding_(coding),
      way_(way) {
  rest();
}

Packer::~Packer() {
  if (state_) encoders_.give_back(state_);
}

void Packer::pack(Chain& packed, bool finished) {
  SLUICE_CHECK(!ended_);
  if (plain_.empty() && !finished) return;
  uint64_t packed_before = packed.bytes();
  if (state_)
    encoders_.wake(*state_);
  else if (way_ != Way::kElsewhere && (state_ = encoders_.take(coding_, *this)) && in_frame_ &&
           coding_ == ContentCoding::kZstd) {
    append(packed, kZstdLast);  // a state begins with a frame of its own
    in_frame_ = false;
  }
  if (!begun_) begin(packed);
  uint64_t packed_since = packed.bytes();
  uint64_t taken = 0;
  bool settled = false;  // flushed or ended with the last bytes
  auto full = [&] {
    return taken >= limits::kSendBatchBytes &&
           (way_ == Way::kEachSend || packed.bytes() > packed_since);
  };
  while (!plain_.empty() && !full()) {
    std::array<iovec, 8> pieces;
    uint64_t covered = 0;
    size_t used =
        plain_.fill(pieces, 0, limits::kSendBatchBytes - taken % limits::kSendBatchBytes, &covered);
    settled = covered == plain_.bytes();
    for (size_t i = 0; i < used; ++i) {
      bool last = settled && i + 1 == used;
      write({static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len},
            !last      ? Then::kMore
            : finished ? Then::kEnd
                       : Then::kFlush,
            packed);
    }
    plain_.consume(covered);
    taken += covered;
  }
  if (!settled && finished && plain_.empty())
    write({}, Then::kEnd, packed);
  else if (!settled && way_ == Way::kEachSend)
    write({}, Then::kFlush, packed);
  EncodingCounts& counts = encoders_.metrics().of(coding_);
  counts.plain_bytes += taken;
  counts.packed_bytes += packed.bytes() - packed_before;
  if (!state_) return;
  if (ended_)
    encoders_.give_back(std::exchange(state_, nullptr));
  else if (flushed_)
    rest();
}

bool Packer::append_coded(const CodedText& text, const Lease& lease, uint64_t name, Chain& packed) {
  while (!plain_.empty()) pack(packed, /*finished=*/false);
  uint64_t packed_before = packed.bytes();
  if (!begun_) begin(packed);
  if (lease)
    packed.append(lease, text.bytes);
  else if (!packed.append_block(text.bytes, /*ours=*/false))
    return false;
  check_ = gzip_join(check_, text.check, text.shift);
  plain_bytes_ += text.plain_bytes;
  last_coded_ = name;
  EncodingCounts& counts = encoders_.metrics().of(coding_);
  counts.plain_bytes += text.plain_bytes;
  counts.packed_bytes += packed.bytes() - packed_before;
  return true;
}

// All that its state has taken in has come out. Brotli cannot go on without it.
void Packer::rest() {
  if (state_ && coding_ != ContentCoding::kBrotli) encoders_.rest(*state_);
}

void Packer::begin(Chain& packed) {
  begun_ = true;
  ++encoders_.metrics().of(coding_).bodies;
  if (coding_ == ContentCoding::kGzip) append(packed, kGzipHeader);
}

void Packer::write(std::string_view plain, Then then, Chain& packed) {
  if (!plain.empty()) last_coded_ = 0;
  if (coding_ == ContentCoding::kGzip) check_ = gzip_check(check_, plain);
  plain_bytes_ += static_cast<uint32_t>(plain.size());
  if (state_)
    write_with_state(plain, then, packed);
  else
    write_without_state(plain, then, packed);
  flushed_ = then != Then::kMore;
  if (then != Then::kEnd) return;
  ended_ = true;
  write_trailer(packed);
}

void Packer::write_with_state(std::string_view plain, Then then, Chain& packed) {
  for (bool done = false; !done;) {
    std::array<char, kStepBytes> room;
    Encoder::Step step = state_->encoder->encode(plain, then, room);
    append(packed, std::string_view(room.data(), step.written));
    in_frame_ |= step.written > 0;
    plain.remove_prefix(step.taken);
    done = step.done;
  }
}

// Blocks that say how long they are and hold the bytes as they are.
void Packer::write_without_state(std::string_view plain, Then then, Chain& packed) {
  bool zstd = coding_ == ContentCoding::kZstd;
  if (zstd && !in_frame_) append(packed, view_of(kZstdHeader));
  in_frame_ = true;
  while (!plain.empty()) {
    size_t size = std::min<size_t>(plain.size(), zstd ? size_t{1} << kZstdWindowLog : 0xffff);
    if (zstd) {
      append(packed, view_of(little_endian<3>(size << 3)));
    } else {
      append(packed, "\0"sv);
      append(packed, view_of(little_endian<4>(size | (~size & 0xffff) << 16)));
    }
    append(packed, plain.substr(0, size));
    plain.remove_prefix(size);
  }
  if (then == Then::kEnd) append(packed, zstd ? kZstdLast : kDeflateLast);
}

void Packer::write_trailer(Chain& packed) {
  if (coding_ != ContentCoding::kGzip) return;
  append(packed, view_of(little_endian<4>(check_)));
  append(packed, view_of(little_endian<4>(plain_bytes_)));
}

}  // namespace sluice
