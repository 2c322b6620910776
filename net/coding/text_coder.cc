#include "net/coding/text_coder.h"

#include <array>

#include "core/check.h"
#include "net/coding/deflate_encoder.h"

namespace sluice {

namespace {

constexpr size_t kRoomBytes = 4096;

}  // namespace

CodedText TextCoder::code(std::string_view text, std::string_view behind) {
  if (!encoder_) encoder_ = make_encoder(kCoding);
  SLUICE_CHECK(encoder_);
  encoder_->begin(behind);
  CodedText coded{.plain_bytes = static_cast<uint32_t>(text.size()),
                  .check = gzip_check(0, text),
                  .shift = gzip_shift(text.size())};
  coded_.clear();
  for (bool done = false; !done;) {
    std::array<char, kRoomBytes> room;
    Encoder::Step step = encoder_->encode(text, Encoder::Then::kFlush, room);
    coded_.append(room.data(), step.written);
    text.remove_prefix(step.taken);
    done = step.done;
  }
  coded.bytes = coded_;
  return coded;
}

}  // namespace sluice
