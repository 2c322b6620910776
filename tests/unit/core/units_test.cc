#include "core/units.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Size, ReadsPowersOf1024) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("512"), 512U);
  EXPECT_EQ(parse_size("4k"), 4096U);
  EXPECT_EQ(parse_size("4K"), 4096U);
  EXPECT_EQ(parse_size("256m"), 256ULL << 20);
  EXPECT_EQ(parse_size("2G"), 2ULL << 30);
  EXPECT_EQ(parse_size("007"), 7U);
}

TEST(Size, RefusesEverythingElse) {
  for (const char* text : {"", "k", "-1", "+1", " 1", "1 ", "1 k", "1.5k", "1kb", "1kk", "0x10",
                           "1t", "1s", "1,000"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(Size, RefusesMoreThan63Bits) {
  EXPECT_EQ(parse_size("9223372036854775807"), 9223372036854775807ULL);
  EXPECT_EQ(parse_size("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_size("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_size("8589934591g"), 8589934591ULL << 30);
  EXPECT_EQ(parse_size("8589934592g"), std::nullopt);
}

TEST(Duration, ReadsMilliseconds) {
  EXPECT_EQ(parse_duration_ms("0"), 0U);
  EXPECT_EQ(parse_duration_ms("0s"), 0U);
  EXPECT_EQ(parse_duration_ms("500ms"), 500U);
  EXPECT_EQ(parse_duration_ms("30s"), 30'000U);
  EXPECT_EQ(parse_duration_ms("5m"), 300'000U);
  EXPECT_EQ(parse_duration_ms("1h"), 3'600'000U);
  EXPECT_EQ(parse_duration_ms("1H"), 3'600'000U);
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "30", "00", "s", "-1s", "1.5s", "1 s", "1d", "1k", "1sm", "s1"}) {
    EXPECT_EQ(parse_duration_ms(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(Duration, RefusesMoreThan63Bits) {
  EXPECT_EQ(parse_duration_ms("9223372036854775807ms"), 9223372036854775807ULL);
  EXPECT_EQ(parse_duration_ms("9223372036854775808ms"), std::nullopt);
  EXPECT_EQ(parse_duration_ms("9223372036854776s"), std::nullopt);
}

TEST(Duration, ReadsMicroseconds) {
  EXPECT_EQ(parse_duration_us("0"), 0U);
  EXPECT_EQ(parse_duration_us("250us"), 250U);
  EXPECT_EQ(parse_duration_us("2ms"), 2000U);
  EXPECT_EQ(parse_duration_us("1s"), 1'000'000U);
  EXPECT_FALSE(parse_duration_us("250"));
  EXPECT_FALSE(parse_duration_us("1.5ms"));
  EXPECT_EQ(format_duration_us(250), "250us");
  EXPECT_EQ(format_duration_us(3000), "3ms");
}

TEST(Format, IsTheShortestText) {
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(1000), "1000");
  EXPECT_EQ(format_size(1024), "1k");
  EXPECT_EQ(format_size(1536), "1536");
  EXPECT_EQ(format_size(1024 * 1024), "1m");
  EXPECT_EQ(format_size(3ULL << 30), "3g");
  EXPECT_EQ(format_duration_ms(0), "0");
  EXPECT_EQ(format_duration_ms(1), "1ms");
  EXPECT_EQ(format_duration_ms(1500), "1500ms");
  EXPECT_EQ(format_duration_ms(75'000), "75s");
  EXPECT_EQ(format_duration_ms(300'000), "5m");
  EXPECT_EQ(format_duration_ms(86'400'000), "24h");
}

TEST(Format, RoundTrips) {
  unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 10'000; i++) {
    uint64_t value = (random() >> 1) >> (random() % 63);
    EXPECT_EQ(parse_size(format_size(value)), value);
    EXPECT_EQ(parse_duration_ms(format_duration_ms(value)), value);
  }
}

TEST(EditDistance, CountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("sitting", "kitten"), 3U);
  EXPECT_EQ(edit_distance("heartbaet", "heartbeat"), 2U);
}

TEST(ClosestName, IsTheNearestThatIsNearEnough) {
  std::vector<const char*> names = {"heartbeat", "heartbeat-head-after", "threads", "pin"};
  EXPECT_EQ(closest_name("heartbaet", names), "heartbeat");
  EXPECT_EQ(closest_name("heatbeat-head-after", names), "heartbeat-head-after");
  EXPECT_EQ(closest_name("thread", names), "threads");
  EXPECT_EQ(closest_name("pni", names), "pin");
  EXPECT_EQ(closest_name("certificate", names), "");
}

}  // namespace
}  // namespace sluice
