#include "net/config/status_ranges.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

StatusRanges parsed(std::string_view text) {
  StatusRanges ranges;
  EXPECT_EQ(parse_status_ranges(text, &ranges), "") << text;
  return ranges;
}

TEST(StatusRanges, IncludeTheirEndsAndNothingBeside) {
  StatusRanges ranges = parsed("200,204-206,599");
  for (int status : {200, 204, 205, 206, 599}) EXPECT_TRUE(ranges.include(status)) << status;
  for (int status : {0, 199, 201, 203, 207, 598, 600})
    EXPECT_FALSE(ranges.include(status)) << status;
  EXPECT_FALSE(StatusRanges{}.include(0)) << "none";
}

TEST(StatusRanges, ReadBackAsTheyWereGiven) {
  for (const char* text : {"200", "200-399", "200,204-206,599", "201,202,203,204,205,206,207,208"})
    EXPECT_EQ(parsed(text).text(), text);
  EXPECT_EQ(parsed("200+204-206"), parsed("200,204-206")) << "as --route has it";
  EXPECT_EQ(parsed("300-300").text(), "300");
}

TEST(StatusRanges, SayWhatIsWrongAndChangeNothing) {
  const StatusRanges before = parsed("200");
  for (const char* text :
       {"", "2xx", "199", "600", "200-", "-299", "300-200", "200,", ",200", "200++201",
        "200-300-400", " 200", "201,202,203,204,205,206,207,208,209", "99999999999999999999"}) {
    StatusRanges ranges = before;
    EXPECT_NE(parse_status_ranges(text, &ranges), "") << text;
    EXPECT_EQ(ranges, before) << text;
  }
}

}  // namespace
}  // namespace sluice
