// A hub's home and a disk that fails, or is late: who is refused, what is counted, and in which
// order another worker hears of it.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/hub/hub_store.h"
#include "net/hub/log.h"
#include "tests/unit/gateway/held_store.h"
#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr unsigned kHome = 0;
constexpr unsigned kOther = 1;

// The other worker is the test.
class HomeAndDisk : public ::testing::Test {
 protected:
  explicit HomeAndDisk(Config config = hub_config())
      : worker_(std::make_unique<TestWorker>(std::move(config), kHome, &with_store())) {
    process_.set_waker([this](unsigned worker) {
      return worker != kHome || !listens_ || worker_->tell_hub_news();
    });
  }
  ~HomeAndDisk() override {
    worker_->stop();
    process_.silence_stores();
  }

  HubProcess& with_store() {
    auto make = [this](StoreUser& user) {
      auto made = std::make_unique<HeldStore>(user);
      disk_ = made.get();
      return made;
    };
    auto hub = std::make_unique<HubExchange>("main", 2, kHome, /*seed=*/1);
    hub->store =
        std::make_unique<HubStore>(HubAck::kDisk, make, /*workers=*/2,
                                   [this](std::optional<unsigned>) { (void)process_.wake(kHome); });
    EXPECT_EQ(hub->store->load(StreamSettings{}, /*wall_ms=*/1), "");
    HubProcess::Opened opened;
    opened.emplace("main", std::move(hub));
    process_.add(opened);
    return process_;
  }

  Wire publish(const std::string& stream, const std::string& query = "") {
    Wire client = worker_->connect();
    client.send("POST /hub/streams/" + stream + query +
                " HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n7");
    return client;
  }
  Wire store_position() {
    Wire client = worker_->connect();
    client.send(
        "PUT /hub/consumers/c HTTP/1.1\r\nhost: test\r\ncontent-length: 14\r\n\r\n"
        "{\"position\":7}");
    return client;
  }
  Wire read_position() {
    Wire client = worker_->connect();
    client.send("GET /hub/consumers/c HTTP/1.1\r\nhost: test\r\n\r\n");
    return client;
  }
  // Its requests are with the home.
  void wait_for_streams(size_t count) {
    auto streams = [](Gateway& gateway) { return gateway.streams().live(); };
    while (worker_->ask(streams) < count) std::this_thread::yield();
  }
  HubCounts counts() {
    return worker_->ask([](Gateway& gateway) {
      WorkerSnapshot now;
      gateway.snapshot(now);
      return now.hubs.front();
    });
  }

  std::atomic<bool> listens_{true};
  HeldStore* disk_ = nullptr;
  HubProcess process_{2, kHome};
  std::unique_ptr<TestWorker> worker_;
};

TEST_F(HomeAndDisk, APositionThatMayBeOnADiskThatFailsIsNotRead) {
  Wire writer = store_position();
  wait_for_streams(1);
  Wire before = read_position();
  wait_for_streams(2);
  disk_->become(StoreState::kFailed);
  EXPECT_THAT(before.receive_through("}\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(read_position().receive_through("}\n"), StartsWith("HTTP/1.1 503 "));
  disk_->answer_all(StoreOutcome::kDurable);
  EXPECT_THAT(writer.receive_through("}\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(read_position().receive_through("}\n"), HasSubstr("\"position\":7"));
}

// What it has taken before it failed is told first.
TEST_F(HomeAndDisk, APositionThatTheDiskHasTakenIsReadThoughItHasFailedSince) {
  Wire writer = store_position();
  wait_for_streams(1);
  disk_->become_silently(StoreState::kFailed);
  Wire reader = read_position();
  wait_for_streams(2);
  disk_->answer_all(StoreOutcome::kDurable);
  disk_->become(StoreState::kFailed);
  EXPECT_THAT(writer.receive_through("}\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(reader.receive_through("}\n"), HasSubstr("\"position\":7"));
}

TEST_F(HomeAndDisk, OnlyWhatIsShownCountsAsAppended) {
  EXPECT_THAT(publish("account-1", "?ack=memory").receive_through("}\n"),
              StartsWith("HTTP/1.1 201 "));
  disk_->answer(1, StoreOutcome::kFailed);
  Wire publisher = publish("account-1");
  disk_->answer(1, StoreOutcome::kDurable);
  EXPECT_THAT(publisher.receive_through("}\n"), HasSubstr("\"position\":0"));
  EXPECT_EQ(counts().appended, 1U);
}

