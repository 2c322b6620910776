// Fields and events of any bytes at any split equal the naive reference: every short text at every
// split, then random long ones, for every scanner.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"
#include "tests/unit/sse/fields_reference.h"
#include "tests/unit/sse/reference.h"

namespace sluice::test {
namespace {

constexpr std::string_view kTokens[] = {"\n",    "\r",   "\r\n",   ":",   " ",           "d",
                                        "data:", "id: ", "retry:", "7",   "event",       "id",
                                        "\n\n",  "x",    "\xEF",   ": c", "\r\n\r\ndata"};
constexpr char kNul = '\0';

class FieldsProperty : public EachScanner {};

INSTANTIATE_TEST_SUITE_P(Simd, FieldsProperty, testing::ValuesIn(supported_scanners()), scanner_of);

TEST_P(FieldsProperty, EveryFewTokensAtEverySplitIntoThree) {
  constexpr size_t kCount = 3;
  size_t texts = 1;
  for (size_t i = 0; i < kCount; ++i) texts *= std::size(kTokens);
  for (size_t index = 0; index < texts && !HasFailure(); ++index) {
    std::string text;
    for (size_t i = 0, left = index; i < kCount; ++i, left /= std::size(kTokens))
      text += kTokens[left % std::size(kTokens)];
    text += '\n';
    for (size_t first = 0; first <= text.size(); ++first)
      for (size_t second = first; second <= text.size(); ++second)
        expect_fields(text, {first, second});
  }
}

// Lines that end, and pieces that begin, at every place of a block of the scanner.
TEST_P(FieldsProperty, LinesAcrossABlockEdge) {
  for (size_t before = 50; before <= 140 && !HasFailure(); ++before) {
    for (std::string_view end : {"\n", "\r", "\r\n"}) {
      std::string text = "data:" + std::string(before - 5, 'x');
      (((text += end) += "id: 1") += end) += end;
      text += "event: later\ndata: " + std::string(100, 'y') + "\n\n";
      expect_fields(text, {});
      for (size_t cut = before - 2; cut <= before + 4; ++cut) expect_fields(text, {cut});
    }
  }
}

std::string random_text(RandomSource& random) {
  const size_t size = random.between(0, 700);
  const size_t run_percent = random.between(0, 20);
  std::string text;
  while (text.size() < size) {
    if (random.between(1, 100) <= run_percent)
      text.append(random.between(1, 200), "x7"[random.between(0, 1)]);
    else if (random.between(0, 30) == 0)
      text += kNul;
    else if (random.between(0, 10) == 0)
      text += static_cast<char>(random.between(0, 255));
    else
      text += kTokens[random.between(0, std::size(kTokens) - 1)];
  }
  return text;
}

TEST_P(FieldsProperty, RandomBytesAtRandomSplits) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 400 && !HasFailure(); ++round) {
    const std::string text = random_text(random);
    expect_fields(text, {});
    expect_fields_byte_by_byte(text);
    for (int way = 0; way < 5; ++way) {
      std::vector<size_t> cuts;
      const size_t longest = random.between(1, 200);
      for (size_t at = random.between(0, longest); at < text.size();
           at += random.between(0, longest))
        cuts.push_back(at);
      expect_fields(text, cuts);
    }
  }
}

TEST_P(FieldsProperty, RandomBytesAtEverySplitIntoTwo) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    const std::string text = random_text(random);
    for (size_t cut = 0; cut <= text.size() && !HasFailure(); ++cut) expect_fields(text, {cut});
  }
}

// What the framer lets through as whole is a run: its events are the ones that it counts, and each
// ends at one of its boundaries.
TEST_P(FieldsProperty, ARunOfTheFramerHoldsTheEventsThatItCounts) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 250 && !HasFailure(); ++round) {
    const std::string text = random_text(random);
    Framer framer;
    Framer::Result found = framer.feed(text);
    uint32_t events = 0;
    Pieces event;
    EventReader reader(without_mark(std::string_view(text).substr(0, found.whole)));
    while (reader.next(event)) {
      std::string bytes = text_of(event);
      bool closed = bytes.ends_with("\n\n") || bytes.ends_with("\r\r") || bytes.ends_with("\n\r") ||
                    bytes.ends_with("\n\r\n") || bytes.ends_with("\r\r\n");
      bool has_field = false;
      for (std::string_view rest = bytes, line; take_line(rest, line);)
        has_field |= !line.empty() && line[0] != ':';
      if (closed && has_field) ++events;
    }
    EXPECT_EQ(events, found.events) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace sluice::test
