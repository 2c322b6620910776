#include "net/config/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<uint32_t> ids_of(const std::vector<Numbers::Number>& numbers) {
  std::vector<uint32_t> ids;
  for (const Numbers::Number& number : numbers) ids.push_back(number.id);
  return ids;
}

TEST(Numbers, ANameHasOne) {
  Numbers numbers;
  auto first = numbers.give({"a", "b", "a"});
  EXPECT_THAT(ids_of(first), ElementsAre(0, 1, 0));
  EXPECT_EQ(first[0].in_use, first[2].in_use);
  auto second = numbers.give({"c", "b"});
  EXPECT_THAT(ids_of(second), ElementsAre(2, 1));
  EXPECT_EQ(second[1].in_use, first[1].in_use);
  EXPECT_THAT(numbers.names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(numbers.renamed(), IsEmpty());
}

TEST(Numbers, ThoseThatNobodyHoldsGoToOtherNames) {
  Numbers numbers;
  InUse second = numbers.give({"a", "b", "c"})[1].in_use;
  auto given = numbers.give({"d", "e", "f", "d"});
  EXPECT_THAT(ids_of(given), ElementsAre(0, 2, 3, 0));
  EXPECT_THAT(numbers.renamed(), ElementsAre(0, 2));
  EXPECT_THAT(numbers.names(), ElementsAre("d", "b", "e", "f"));
  given.clear();
  numbers.give({"d"});
  EXPECT_THAT(numbers.renamed(), IsEmpty());
}

TEST(Numbers, ANameThatComesBackHasItsOwnWhereItIsFree) {
  Numbers numbers;
  numbers.give({"a", "b"});
  EXPECT_THAT(ids_of(numbers.give({"c", "a"})), ElementsAre(1, 0)) << "known ones go first";
  EXPECT_THAT(ids_of(numbers.give({"b"})), ElementsAre(0)) << "whose own is another's";
}

}  // namespace
}  // namespace sluice