TEST_F(HomeAndDisk, WhatTheDiskDoesNotHaveYetIsCounted) {
  Wire publisher = publish("account-1");
  Wire other = publish("account-2");
  disk_->wait_for(2);
  EXPECT_EQ(counts().store_waiting, 2U);
  disk_->answer_all(StoreOutcome::kDurable);
  EXPECT_EQ(counts().store_waiting, 0U);
}

TEST_F(HomeAndDisk, EachTimeThatItFailsIsCountedOnce) {
  EXPECT_EQ(counts().store_failing, 0U);
  disk_->become(StoreState::kFull);
  disk_->become(StoreState::kFailed);
  EXPECT_EQ(counts().store_failing, 1U);
  EXPECT_EQ(counts().store_failures, 1U);
  disk_->become(StoreState::kReady);
  EXPECT_EQ(counts().store_failing, 0U);
  disk_->become(StoreState::kBroken);
  EXPECT_EQ(counts().store_failing, 1U);
  EXPECT_EQ(counts().store_failures, 2U);
}

class HomeOfTwoHubs : public HomeAndDisk {
 protected:
  HomeOfTwoHubs() : HomeAndDisk(config()) {}

  // Beside the one with the disk, one in memory.
  static Config config() {
    Config config = hub_config();
    Route route = config.routes.back();
    route.path = "/memory";
    route.hub = "memory";
    route.upstreams = {{.url = "hub:memory", .host = "memory", .address = {}}};
    config.routes.push_back(std::move(route));
    return config;
  }

  std::string publish_in_memory() {
    Wire client = worker_->connect();
    client.send(
        "POST /memory/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n7");
    return client.receive_through("}\n");
  }
};

TEST_F(HomeOfTwoHubs, OneInMemoryGoesOnWhateverBecomesOfTheOthersDisk) {
  Wire subscriber = worker_->connect();
  subscriber.send(
      "GET /memory/streams/account-1 HTTP/1.1\r\nhost: test\r\n"
      "accept: text/event-stream\r\n\r\n");
  EXPECT_THAT(subscriber.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  Wire waits = publish("account-1");
  disk_->wait_for(1);
  EXPECT_THAT(publish_in_memory(), StartsWith("HTTP/1.1 201 "));
  subscriber.receive_through("data: 7\n\n");
  for (auto [state, status] : {std::pair(StoreState::kFull, "HTTP/1.1 507 "),
                               std::pair(StoreState::kFailed, "HTTP/1.1 503 "),
                               std::pair(StoreState::kBroken, "HTTP/1.1 503 ")}) {
    disk_->become(state);
    EXPECT_THAT(publish("account-1").receive_through("}\n"), StartsWith(status));
    EXPECT_THAT(publish_in_memory(), StartsWith("HTTP/1.1 201 "));
    subscriber.receive_through("data: 7\n\n");
  }
}

class HomeOfShortHistory : public HomeAndDisk {
 protected:
  HomeOfShortHistory() : HomeAndDisk(config()) {}

  static Config config() {
    Config config = hub_config();
    config.routes.back().settings.hub_history_events = 1;
    config.routes.back().settings.hub_stream_events = 2;
    return config;
  }
};

// Else another worker's stream would let go of an event by its own limit that the home has evicted
// with the oldest: from the midst, which readers are told of apart.
TEST_F(HomeOfShortHistory, WhatTheDiskHasTakenAtOnceIsShownBeforeAnythingIsEvicted) {
  listens_ = false;
  Wire first = publish("account-1");
  disk_->wait_for(1);
  Wire second = publish("other-1");
  disk_->wait_for(2);
  Wire third = publish("account-1");
  disk_->answer(3, StoreOutcome::kDurable);
  listens_ = true;
  worker_->tell_hub_news();
  EXPECT_THAT(third.receive_through("}\n"), HasSubstr("\"position\":1"));

  BlockSlots slots;
  Log log(slots);
  HubExchange::Lane& lane = *process_.hub("main", 0).lanes[kOther];
  for (HubChange change; lane.down.pop(change);) {
    bool created = false;
    if (change.kind == HubChange::Kind::kAppend) log.append(*change.block, &created);
    if (change.kind == HubChange::Kind::kEvict) log.evict_through(change.global);
  }
  const LogStream* stream = log.stream("account-1");
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->events.loss().evicted_through, 1U);
  EXPECT_EQ(stream->events.loss().hole_through, 0U);
}

}  // namespace
}  // namespace sluice::test
