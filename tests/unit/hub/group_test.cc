#include "net/hub/group.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/hub/md5.h"

namespace sluice::test {
namespace {

std::string md5_hex(std::string_view text) {
  std::string hex;
  for (uint8_t byte : md5(text)) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

TEST(Md5Test, IsThatOfRfc1321) {
  EXPECT_EQ(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5_hex("a"), "0cc175b9c0f1b6a831c399e269772661");
  EXPECT_EQ(md5_hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(
      md5_hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
      "57edf4a22be3c955ac49da2e2107b67a");
}

// Around a block's end, where the length has to go into a block of its own: against md5sum.
TEST(Md5Test, IsThatOfEveryLengthAroundABlock) {
  EXPECT_EQ(md5_hex(std::string(55, 'x')), "04364420e25c512fd958a70738aa8f72");
  EXPECT_EQ(md5_hex(std::string(56, 'x')), "668a72d5ba17f08e62dabcafad6db14b");
  EXPECT_EQ(md5_hex(std::string(63, 'x')), "7dc2ca208106a2f703567bdff99d8981");
  EXPECT_EQ(md5_hex(std::string(64, 'x')), "c1bb4f81d892b2d57947682aeb252456");
  EXPECT_EQ(md5_hex(std::string(65, 'x')), "1bc932052302d074bdec39795fe00cf6");
}

TEST(GroupHashTest, IsMessageDbs) {
  EXPECT_EQ(group_hash("123"), 2318431741638412123U);
  EXPECT_EQ(group_hash("1"), 4266524885998034046U);  // of a negative number
}

struct Vector {
  const char* stream;
  std::array<int64_t, 4> members;  // of groups of 2, 3, 4 and 8; -1: none
};

class GroupMemberTest : public ::testing::TestWithParam<Vector> {};

TEST_P(GroupMemberTest, OneMemberTakesAStream) {
  constexpr std::array<int64_t, 4> kSizes = {2, 3, 4, 8};
  for (size_t i = 0; i < kSizes.size(); ++i) {
    for (int64_t member = 0; member < kSizes[i]; ++member) {
      EXPECT_EQ(GroupMember::make(member, kSizes[i])->takes(GetParam().stream),
                member == GetParam().members[i])
          << GetParam().stream << " " << member << "/" << kSizes[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Streams, GroupMemberTest,
    ::testing::Values(Vector{"account-123", {1, 1, 3, 3}}, Vector{"account-123+456", {1, 1, 3, 3}},
                      Vector{"withdrawal:position-123", {1, 1, 3, 3}},
                      Vector{"account-1", {0, 0, 2, 6}}, Vector{"user-456", {1, 1, 3, 7}},
                      Vector{"order-2024-01-15", {1, 1, 3, 7}}, Vector{"account-", {0, 2, 0, 4}},
                      Vector{"account", {-1, -1, -1, -1}}));

TEST(GroupTest, HasASizeAndMembersBelowIt) {
  EXPECT_TRUE(GroupMember::make(0, 1));
  EXPECT_TRUE(GroupMember::make(INT64_MAX - 1, INT64_MAX));
  EXPECT_FALSE(GroupMember::make(0, 0));
  EXPECT_FALSE(GroupMember::make(0, -1));
  EXPECT_FALSE(GroupMember::make(-1, 2));
  EXPECT_FALSE(GroupMember::make(2, 2));
}

}  // namespace
}  // namespace sluice::test
