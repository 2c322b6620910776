// Finds the headers of frames in what a client sends behind its preface (RFC 9113 section 4.1): the
// codec passes over some frames without a word, such as DATA of streams that have ended. Plain
// values, no I/O; owned by a session.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice {

inline constexpr size_t kHttp2FrameHeaderBytes = 9;

struct Http2FrameHeader {
  size_t size;  // of the payload
  uint8_t type;
  uint8_t flags;
  int32_t id;  // of the stream; 0: of none
};

class FrameWalk {
 public:
  // The header that is complete next, and in `passed` the bytes up to its end; none: all of them.
  // What follows is for the next call.
  std::optional<Http2FrameHeader> next(std::string_view bytes, size_t* passed) {
    const size_t skipped = std::min<size_t>(skip_, bytes.size());
    skip_ -= static_cast<uint32_t>(skipped);
    const size_t taken = std::min<size_t>(header_.size() - have_, bytes.size() - skipped);
    std::ranges::copy(bytes.substr(skipped, taken), header_.begin() + have_);
    have_ += static_cast<uint8_t>(taken);
    *passed = skipped + taken;
    if (have_ < header_.size()) return {};
    have_ = 0;
    skip_ = number(0, 3);
    return Http2FrameHeader{.size = skip_,
                            .type = static_cast<uint8_t>(header_[3]),
                            .flags = static_cast<uint8_t>(header_[4]),
                            .id = static_cast<int32_t>(number(5, 4) & 0x7fff'ffff)};
  }

 private:
  uint32_t number(size_t at, size_t size) const {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(header_[at + i]);
    return value;
  }

  static constexpr uint32_t kPrefaceBytes = 24;

  uint32_t skip_ = kPrefaceBytes;  // bytes before the next header
  std::array<char, kHttp2FrameHeaderBytes> header_{};
  uint8_t have_ = 0;  // bytes of it
};

}  // namespace sluice
