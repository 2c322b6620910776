// An event of a hub costs its publisher's request and its block, however many clients get it: this
// executable counts every operator new of the worker's thread.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/gateway/worker.h"
#include "perf/allocations.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice {
namespace {

using test::TestWorker;
using test::Wire;

constexpr int kEvents = 300;

class Subscribers {
 public:
  // `fields`: of their requests. `end`: what each event ends with.
  Subscribers(const TestWorker& worker, std::string fields, std::string end)
      : worker_(worker), fields_(std::move(fields)), end_(std::move(end)) {}

  void add(int count, const std::string& target) {
    for (int i = 0; i < count; ++i) {
      all_.push_back(worker_.connect());
      all_.back().send("GET " + target +
                       " HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n" + fields_ +
                       "\r\n");
      all_.back().receive_through("\r\n\r\n");
    }
  }
  void receive() {
    for (Wire& one : all_) one.receive_through(end_);
  }

 private:
  const TestWorker& worker_;
  const std::string fields_;
  const std::string end_;
  std::vector<Wire> all_;
};

// What an event costs its worker's thread, with and without subscribers.
class HubAllocation : public testing::Test {
 protected:
  static Config config() {
    Config config;
    config.routes.push_back({.path = "/hub", .upstreams = {}, .settings = {}});
    Route& route = config.routes.back();
    route.hub = "main";
    route.upstreams.push_back({.url = "hub:main", .host = "main", .address = {}});
    route.settings.heal = Heal::kOff;
    route.settings.hub_history_events = 16;
    route.settings.compress = {ContentCoding::kGzip};
    return config;
  }
  void publish(Subscribers& subscribers) {
    for (int i = 0; i < kEvents; ++i) {
      std::string body = std::to_string(sent_++) + std::string(200, 'x') + "END";
      publisher_.send("POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body);
      publisher_.receive_through("}\n");
      subscribers.receive();
      // By then the worker knows that its answer has been sent. A request that comes sooner is read
      // ahead of its turn, which costs two allocations, and a slow worker often has it that way.
      worker_.ask([](Gateway&) { return true; });
    }
  }
  uint64_t cost(Subscribers& subscribers) {
    publish(subscribers);  // warm
    auto count = [](Gateway&) { return perf::allocations_of_this_thread(); };
    uint64_t before = worker_.ask(count);
    publish(subscribers);
    return worker_.ask(count) - before;
  }
  // Beyond what publishing costs; free lists may still grow once.
  uint64_t cost_of_deliveries(Subscribers& subscribers) {
    uint64_t alone = cost(subscribers);
    EXPECT_GT(alone, uint64_t{kEvents}) << "the worker's thread is not counted";
    subscribers.add(5, "/hub/streams/account-1");
    subscribers.add(5, "/hub/categories/account");
    subscribers.add(5, "/hub/subscribe?category=account&category=other");
    uint64_t all = cost(subscribers);  // some 4,500 more are delivered
    return all - std::min(all, alone);
  }

  TestWorker worker_{config()};
  Wire publisher_ = worker_.connect();
  int sent_ = 0;
};

TEST_F(HubAllocation, AnEventThatIsDeliveredCostsNone) {
  Subscribers subscribers(worker_, "", "END");
  EXPECT_LT(cost_of_deliveries(subscribers), kEvents / 10);
}

// But for its two forms: of its stream, and with its envelope.
TEST_F(HubAllocation, NorDoesOneThatIsDeliveredPacked) {
  Subscribers subscribers(worker_, "accept-encoding: gzip\r\n", std::string("\0\0\xff\xff\r\n", 6));
  EXPECT_LT(cost_of_deliveries(subscribers), 2 * kEvents + kEvents / 10);
}

}  // namespace
}  // namespace sluice
