#include "net/hub/exchange.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using ::testing::ElementsAre;

TEST(HubProcess, NewsFromBeforeThereAreWorkersIsNotForgotten) {
  HubProcess process(/*workers=*/2, /*home=*/0);
  EXPECT_FALSE(process.wake(0)) << "a store that is full at the start";
  std::vector<unsigned> woken;
  process.set_waker([&woken](unsigned worker) {
    woken.push_back(worker);
    return true;
  });
  EXPECT_THAT(woken, ElementsAre(0));
  EXPECT_TRUE(process.wake(0)) << "it has not looked yet";
  EXPECT_THAT(woken, ElementsAre(0));
  process.looks(0);
  EXPECT_TRUE(process.wake(0));
  EXPECT_THAT(woken, ElementsAre(0, 0));
}

TEST(HubProcess, AWorkerThatCannotBeWokenIsNotTakenForAwake) {
  HubProcess process(/*workers=*/2, /*home=*/0);
  bool runs = true;
  process.set_waker([&runs](unsigned) { return runs; });
  runs = false;
  EXPECT_FALSE(process.wake(1));
  EXPECT_FALSE(process.wake(1));
  runs = true;
  EXPECT_TRUE(process.wake(1));
}

}  // namespace
}  // namespace sluice
