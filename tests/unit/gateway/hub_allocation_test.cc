// An event of a hub costs its publisher's request and its block, however many clients get it: this
// executable counts every operator new of the worker's thread.
#include <cstdint>
#include <string>
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
  explicit Subscribers(const TestWorker& worker) : worker_(worker) {}

  void add(int count, const std::string& target) {
    for (int i = 0; i < count; ++i) {
      all_.push_back(worker_.connect());
      all_.back().send("GET " + target +
                       " HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n");
      all_.back().receive_through("\r\n\r\n");
    }
  }
  void receive(const std::string& text) {
    for (Wire& one : all_) one.receive_through(text);
  }

 private:
  const TestWorker& worker_;
  std::vector<Wire> all_;
};

TEST(HubAllocation, AnEventThatIsDeliveredCostsNone) {
  Config config;
  config.routes.push_back({.path = "/hub", .upstreams = {}, .settings = {}});
  Route& route = config.routes.back();
  route.hub = "main";
  route.upstreams.push_back({.url = "hub:main", .host = "main", .address = {}});
  route.settings.heal = Heal::kOff;
  route.settings.hub_history_events = 16;
  TestWorker worker(config);
  Wire publisher = worker.connect();
  Subscribers subscribers(worker);
  int sent = 0;
  auto publish = [&](int count) {
    for (int i = 0; i < count; ++i) {
      std::string body = std::to_string(sent++) + std::string(200, 'x') + "END";
      publisher.send("POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body);
      publisher.receive_through("}\n");
      subscribers.receive("END");
      // By then the worker knows that its answer has been sent. A request that comes sooner is read
      // ahead of its turn, which costs two allocations, and a slow worker often has it that way.
      worker.ask([](Gateway&) { return true; });
    }
  };
  auto cost = [&] {
    publish(kEvents);  // warm
    auto count = [](Gateway&) { return perf::allocations_of_this_thread(); };
    uint64_t before = worker.ask(count);
    publish(kEvents);
    return worker.ask(count) - before;
  };

  uint64_t alone = cost();
  EXPECT_GT(alone, uint64_t{kEvents}) << "the worker's thread is not counted";
  subscribers.add(5, "/hub/streams/account-1");
  subscribers.add(5, "/hub/categories/account");
  subscribers.add(5, "/hub/subscribe?category=account&category=other");
  // Some 4,500 more are delivered. Free lists may still grow once.
  EXPECT_LT(cost(), alone + kEvents / 10) << "with subscribers";
}

}  // namespace
}  // namespace sluice
