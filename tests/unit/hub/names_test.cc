#include "net/hub/names.h"

#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

struct Parts {
  const char* name;
  const char* category;
  std::optional<std::string_view> id;
  std::optional<std::string_view> cardinal_id;
};

class NamePartsTest : public ::testing::TestWithParam<Parts> {};

TEST_P(NamePartsTest, AreThoseOfMessageDb) {
  const Parts& parts = GetParam();
  EXPECT_EQ(category_of(parts.name), parts.category);
  EXPECT_EQ(id_of(parts.name), parts.id);
  EXPECT_EQ(cardinal_id_of(parts.name), parts.cardinal_id);
  EXPECT_EQ(is_category(parts.name), !parts.id.has_value());
}

INSTANTIATE_TEST_SUITE_P(
    Names, NamePartsTest,
    ::testing::Values(Parts{"account", "account", std::nullopt, std::nullopt},
                      Parts{"account-", "account", "", ""},
                      Parts{"account-123", "account", "123", "123"},
                      Parts{"account-123+456", "account", "123+456", "123"},
                      Parts{"account-123+456+789", "account", "123+456+789", "123"},
                      Parts{"account-+456", "account", "+456", ""},
                      Parts{"order-2024-01-15", "order", "2024-01-15", "2024-01-15"},
                      Parts{"withdrawal:position-123", "withdrawal:position", "123", "123"},
                      Parts{"a+b-c", "a+b", "c", "c"},
                      Parts{"account:command", "account:command", std::nullopt, std::nullopt}));

TEST(NameFaultTest, ValidNamesHaveNone) {
  for (std::string_view name :
       {"a", "account", "account-", "account-123+456", "with blank-1", "withdrawal:position-123",
        "a/b-c?d#e", "Bücher-1", "\xF0\x9F\x98\x80-1", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF",
        "\xC2\xA0"}) {
    EXPECT_EQ(name_fault(name), nullptr) << name;
  }
}

TEST(NameFaultTest, OthersAreTold) {
  for (std::string_view name :
       {std::string_view(""), std::string_view("-"), std::string_view("-1"),
        std::string_view("a\n"), std::string_view("\ra"), std::string_view("a\0b", 3),
        std::string_view("\x7F"), std::string_view("\xC2\x85")}) {
    EXPECT_NE(name_fault(name), nullptr) << name;
  }
}

TEST(NameFaultTest, WhatIsNoUtf8IsTold) {
  for (std::string_view name :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "a-\xE2\x82", "\xE2\x28\xA1",
        "\xF0\x9F\x98", "\xFF"}) {
    EXPECT_STREQ(name_fault(name), "the name is not UTF-8") << name;
  }
}

TEST(NameFaultTest, LengthIsBounded) {
  EXPECT_EQ(name_fault(std::string(limits::kStreamNameBytesMax, 'a')), nullptr);
  EXPECT_NE(name_fault(std::string(limits::kStreamNameBytesMax + 1, 'a')), nullptr);
}

}  // namespace
}  // namespace sluice::test
