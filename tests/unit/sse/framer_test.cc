#include "sse/framer.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/sse/reference.h"

namespace sluice::test {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

static_assert(sizeof(Framer) <= 32, "one per stream");

// LF, CR and CRLF after each other, except for CR + LF, which is one line end.
constexpr std::string_view kEventEnds[] = {"\n\n",   "\n\r",   "\n\r\n",   "\r\r",
                                           "\r\r\n", "\r\n\n", "\r\n\r\n", "\r\n\r"};

class FramerTest : public EachScanner {
 protected:
  void expect(std::string_view read, size_t whole, uint32_t events, uint64_t pending) {
    Framer::Result result = feed_copy(framer_, read);
    std::string shown = testing::PrintToString(std::string(read));
    EXPECT_EQ(result.whole, whole) << shown;
    EXPECT_EQ(result.events, events) << shown;
    EXPECT_EQ(framer_.pending(), pending) << shown;
    EXPECT_EQ(framer_.at_boundary(), pending == 0) << shown;
  }

  Framer framer_;
};

INSTANTIATE_TEST_SUITE_P(Simd, FramerTest, testing::ValuesIn(supported_scanners()), scanner_of);

TEST_P(FramerTest, StartsAtABoundary) {
  EXPECT_TRUE(framer_.at_boundary());
  EXPECT_EQ(framer_.pending(), 0u);
  expect("", 0, 0, 0);
}

TEST_P(FramerTest, EachEventEndClosesAnEvent) {
  for (std::string_view end : kEventEnds) {
    framer_ = {};
    std::string event = "data: 1" + std::string(end);
    expect(event, event.size(), 1, 0);
    expect(event + event + "data", 2 * event.size(), 2, 4);
  }
}

TEST_P(FramerTest, EachEventEndAtEverySplit) {
  for (std::string_view first : kEventEnds) {
    for (std::string_view second : kEventEnds) {
      expect_framing_at_every_split("a" + std::string(first) + ":\nb" + std::string(second) + "c");
    }
  }
}

TEST_P(FramerTest, ASingleLineEndClosesNothing) {
  for (std::string_view end : {"\n"sv, "\r"sv, "\r\n"sv}) {
    framer_ = {};
    std::string line = "data: 1" + std::string(end);
    expect(line, 0, 0, line.size());
    expect_framing_at_every_split(line + "id: 2" + std::string(end));
  }
}

TEST_P(FramerTest, CrAtTheEndOfAReadEndsItsLineAtOnce) {
  expect("data: 1\r", 0, 0, 8);
  expect("\r", 1, 1, 0);
  expect("data: 2\r\r", 9, 1, 0);
}

TEST_P(FramerTest, LfAfterACrThatEndedAReadBelongsToTheEventBefore) {
  expect("data: 1\r\n\r", 10, 1, 0);
  expect("\n", 1, 0, 0);
  expect("data: 2\r\n\r", 10, 1, 0);
  expect("\ndata: 3", 1, 0, 7);
  expect("\r", 0, 0, 8);
  expect("\n", 0, 0, 9);
  expect("\n", 1, 1, 0);
}

TEST_P(FramerTest, AnEmptyReadDoesNotPartCrAndLf) {
  expect("data: 1\r\r", 9, 1, 0);
  expect("", 0, 0, 0);
  expect("\n:", 1, 0, 1);
}

TEST_P(FramerTest, CommentsAreForwardedButAreNoEvents) {
  expect(": heartbeat\n\n", 13, 0, 0);
  expect(": 1\n: 2\ndata: 1\n: 3\n\n", 21, 1, 0);
  expect(":", 0, 0, 1);
  expect("data: 1\n\n", 9, 0, 0);
  expect("data", 0, 0, 4);
  expect(":\n\n", 3, 1, 0);
}

TEST_P(FramerTest, ACommentAtABoundaryIsWholeAtItsLineEnd) {
  for (std::string_view line : {":"sv, ": ping"sv, "::"sv, ":\0"sv, ":data: 1"sv}) {
    for (std::string_view end : {"\n"sv, "\r"sv, "\r\n"sv}) {
      framer_ = {};
      const std::string comment = std::string(line) + std::string(end);
      expect(comment, comment.size(), 0, 0);
      expect(comment + comment + ":", 2 * comment.size(), 0, 1);
      expect("rest" + std::string(end), 4 + end.size(), 0, 0);
      expect("data: 1\n\n" + comment, 9 + comment.size(), 1, 0);
      expect(comment + "data: 1\n\n", comment.size() + 9, 1, 0);
      expect(comment + "data: 1\n", comment.size(), 0, 8);
    }
  }
}

TEST_P(FramerTest, ARetryLineAtABoundaryIsWholeAtItsLineEnd) {
  expect("retry: 3000\n", 12, 0, 0);
  expect("retry:\r\n:\rretry: x\r", 19, 0, 0);
  expect("\n\n", 2, 1, 0);
  for (std::string_view line : {"retry"sv, "Retry: 1"sv, " retry: 1"sv, "retry : 1"sv, "retr:"sv}) {
    framer_ = {};
    const std::string field = std::string(line) + "\n";
    expect(field, 0, 0, field.size());
    expect("\n", 1, 1, 0);
  }
}

TEST_P(FramerTest, ARetryLineIsKnownHoweverItIsCut) {
  for (std::string_view line : {"retry: 5\r\n"sv, "\xEF\xBB\xBFretry:\n"sv, "retri: 5\n\n"sv}) {
    expect_framing_at_every_split(line);
  }
  expect("d\n\nre", 3, 1, 2);
  expect("try", 0, 0, 5);
  expect(": 5", 0, 0, 8);
  expect("\n", 1, 0, 0);
}

TEST_P(FramerTest, EachOtherFieldHoldsWhatFollowsItInItsBlock) {
  for (std::string_view field : {"id: 1\n"sv, "event: e\r\n"sv, "data\r"sv, "x\n"sv, "\xEF\n"sv}) {
    framer_ = {};
    expect(":\n" + std::string(field) + ": 1\n", 2, 0, field.size() + 4);
    expect("retry: 1\n", 0, 0, field.size() + 13);
    expect(":\n\n", 3, 1, 0);
  }
}

TEST_P(FramerTest, LfAfterACrThatEndedACommentIsWhole) {
  expect(": 1\r", 4, 0, 0);
  expect("", 0, 0, 0);
  expect("\n", 1, 0, 0);
  expect("retry: 1\r", 9, 0, 0);
  expect("\ndata: 1", 1, 0, 7);
  expect("\n\n", 2, 1, 0);
  expect(":\r", 2, 0, 0);
  expect("\r", 1, 0, 0);
  expect("\n:", 1, 0, 1);
  expect("\n\n", 2, 0, 0);
}

TEST_P(FramerTest, ALongCommentIsWholeAtItsLineEnd) {
  for (size_t size : {62, 63, 64, 65, 127, 128, 129, 5000}) {
    framer_ = {};
    const std::string text = ":" + std::string(size, 'x');
    expect(text, 0, 0, text.size());
    expect(text, 0, 0, 2 * text.size());
    expect(text + "\r\nd", text.size() + 2, 0, 1);
  }
}

TEST_P(FramerTest, BlankLinesWithNothingBeforeThemAreWhole) {
  expect("\n", 1, 0, 0);
  expect("\r\n\r\r\n\n", 6, 0, 0);
  expect("data\n\n\n\n", 8, 1, 0);
}

TEST_P(FramerTest, AnyOtherLineMakesAnEvent) {
  for (std::string_view line : {"data"sv, " "sv, "\0"sv, "x:"sv, " :"sv, "\xEF"sv, "id:\0"sv}) {
    framer_ = {};
    expect(std::string(line) + "\n\n", line.size() + 2, 1, 0);
  }
}

TEST_P(FramerTest, AByteOrderMarkIsNoPartOfTheFirstLine) {
  expect("\xEF\xBB\xBF\n", 4, 0, 0);
  framer_ = {};
  expect("\xEF\xBB\xBF: 1\n\n", 8, 0, 0);
  framer_ = {};
  expect(
      "\xEF\xBB\xBF"
      "data: 1\n\n",
      12, 1, 0);
  for (std::string_view rest :
       {"\n\n"sv, "\r\n\r\n"sv, ":\n\n"sv, "d\n\n"sv, "\xEF\xBB\xBF\n\n"sv}) {
    expect_framing_at_every_split(std::string(kByteOrderMark) + std::string(rest) + ":");
  }
}

TEST_P(FramerTest, AByteOrderMarkWaitsForTheFirstEventEnd) {
  expect("\xEF", 0, 0, 1);
  expect("\xBB", 0, 0, 2);
  expect("\xBF", 0, 0, 3);
  expect("data: 1\n\n", 9, 1, 0);
}

TEST_P(FramerTest, AByteOrderMarkWaitsForTheEndOfACommentThatComesFirst) {
  expect("\xEF\xBB\xBF", 0, 0, 3);
  expect(": 1", 0, 0, 6);
  expect("\n", 1, 0, 0);
  framer_ = {};
  expect("\xEF\xBB\xBF: 1\r", 7, 0, 0);
  framer_ = {};
  expect("\xEF\xBB\xBF\xEF\xBB\xBF: 1\n", 0, 0, 10);
}

TEST_P(FramerTest, PartOfAByteOrderMarkIsContent) {
  for (std::string_view part : {"\xEF"sv, "\xEF\xBB"sv, "\xEF\xEF"sv, "\xEF\xBB\xEF"sv, "\xBB"sv}) {
    for (std::string_view rest : {"\n\n"sv, ":\n\n"sv, "\r\n\r"sv}) {
      expect_framing_at_every_split(std::string(part) + std::string(rest));
      framer_ = {};
      expect(std::string(part) + std::string(rest), part.size() + rest.size(), 1, 0);
    }
  }
}

TEST_P(FramerTest, ALaterByteOrderMarkIsContent) {
  expect("\n", 1, 0, 0);
  expect("\xEF\xBB\xBF\n", 0, 0, 4);
  expect("\n", 1, 1, 0);
}

TEST_P(FramerTest, EventsOfEachSizeFromEachOffset) {
  for (size_t size = 1; size < 200; ++size) {
    for (size_t before : {0, 1, 62, 63, 64, 65, 127}) {
      framer_ = {};
      std::string read = std::string(before, '\n') + std::string(size, 'x') + "\r\n\r\n";
      expect(read, read.size(), 1, 0);
      expect(read + ":", read.size(), 1, 1);
    }
  }
}

TEST_P(FramerTest, ALongEventInManyReads) {
  const std::string read(16384, 'x');
  for (uint64_t fed = 0; fed < 1 << 20; fed += read.size()) expect(read, 0, 0, fed + read.size());
  expect("\n\n", 2, 1, 0);
}

}  // namespace
}  // namespace sluice::test
