// The framer on any split equals the framer on the whole equals the naive reference: every short
// stream at every split and at every place of a block, then random long ones.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"
#include "tests/unit/sse/reference.h"

namespace sluice::test {
namespace {

constexpr std::string_view kAlphabet = "\n\r:d";

// The `index`-th of the 4^size strings of that size.
std::string string_at(size_t index, size_t size) {
  std::string bytes;
  for (; bytes.size() < size; index /= kAlphabet.size()) {
    bytes += kAlphabet[index % kAlphabet.size()];
  }
  return bytes;
}

class FramerProperty : public EachScanner {};

INSTANTIATE_TEST_SUITE_P(Simd, FramerProperty, testing::ValuesIn(supported_scanners()), scanner_of);

TEST_P(FramerProperty, EveryShortStreamAtEverySplit) {
  for (size_t size = 0; size <= 6; ++size) {
    for (size_t index = 0; index < size_t{1} << (2 * size); ++index) {
      expect_framing_at_every_split(string_at(index, size));
      if (HasFailure()) return;
    }
  }
}

TEST_P(FramerProperty, EveryShortStreamAcrossABlockEdge) {
  constexpr size_t kSize = 5;
  for (size_t index = 0; index < size_t{1} << (2 * kSize); ++index) {
    for (size_t before = 58; before <= 66; ++before) {
      // As one read that ends there, and as one whose last block overlaps the one before.
      std::string stream = std::string(before, 'x') + string_at(index, kSize);
      expect_framing(stream, reference_framing(stream), {});
      stream += ":\n" + std::string(40, 'y') + "\n\n" + string_at(index, kSize);
      expect_framing(stream, reference_framing(stream), {});
      if (HasFailure()) return;
    }
  }
}

// Lines that are let through ahead of the empty one, and those that look much like them.
TEST_P(FramerProperty, EveryFewTokensAtEverySplitIntoThree) {
  constexpr std::string_view kTokens[] = {"\n", "\r", "\r\n", ":", "d", "ret", "ry:", "retry:"};
  constexpr size_t kCount = 4;
  size_t streams = 1;
  for (size_t i = 0; i < kCount; ++i) streams *= std::size(kTokens);
  for (size_t index = 0; index < streams; ++index) {
    std::string stream;
    for (size_t i = 0, left = index; i < kCount; ++i, left /= std::size(kTokens)) {
      stream += kTokens[left % std::size(kTokens)];
    }
    const Framing expected = reference_framing(stream);
    for (size_t first = 0; first <= stream.size(); ++first) {
      for (size_t second = first; second <= stream.size(); ++second) {
        expect_framing(stream, expected, {first, second});
      }
    }
    expect_framing_byte_by_byte(stream);
    if (HasFailure()) return;
  }
}

TEST_P(FramerProperty, ALineThatIsLetThroughAcrossABlockEdge) {
  for (std::string_view line : {":", ": ping", "retry: 5", "retry:", "retry", "retri: 5"}) {
    for (std::string_view end : {"\n", "\r", "\r\n"}) {
      for (std::string_view rest : {"", "\n", ":", "data: 1", "\r\n\r\n"}) {
        for (size_t before = 40; before <= 130; ++before) {
          const std::string tail = std::string(line) + std::string(end) + std::string(rest);
          // Behind an event, and behind a comment that fills the blocks before.
          for (std::string_view opening : {"d\n\n", ":\r"}) {
            std::string stream = std::string(before - opening.size(), ':');
            (stream += opening) += tail;
            expect_framing(stream, reference_framing(stream), {});
            expect_framing(stream, reference_framing(stream), {before + 2});
            if (HasFailure()) return;
          }
        }
      }
    }
  }
}

std::string random_stream(RandomSource& random) {
  constexpr std::string_view kPieces[] = {
      "\n",   "\r",     "\r\n",     "\n\n", ":",      "d",       " ",     "\xEF",
      "\xBF", "data:1", "\xEF\xBB", "\x0b", "retry:", "\nretry", ": c\n", "\x8a"};
  const size_t size = random.between(0, 700);
  // Some streams are dense with line ends, some have lines that are longer than a block.
  const size_t run_percent = random.between(0, 20);
  std::string stream(random.between(0, 2) == 0 ? kByteOrderMark : "");
  while (stream.size() < size) {
    if (random.between(1, 100) <= run_percent) {
      stream.append(random.between(1, 200), "x:\0"[random.between(0, 2)]);
    } else if (random.between(0, 15) == 0) {
      stream += kByteOrderMark;
    } else {
      stream += kPieces[random.between(0, std::size(kPieces) - 1)];
    }
  }
  return stream;
}

std::vector<size_t> random_cuts(RandomSource& random, size_t size) {
  std::vector<size_t> cuts;
  const size_t longest = random.between(1, 300);
  // A read of no bytes is a legal one.
  for (size_t at = random.between(0, longest); at < size; at += random.between(0, longest)) {
    cuts.push_back(at);
  }
  return cuts;
}

TEST_P(FramerProperty, RandomStreamsAtRandomSplits) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 1000 && !HasFailure(); ++round) {
    const std::string stream = random_stream(random);
    const Framing expected = reference_framing(stream);
    expect_framing(stream, expected, {});
    expect_framing_byte_by_byte(stream);
    for (int way = 0; way < 10; ++way) {
      expect_framing(stream, expected, random_cuts(random, stream.size()));
    }
  }
}

}  // namespace
}  // namespace sluice::test
