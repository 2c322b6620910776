// A hub's history in a worker that nobody asks for anything: what is too old goes all the same.
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

TEST(HubHistory, GoesByItsAgeWhereNothingMoreComes) {
  Config config = hub_config();
  config.routes.back().settings.hub_history_age_ms = 1;
  TestWorker worker(config);
  Wire publisher = worker.connect();
  publisher.send(
      "POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n7");
  EXPECT_THAT(publisher.receive_through("}\n"), ::testing::StartsWith("HTTP/1.1 201 "));
  auto counts = [&worker] {
    return worker.ask([](Gateway& gateway) {
      WorkerSnapshot now;
      gateway.snapshot(now);
      return now.hubs.front();
    });
  };
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (counts().events > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(counts().events, 0U);
  EXPECT_EQ(counts().streams, 1U) << "which goes on where it was";
}

}  // namespace
}  // namespace sluice::test
