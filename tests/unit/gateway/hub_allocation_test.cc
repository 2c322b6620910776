// An event of a hub costs nothing but what its publisher's request costs, as any request does,
// however many clients get it: this executable counts every operator new of the worker's thread.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/gateway/worker.h"
#include "perf/allocations.h"
#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice {
namespace {

using test::TestWorker;
using test::Wire;

constexpr uint64_t kRequests = 300;
// Of any request: its stream, what the log and /streams show of it, its parser, its bytes until
// they are sent. Of the hub's: its half of the stream. docs/hub.md names them.
constexpr uint64_t kOfARequest = 5;

class Subscribers {
 public:
  explicit Subscribers(const TestWorker& worker) : worker_(worker) {}

  // `fields`: of their requests. `end`: what each event ends with.
  void add(int count, const std::string& target, const std::string& fields = "",
           const std::string& end = "END") {
    end_ = end;
    for (int i = 0; i < count; ++i) {
      all_.push_back(worker_.connect());
      all_.back().send("GET " + target +
                       " HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n" + fields +
                       "\r\n");
      all_.back().receive_through("\r\n\r\n");
    }
  }
  void receive() {
    for (Wire& one : all_) one.receive_through(end_);
  }

 private:
  const TestWorker& worker_;
  std::string end_;
  std::vector<Wire> all_;
};

class HubAllocation : public ::testing::Test {
 protected:
  explicit HubAllocation(bool packs = false) : worker_(config(packs)) {}

  static Config config(bool packs) {
    Config config = test::hub_config();
    config.routes.back().settings.hub_history_events = 16;
    if (packs) config.routes.back().settings.compress = {ContentCoding::kGzip};
    return config;
  }

  void publish(const std::string& target, const std::string& fields, const std::string& body) {
    for (uint64_t i = 0; i < kRequests; ++i) {
      publisher_.send("POST /hub/streams/" + target + " HTTP/1.1\r\nhost: test\r\n" + fields +
                      "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
      publisher_.receive_through("}\n");
      subscribers_.receive();
      // By then the worker knows that its answer has been sent. A request that comes sooner is read
      // ahead of its turn, which costs two allocations, and a slow worker often has it that way.
      worker_.ask([](Gateway&) { return true; });
    }
  }
  // Of that many requests once all is warm.
  uint64_t cost(const std::string& target, const std::string& fields, const std::string& body) {
    publish(target, fields, body);
    auto count = [](Gateway&) { return perf::allocations_of_this_thread(); };
    uint64_t before = worker_.ask(count);
    publish(target, fields, body);
    return worker_.ask(count) - before;
  }

  // What deliveries cost beside their publishing, to 15 subscribers of these fields and this mode.
  uint64_t cost_of_deliveries(const std::string& fields, const std::string& end,
                              const std::string& mode = "full") {
    std::string body = std::string(200, 'x') + "END";
    uint64_t alone = cost("account-1", "", body);
    EXPECT_GT(alone, kRequests) << "the worker's thread is not counted";
    const std::string query = "?mode=" + mode;
    subscribers_.add(5, "/hub/streams/account-1" + query, fields, end);
    subscribers_.add(5, "/hub/categories/account" + query, fields, end);
    subscribers_.add(5, "/hub/subscribe" + query + "&category=account&category=other", fields, end);
    uint64_t all = cost("account-1", "", body);  // some 4,500 more are delivered
    return all - std::min(all, alone);
  }

  TestWorker worker_;
  Wire publisher_ = worker_.connect();
  Subscribers subscribers_{worker_};
};

// Free lists may grow once.
constexpr uint64_t kMost = kOfARequest * kRequests + kRequests / 10;

TEST_F(HubAllocation, AnEventThatIsDeliveredCostsNone) {
  EXPECT_LT(cost_of_deliveries("", "END"), kRequests / 10);
}

TEST_F(HubAllocation, APokeThatIsDeliveredCostsNone) {
  EXPECT_LT(cost_of_deliveries("", "}\n\n", "poke"), kRequests / 10);
}

class PackedHubAllocation : public HubAllocation {
 protected:
  PackedHubAllocation() : HubAllocation(/*packs=*/true) {}
};

// But for its two forms: of its stream, and with its envelope.
TEST_F(PackedHubAllocation, AnEventThatIsDeliveredCostsNone) {
  std::string end("\0\0\xff\xff\r\n", 6);
  EXPECT_LT(cost_of_deliveries("accept-encoding: gzip\r\n", end), 2 * kRequests + kRequests / 10);
}

TEST_F(HubAllocation, AnEventThatIsPublishedCostsNoneBesideItsRequest) {
  std::string name = "account-9d0e5a1c-3a53-4c5c-9d3f-5a2c8e6d7b10";
  std::string event = R"({"type":"AccountHolderHasDeposited","data":{"text":")" +
                      std::string(300, 'x') + R"("},"metadata":{"a":1}})";
  EXPECT_LE(cost(name + "?type=Deposited", "", "a text\nof two lines"), kMost);
  std::string json = "content-type: application/json\r\n";
  EXPECT_LE(cost(name, json, event), kMost);
  std::string batch = "[" + event;
  for (int i = 0; i < 7; ++i) batch += "," + event;
  EXPECT_LE(cost(name, json, batch + "]"), kMost) << "a batch";
}

}  // namespace
}  // namespace sluice
