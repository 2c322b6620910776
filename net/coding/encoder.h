// Packs one body: plain bytes go in, packed bytes come out into the caller's memory. Its state is
// bounded and allocates nothing once it is made, but for brotli's. A flush makes everything that
// went in readable for the client. No I/O, no clock; owned by its worker's Encoders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "net/base/content_coding.h"

namespace sluice {

class Encoder {
 public:
  // What follows the bytes that go in.
  enum class Then : uint8_t { kMore, kFlush, kEnd };

  struct Step {
    size_t taken = 0;
    size_t written = 0;
    // All has been taken and, behind a flush or the end, all has been written. Otherwise the rest
    // goes in again, with the same Then.
    bool done = false;
  };

  virtual ~Encoder() = default;
  // Forgets everything: another body begins, or goes on. `history`: plain bytes that its decoder
  // has right before; only deflate makes use of them.
  virtual void begin(std::string_view history) = 0;
  // `into` has room for at least kRoomLeast bytes.
  virtual Step encode(std::string_view plain, Then then, std::span<char> into) = 0;

  // deflate() needs more than 6 bytes of room, or it writes its flush mark twice.
  static constexpr size_t kRoomLeast = 64;
};

// Bytes of a state, at most.
size_t encoder_bytes(ContentCoding coding);
// Null: there is no memory.
std::unique_ptr<Encoder> make_encoder(ContentCoding coding);

}  // namespace sluice
