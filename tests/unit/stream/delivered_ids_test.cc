#include "net/stream/delivered_ids.h"

#include <array>
#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice::test {
namespace {

using Place = DeliveredIds::Place;

class DeliveredIdsTest : public ::testing::Test {
 protected:
  static void remember(DeliveredIds& ids, const std::string& id) {
    ids.remember(std::string_view(id));
  }
  static bool contains(const DeliveredIds& ids, const std::string& id) {
    return ids.contains(std::string_view(id));
  }
  MemoryLimit memory_{.heap_max = 1 << 20};
};

TEST_F(DeliveredIdsTest, TellsWhetherSomeRepeat) {
  auto repeat = [this](std::initializer_list<const char*> all) {
    DeliveredIds ids(memory_, 5);
    for (const char* id : all) remember(ids, id);
    return ids.repeat();
  };
  EXPECT_FALSE(repeat({"a", "b", "c"}));
  EXPECT_FALSE(repeat({"1", "2", "3", "9", "10"}));
  EXPECT_TRUE(repeat({"a", "b", "a"}));
  EXPECT_TRUE(repeat({"run7", "run7"}));
  EXPECT_TRUE(repeat({"5", "5"}));
  EXPECT_TRUE(repeat({"1", "2", "3", "1", "2"}));
  EXPECT_FALSE(repeat({"a", "a", "1", "2", "3", "b", "c", "d", "e", "f"}))
      << "as far as remembered";
}

TEST_F(DeliveredIdsTest, RemembersTheLastOnesExactly) {
  DeliveredIds ids(memory_, 3);
  for (const char* id : {"a", "b", "c", "d"}) ids.remember(std::string_view(id));
  EXPECT_EQ(ids.last(), "d");
  EXPECT_EQ(ids.count(), 3U);
  EXPECT_FALSE(ids.contains(std::string_view("a")));
  for (const char* id : {"b", "c", "d"}) EXPECT_TRUE(ids.contains(std::string_view(id))) << id;
  for (const char* id : {"", "bc", "B", "d "}) EXPECT_FALSE(ids.contains(std::string_view(id)));
}

TEST_F(DeliveredIdsTest, AnIdMayLieInPieces) {
  DeliveredIds ids(memory_, 3);
  std::array<std::string_view, 3> pieces = {"on", "e", "-id"};
  ids.remember(Pieces(std::span<const std::string_view>(pieces)));
  EXPECT_EQ(ids.last(), "one-id");
  EXPECT_TRUE(ids.contains(Pieces(std::span<const std::string_view>(pieces))));
}

// So that nothing is asked for that its upstream does not have.
TEST_F(DeliveredIdsTest, AnIdThatCannotBeAskedForClearsTheLastOne) {
  using namespace std::string_literals;
  const std::string long_one(limits::kHealIdBytes + 1, 'x');
  for (const std::string& id : {""s, " a"s, "a "s, "a\x01z"s, "a\x7f"s, long_one, "a\0b"s}) {
    DeliveredIds ids(memory_, 3);
    ids.remember(std::string_view("before"));
    ids.remember(std::string_view(id));
    EXPECT_EQ(ids.last(), "") << id;
    EXPECT_TRUE(ids.contains(std::string_view("before")));
    ids.remember(std::string_view("behind"));
    EXPECT_EQ(ids.last(), "behind");
  }
  DeliveredIds ids(memory_, 3);
  ids.remember(std::string_view("\xC3\xA4\tb"));
  EXPECT_EQ(ids.last(), "\xC3\xA4\tb");
}

TEST_F(DeliveredIdsTest, ConsecutiveNumbersAreAllRemembered) {
  DeliveredIds ids(memory_, 2);
  for (int i = 100; i <= 1000; ++i) remember(ids, std::to_string(i));
  EXPECT_TRUE(ids.contains(std::string_view("100")));
  EXPECT_TRUE(ids.contains(std::string_view("999")));
  EXPECT_FALSE(ids.contains(std::string_view("99")));
  EXPECT_FALSE(ids.contains(std::string_view("0100"))) << "another id";
  EXPECT_FALSE(ids.contains(std::string_view("1001")));
  EXPECT_EQ(ids.place_of(std::string_view("1001")), Place::kNext);
  EXPECT_EQ(ids.place_of(std::string_view("1002")), Place::kLater);
  EXPECT_EQ(ids.place_of(std::string_view("99")), Place::kEarlier);
  EXPECT_EQ(ids.place_of(std::string_view("x")), Place::kUnknown);
  ids.remember(std::string_view("2000"));
  EXPECT_FALSE(ids.contains(std::string_view("500")));
  EXPECT_EQ(ids.place_of(std::string_view("2005")), Place::kUnknown) << "its ids have gaps";
}

TEST_F(DeliveredIdsTest, MemoryIsBoundedAndAccountedFor) {
  const uint64_t before = memory_.heap;
  {
    DeliveredIds ids(memory_, 10'000);
    for (int i = 0; i < 5000; ++i) {
      remember(ids, "id-" + std::to_string(i) + std::string(400, 'x'));
      ASSERT_LE(memory_.heap - before, limits::kHealBlockBytes);
    }
    EXPECT_GE(ids.count(), 32U);
    for (size_t i = 0; i < ids.count(); ++i)
      EXPECT_TRUE(contains(ids, "id-" + std::to_string(4999 - i) + std::string(400, 'x')));
  }
  EXPECT_EQ(memory_.heap, before);
}

TEST_F(DeliveredIdsTest, WithoutMemoryTheRingIsShorter) {
  memory_.heap_max = 128;
  DeliveredIds ids(memory_, 256);
  for (int i = 0; i < 100; ++i) remember(ids, "event-" + std::to_string(i));
  EXPECT_EQ(ids.last(), "event-99");
  EXPECT_TRUE(ids.contains(std::string_view("event-98")));
  memory_.heap_max = 0;
  DeliveredIds none(memory_, 256);
  none.remember(std::string_view("a"));
  EXPECT_EQ(none.last(), "");
}

}  // namespace
}  // namespace sluice::test
