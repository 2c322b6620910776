// What the framer is held against: the framing of a whole stream, found line by line with none
// of the framer's cleverness, and a check of one way to cut that stream into reads. Every read
// is handed over in a heap block of exactly its size, so that ASan sees a byte too many.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "sse/framer.h"
#include "sse/scanner.h"

namespace sluice::test {

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct Framing {
  // Offsets at which everything before may be forwarded: the ends of events, and of the comment
  // and retry lines that only such lines precede in their block.
  std::vector<size_t> ends;
  std::vector<size_t> events;  // offsets at which a block with a field has been closed
};

inline Framing reference_framing(std::string_view stream) {
  Framing framing;
  bool has_field = false;
  bool holds = false;  // the block has a line that waits for the empty one, and so does the rest
  size_t at = stream.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  for (;;) {
    size_t line_end = stream.find_first_of("\r\n", at);
    if (line_end == std::string_view::npos) return framing;
    std::string_view line = stream.substr(at, line_end - at);
    at = line_end + 1;
    if (line.empty()) {
      if (has_field) framing.events.push_back(at);
      has_field = holds = false;
    } else {
      has_field |= !line.starts_with(':');
      holds |= !line.starts_with(':') && !line.starts_with("retry:");
    }
    if (!holds) framing.ends.push_back(at);
    if (stream[line_end] == '\r' && at < stream.size() && stream[at] == '\n') {
      ++at;
      if (!holds) framing.ends.push_back(at);
    }
  }
}

inline Framer::Result feed_copy(Framer& framer, std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  return framer.feed({exact.data(), exact.size()});
}

// `cuts`: ascending offsets at which one read ends and the next begins.
inline void expect_framing(std::string_view stream, const Framing& expected,
                           std::vector<size_t> cuts) {
  Framer framer;
  cuts.push_back(stream.size());
  size_t begin = 0;
  for (size_t end : cuts) {
    Framer::Result result = feed_copy(framer, stream.substr(begin, end - begin));
    auto end_after = std::ranges::upper_bound(expected.ends, end);
    size_t last_end = end_after == expected.ends.begin() ? 0 : *(end_after - 1);
    auto events_before = [&](size_t offset) {
      return std::ranges::upper_bound(expected.events, offset) - expected.events.begin();
    };
    size_t whole = last_end > begin ? last_end - begin : 0;
    auto events = static_cast<uint32_t>(events_before(end) - events_before(begin));
    if (result.whole != whole || result.events != events || framer.pending() != end - last_end ||
        framer.at_boundary() != (end == last_end)) {
      ADD_FAILURE() << "scanner " << active_scanner().name << ", read [" << begin << ", " << end
                    << ") of " << testing::PrintToString(std::string(stream)) << "\nwhole "
                    << result.whole << ", expected " << whole << "; events " << result.events
                    << ", expected " << events << "; pending " << framer.pending() << ", expected "
                    << end - last_end << "; cuts " << testing::PrintToString(cuts);
      return;
    }
    begin = end;
  }
}

// Cuts a short stream in each of its 2^(size-1) ways.
inline void expect_framing_at_every_split(std::string_view stream) {
  const Framing expected = reference_framing(stream);
  ASSERT_LE(stream.size(), 20u);
  const unsigned ways = stream.size() > 1 ? 1u << (stream.size() - 1) : 1;
  for (unsigned way = 0; way < ways && !testing::Test::HasFailure(); ++way) {
    std::vector<size_t> cuts;
    for (size_t at = 1; at < stream.size(); ++at) {
      if (way >> (at - 1) & 1) cuts.push_back(at);
    }
    expect_framing(stream, expected, cuts);
  }
}

inline void expect_framing_byte_by_byte(std::string_view stream) {
  std::vector<size_t> cuts;
  for (size_t at = 1; at < stream.size(); ++at) cuts.push_back(at);
  expect_framing(stream, reference_framing(stream), cuts);
}

// A test that runs once for each scanner that this CPU supports, with that one active.
class EachScanner : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(select_scanner(GetParam())); }
  void TearDown() override { ASSERT_TRUE(select_scanner("auto")); }
};

inline std::vector<std::string> supported_scanners() {
  std::vector<std::string> names;
  for (const Scanner& scanner : scanners()) {
    if (scanner.supported()) names.emplace_back(scanner.name);
  }
  return names;
}

inline std::string scanner_of(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace sluice::test
