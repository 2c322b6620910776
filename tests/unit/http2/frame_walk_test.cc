// Headers of frames in bytes that come in any pieces.
#include "net/http2/frame_walk.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/http2/frames_testing.h"

namespace sluice {
namespace {

using test::first_frames;
using test::frame;

// "type:flags:id:size" of each, with the bytes passed where it was complete.
std::string headers_in(std::string_view bytes, size_t piece_max) {
  FrameWalk walk;
  std::string words;
  size_t before = 0;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, piece_max);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      size_t passed = 0;
      auto header = walk.next(piece, &passed);
      piece.remove_prefix(passed);
      before += passed;
      if (!header) {
        EXPECT_TRUE(piece.empty());
        break;
      }
      words += std::to_string(header->type) + ":" + std::to_string(header->flags) + ":" +
               std::to_string(header->id) + ":" + std::to_string(header->size) + "@" +
               std::to_string(before) + " ";
    }
  }
  return words;
}

TEST(FrameWalkTest, FindsHeadersWhereverBytesAreCut) {
  std::string bytes = first_frames() + frame(6, 1, 0, "12345678") +
                      frame(0, 0, 0x80000005, std::string(300, 'x')) + frame(4, 0, 0, "") +
                      frame(0xff, 0xfe, 7, "y");
  // The highest bit of the stream's number says nothing.
  constexpr std::string_view kHeaders =
      "4:0:0:6@33 6:1:0:8@48 0:0:5:300@65 4:0:0:0@374 255:254:7:1@383 ";
  for (size_t piece_max = 1; piece_max <= bytes.size(); ++piece_max)
    ASSERT_EQ(headers_in(bytes, piece_max), kHeaders) << "in pieces of " << piece_max;
}

}  // namespace
}  // namespace sluice
