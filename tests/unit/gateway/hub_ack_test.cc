// A publisher that does not wait for the disk, on a hub that shows what is there: its answer comes
// first, and nobody sees the event before the store has it.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/hub/hub_store.h"
#include "tests/unit/gateway/held_store.h"
#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr unsigned kHome = 0;

class AckMemory : public ::testing::Test {
 protected:
  AckMemory() {
    process_.set_waker([this](unsigned) { return worker_->tell_hub_news(); });
  }
  ~AckMemory() override {
    worker_->stop();
    process_.silence_stores();
  }

  // With the store, before the worker knows the hub.
  HubProcess& with_store() {
    auto make = [this](StoreUser& user) {
      auto made = std::make_unique<HeldStore>(user);
      store_ = made.get();
      return made;
    };
    auto store =
        std::make_unique<HubStore>(HubAck::kDisk, make, /*workers=*/1,
                                   [this](std::optional<unsigned>) { (void)process_.wake(kHome); });
    EXPECT_EQ(store->load(StreamSettings{}, /*wall_ms=*/1), "");
    HubProcess::Opened opened;
    auto hub = std::make_unique<HubExchange>("main", 1, kHome, store->history().seed);
    hub->store = std::move(store);
    opened.emplace("main", std::move(hub));
    process_.add(opened);
    return process_;
  }

  void publish(const Wire& client, const std::string& query, const std::string& key) {
    client.send("POST /hub/streams/account-1" + query +
                " HTTP/1.1\r\nhost: test\r\nidempotency-key: " + key +
                "\r\ncontent-length: 1\r\n\r\n7");
  }
  std::string version() {
    client_.send("GET /hub/streams/account-1/version HTTP/1.1\r\nhost: test\r\n\r\n");
    return client_.receive_through("}\n");
  }

  HubProcess process_{1, kHome};
  HeldStore* store_ = nullptr;
  std::unique_ptr<TestWorker> worker_ =
      std::make_unique<TestWorker>(hub_config(), kHome, &with_store());
  Wire client_ = worker_->connect();
};

TEST_F(AckMemory, AnswersAtOnceAndShowsWhatIsStored) {
  publish(client_, "?ack=memory", "a");
  EXPECT_THAT(client_.receive_through("}\n"), HasSubstr("\"position\":0"));
  publish(client_, "?ack=memory", "a");
  EXPECT_THAT(client_.receive_through("}\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(version(), HasSubstr("\"version\":-1"));
  Wire other = worker_->connect();
  publish(other, "", "b");
  store_->answer(2, StoreOutcome::kDurable);
  EXPECT_THAT(other.receive_through("}\n"), HasSubstr("\"position\":1"));
  EXPECT_THAT(version(), HasSubstr("\"version\":1"));
}

TEST_F(AckMemory, WhatIsNotStoredHasNotBeen) {
  publish(client_, "?ack=memory", "a");
  EXPECT_THAT(client_.receive_through("}\n"), HasSubstr("\"position\":0"));
  store_->answer(1, StoreOutcome::kFailed);
  worker_->ask([](Gateway&) { return true; });
  EXPECT_THAT(version(), HasSubstr("\"version\":-1"));
  publish(client_, "?ack=memory", "a");
  EXPECT_THAT(client_.receive_through("}\n"), HasSubstr("\"appended\":1"));
  store_->answer(1, StoreOutcome::kDurable);
  publish(client_, "", "a");
  EXPECT_THAT(client_.receive_through("}\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(version(), HasSubstr("\"version\":0"));
}

}  // namespace
}  // namespace sluice::test
