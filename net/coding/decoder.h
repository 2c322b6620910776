// Unpacks one body: packed bytes go in, plain bytes come out into the caller's memory, never more
// than there is room for, so that a few packed bytes cannot become many plain ones at once. All
// that has been flushed comes out without more going in. Its memory is its worker's Decoders'. No
// I/O, no clock; owned by the body's Unpacker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "net/base/content_coding.h"
#include "net/base/encoding_counts.h"

namespace sluice {

class Decoders;

class Decoder {
 public:
  struct Step {
    size_t taken = 0;
    // As many as there is room for: there may be more. Fewer: what was taken has come out.
    size_t written = 0;
    DecodingFault fault = DecodingFault::kNone;  // kInvalid or kNoMemory
  };

  virtual ~Decoder() = default;
  virtual Step decode(std::string_view packed, std::span<char> into) = 0;
  // A body that ends here is whole: behind a member or frame, or before the first one.
  virtual bool at_end() const = 0;
};

// Null: there is no memory, or no decoder for that coding. `memory` outlives it.
std::unique_ptr<Decoder> make_decoder(AppliedCoding coding, Decoders& memory);

}  // namespace sluice
