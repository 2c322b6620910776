#include "net/hub/unstored.h"

#include <gtest/gtest.h>

#include "tests/unit/hub/hub_log.h"

namespace sluice {
namespace {

// Publishers may wait for a disk that has stalled, and leave. What they have sent is in the batch.
TEST(Unstored, ACallThatWaitsKeepsNoBody) {
  HubStore store({}, "/nonexistent/hub.db", /*workers=*/1, {});
  Unstored unstored(store);
  auto call = std::make_unique<HomeCall>();
  call->body = std::string(100'000, '1');
  call->publish = {.stream = "a-1"};
  call->publish.events.push_back(HubLog::draft(call->body));
  unstored.wait(std::move(call), /*worker=*/1);
  unsigned worker = 0;
  call = unstored.next_answered(UINT64_MAX, worker);
  ASSERT_TRUE(call);
  EXPECT_EQ(worker, 1U);
  EXPECT_EQ(call->publish.stream, "a-1");
  EXPECT_LT(call->body.capacity(), 100U);
  EXPECT_EQ(call->publish.events.capacity(), 0U);
}

// What has been given up comes back later, and answers nobody.
TEST(Unstored, NothingIsThereToWaitForOnceAllIsGivenUp) {
  HubStore store({}, "/nonexistent/hub.db", /*workers=*/1, {});
  Unstored unstored(store);
  EXPECT_TRUE(unstored.empty());
  for (int i = 0; i < 2; ++i) {
    unstored.open();
    unstored.send();
  }
  EXPECT_FALSE(unstored.empty());
  unstored.give_up();
  EXPECT_TRUE(unstored.empty());
  unstored.open();
  EXPECT_FALSE(unstored.empty());
}

}  // namespace
}  // namespace sluice
