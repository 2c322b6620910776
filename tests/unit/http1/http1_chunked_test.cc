// The decoder by itself: what was encoded comes out, however it is written and cut, and its bounds
// hold to the byte. What is well-formed and what is not: the table of http1_cases.h.
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/http1/chunked_decoder.h"
#include "tests/unit/http1/http1_testing.h"
#include "tests/unit/random_source.h"

namespace sluice::test {
namespace {

using test::RandomSource;

constexpr ChunkedDecoder::Limits kLimits{16 * 1024, 128};

// Feeds pieces of `piece_max` bytes at most; returns the bytes that were used.
size_t decode(std::string_view wire, size_t piece_max, const ChunkedDecoder::Limits& limits,
              BodySink& sink, ChunkedDecoder::Event& event) {
  ChunkedDecoder decoder;
  size_t used = 0;
  event = ChunkedDecoder::Event::kNeedMore;
  while (event == ChunkedDecoder::Event::kNeedMore && used < wire.size()) {
    const std::string piece(wire.substr(used, piece_max));  // ASan sees a read beyond it
    const ChunkedDecoder::Step step = decoder.feed(piece, limits, sink);
    event = step.event;
    used += step.consumed;
  }
  return used;
}

ChunkedDecoder::Event event_of(std::string_view wire, const ChunkedDecoder::Limits& limits) {
  CollectingSink sink;
  ChunkedDecoder::Event whole{};
  decode(wire, wire.size(), limits, sink, whole);
  ChunkedDecoder::Event bytewise{};
  decode(wire, 1, limits, sink, bytewise);
  EXPECT_EQ(whole, bytewise);
  return whole;
}

std::string size_line(RandomSource& random, size_t size) {
  static constexpr std::string_view kExtensions[] = {"", "", "", ";a", " ; a = \"\\\"\\\\;\" ;b"};
  char line[32];
  const int zeros = random.between(0, 3) == 0 ? static_cast<int>(random.between(0, 19)) : 1;
  const int bytes = std::snprintf(line, sizeof(line), "%0*zx", zeros, size);
  return std::string(line, static_cast<size_t>(bytes))
      .append(kExtensions[random.between(0, std::size(kExtensions) - 1)])
      .append("\r\n");
}

TEST(Chunked, GivesBackWhatWasEncoded) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 200; ++round) {
    std::string body;
    std::string wire;
    for (size_t chunks = random.between(0, 19); chunks > 0; --chunks) {
      // With bytes that would mean something in framing.
      std::string data(random.between(1, random.between(0, 7) == 0 ? 20'000 : 300), '\r');
      for (char& c : data) c = "\r\n0a;"[random.between(0, 4)];
      body += data;
      wire += size_line(random, data.size()) + data + "\r\n";
    }
    wire += size_line(random, 0) + "A: b\r\n\r\n";
    const size_t piece_max = random.between(1, random.between(0, 1) == 0 ? 8 : 20'000);
    CollectingSink sink;
    ChunkedDecoder::Event event{};
    ASSERT_EQ(decode(wire + "GET", piece_max, kLimits, sink, event), wire.size());
    ASSERT_EQ(event, ChunkedDecoder::Event::kEnd);
    ASSERT_EQ(sink.body, body);
  }
}

TEST(Chunked, BoundsTrailers) {
  const auto with_trailers = [](int count) {
    std::string wire = "0\r\n";
    for (int i = 0; i < count; ++i) wire += "A: b\r\n";
    return wire + "\r\n";
  };
  EXPECT_EQ(event_of(with_trailers(3), {1000, 3}), ChunkedDecoder::Event::kEnd);
  EXPECT_EQ(event_of(with_trailers(4), {1000, 3}), ChunkedDecoder::Event::kError);
  const auto bytes = static_cast<uint32_t>(with_trailers(3).size());
  EXPECT_EQ(event_of(with_trailers(3), {bytes, 3}), ChunkedDecoder::Event::kEnd);
  EXPECT_EQ(event_of(with_trailers(3), {bytes - 1, 3}), ChunkedDecoder::Event::kError);
}

TEST(Chunked, BoundsWhatNeverEnds) {
  for (const std::string line : {"0", "0;a=", "0;a=\"", "0; ", "0\r\nA", "0\r\nA: "}) {
    const std::string wire = line + std::string(100, line.back() == '0' ? '0' : 'a');
    const auto bytes = static_cast<uint32_t>(wire.size());
    EXPECT_EQ(event_of(wire, {bytes, 3}), ChunkedDecoder::Event::kNeedMore) << line;
    EXPECT_EQ(event_of(wire, {bytes - 1, 3}), ChunkedDecoder::Event::kError) << line;
  }
}

TEST(Chunked, StaysFailed) {
  ChunkedDecoder decoder;
  CollectingSink sink;
  EXPECT_EQ(decoder.feed("x", kLimits, sink).event, ChunkedDecoder::Event::kError);
  EXPECT_EQ(decoder.feed("0\r\n\r\n", kLimits, sink).event, ChunkedDecoder::Event::kError);
  EXPECT_EQ(decoder.feed("", kLimits, sink).event, ChunkedDecoder::Event::kError);
}

}  // namespace
}  // namespace sluice::test
