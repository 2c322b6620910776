// Counts the frames of a peer that ask for no answer of use: each costs the gateway work and the
// peer nothing. A connection may have a burst of them, and a few a second; more is an attack or a
// fault, and ends it (RFC 9113 section 10.5). Owned by a connection, used on its worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "net/base/limits.h"

namespace sluice {

class FloodGuard {
 public:
  explicit FloodGuard(uint64_t now_ms) : since_ms_(now_ms) {}

  // One more. False: that is too many.
  [[nodiscard]] bool allow(uint64_t now_ms) {
    uint64_t earned = (now_ms - since_ms_) * limits::kHttp2IdleFramesPerSecond / 1000;
    if (earned > 0) {
      left_ = static_cast<uint32_t>(std::min<uint64_t>(left_ + earned, limits::kHttp2IdleFrames));
      since_ms_ = now_ms;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  // What the peer has been sent makes up for as many.
  void earn(uint32_t frames) {
    left_ = std::min<uint32_t>(left_ + frames, limits::kHttp2IdleFrames);
  }

 private:
  uint32_t left_ = limits::kHttp2IdleFrames;
  uint64_t since_ms_;
};

}  // namespace sluice
