#include "net/hub/serving_time.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(ServingTimeTest, IsNoneBeforeTheFirst) {
  ServingTime time;
  EXPECT_FALSE(time.is_most(1000));
  time.begin(1000);
  EXPECT_FALSE(time.is_most(1000)) << "nothing has been sent yet";
}

TEST(ServingTimeTest, IsMostForAsLongAsItTook) {
  ServingTime time;
  time.begin(1000);
  EXPECT_TRUE(time.is_most(1500));
  EXPECT_TRUE(time.is_most(1999));
  EXPECT_FALSE(time.is_most(2000));
}

// A turn that comes much later must not count what the worker has slept.
TEST(ServingTimeTest, EndsWithTheNextTurn) {
  ServingTime time;
  time.begin(1000);
  time.see(1000);
  time.see(1500);
  EXPECT_FALSE(time.is_most(9000));
}

TEST(ServingTimeTest, GoesOnInTheNextTurn) {
  ServingTime time;
  time.begin(1000);
  time.begin(1500);
  time.begin(1500);
  time.see(1800);
  EXPECT_TRUE(time.is_most(2099));
  EXPECT_FALSE(time.is_most(2100));
}

}  // namespace
}  // namespace sluice
