// Packs single texts that leave to many readers: each is deflate's blocks up to a flush, and stands
// in a gzip body between any others (Packer::append_coded()), alone or behind a text that its
// reader has right before: then it says what differs. An encoder that goes on from text to text
// packs a little closer, but nobody could begin in the midst of what it writes. Not in zstd, where
// a text would have to be a frame, so that none could stand behind another; and Node's decoder ends
// with the first frame. Owned by a worker's hubs, used on its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/base/content_coding.h"
#include "net/coding/encoder.h"

namespace sluice {

struct CodedText {
  std::string_view bytes = {};
  uint32_t plain_bytes = 0;
  // Of the plain bytes, for gzip's trailer: their sum, and their number as gzip_join() has it.
  uint32_t check = 0;
  uint32_t shift = 0;
};

class TextCoder {
 public:
  static constexpr ContentCoding kCoding = ContentCoding::kGzip;

  // `behind`: empty, or the text that all of its readers have right before. The bytes are there
  // until the next call.
  CodedText code(std::string_view text, std::string_view behind = {});

 private:
  std::unique_ptr<Encoder> encoder_;  // made when it is first needed
  std::string coded_;
};

}  // namespace sluice
