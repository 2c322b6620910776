// A hub's home and another worker that asks it: what becomes of a request that the home does not
// get, and of one that it answers late.
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/hub/hub_store.h"
#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr unsigned kHome = 0;
constexpr unsigned kOther = 1;

void publish(const Wire& client) {
  client.send("POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n7");
}

void ask_for_events(const Wire& client) {
  client.send(
      "GET /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n");
}

Wire ask_for_member(TestWorker& worker) {
  Wire client = worker.connect();
  client.send(
      "GET /hub/categories/account?group=g&size=1&wait=yes HTTP/1.1\r\nhost: test\r\n"
      "accept: text/event-stream\r\n\r\n");
  return client;
}

// The home is the test, and its lanes have room for two calls.
class AskingWorker : public ::testing::Test {
 protected:
  AskingWorker() {
    process_.set_waker([this](unsigned worker) { return worker != kHome || home_runs_; });
    process_.looks(kHome);
  }
  ~AskingWorker() override {
    worker_.stop();
    for (HomeCall* call; lane().up.pop(call);) delete call;
  }

  HubExchange& hub() { return process_.hub("main", 0); }
  HubExchange::Lane& lane() { return *hub().lanes[kOther]; }
  std::unique_ptr<HomeCall> next_call() {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (HomeCall* call; std::chrono::steady_clock::now() < deadline; std::this_thread::yield())
      if (lane().up.pop(call)) return std::unique_ptr<HomeCall>(call);
    ADD_FAILURE() << "nothing was asked";
    return std::make_unique<HomeCall>();
  }
  void answer(std::unique_ptr<HomeCall> call) {
    call->result = {.status = PublishResult::Status::kAppended, .global = 1, .count = 1};
    EXPECT_TRUE(lane().down.push({.kind = HubChange::Kind::kAnswer, .call = call.release()}));
    EXPECT_TRUE(worker_.tell_hub_news());
  }

  void push_lease_answer(std::unique_ptr<HomeCall> call, GroupCall::Status status) {
    if (!call->group) {
      ADD_FAILURE() << "no lease was asked for";
      return;
    }
    call->group->status = status;
    call->group->token = 7;
    EXPECT_TRUE(lane().down.push({.kind = HubChange::Kind::kAnswer, .call = call.release()}));
  }
  void answer_lease(std::unique_ptr<HomeCall> call, GroupCall::Status status) {
    push_lease_answer(std::move(call), status);
    EXPECT_TRUE(worker_.tell_hub_news());
  }
  Wire standby() {
    Wire client = ask_for_member(worker_);
    answer_lease(next_call(), GroupCall::Status::kAllTaken);
    EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    return client;
  }
  void tell_of_free_member() {
    Groups::News news{Groups::News::Kind::kFree, Groups::hash_of("g")};
    EXPECT_TRUE(lane().down.push({.kind = HubChange::Kind::kGroups, .groups = news}));
    EXPECT_TRUE(worker_.tell_hub_news());
  }

  // Who waits until its worker has heard of an event.
  Wire waiting_subscriber() {
    Wire subscriber = worker_.connect();
    ask_for_events(subscriber);
    auto streams = [](Gateway& gateway) { return gateway.streams().live(); };
    while (worker_.ask(streams) == 0) std::this_thread::yield();
    return subscriber;
  }
  void append_first() { append(1); }
  void append(uint64_t global) {
    std::string scratch;
    EventPlace place{.stream = "account-1", .position = global - 1, .global = global};
    Block* block = Block::make({.data = "7"}, place, /*holders=*/1, scratch);
    EXPECT_TRUE(lane().down.push({.kind = HubChange::Kind::kAppend, .block = block}));
  }
  void wait_until_all_have_left() {
    auto clients = [](Gateway& gateway) {
      WorkerSnapshot now;
      gateway.snapshot(now);
      return now.client_connections;
    };
    while (worker_.ask(clients) > 0) std::this_thread::yield();
  }

  std::atomic<bool> home_runs_{true};
  HubProcess process_{2, kHome, {.changes = 16, .calls = 2}};
  TestWorker worker_{hub_config(), kOther, &process_};
};

TEST_F(AskingWorker, HasNoMoreCallsThanThereIsRoomForAnswers) {
  Wire first = worker_.connect();
  Wire second = worker_.connect();
  Wire third = worker_.connect();
  publish(first);
  std::unique_ptr<HomeCall> call = next_call();
  publish(second);
  std::unique_ptr<HomeCall> other_call = next_call();
  publish(third);  // the home has both, so the way up is free
  EXPECT_THAT(third.receive_through("}\n"), StartsWith("HTTP/1.1 503 "));
  third.hang_up();
  answer(std::move(call));
  EXPECT_THAT(first.receive_through("}\n"), StartsWith("HTTP/1.1 201 "));
  publish(first);
  answer(next_call());
  EXPECT_THAT(first.receive_through("}\n"), StartsWith("HTTP/1.1 201 "));
  answer(std::move(other_call));
  EXPECT_THAT(second.receive_through("}\n"), StartsWith("HTTP/1.1 201 "));
}

TEST_F(AskingWorker, ForgetsACallThatTheHomeIsNoMoreThereFor) {
  Wire client = worker_.connect();
  home_runs_ = false;
  publish(client);
  EXPECT_THAT(client.receive_through("}\n"), StartsWith("HTTP/1.1 503 "));
  worker_.ask([](Gateway&) { return true; });  // the asker is that thread's
  EXPECT_EQ(next_call()->asker, nullptr) << "it has been answered, and may be gone";
}

// All of it is the test's, so nobody is behind the answer that comes late.
TEST_F(AskingWorker, AClientThatLeavesIsNotAnswered) {
  Wire client = worker_.connect();
  publish(client);
  std::unique_ptr<HomeCall> call = next_call();
  client.reset();
  wait_until_all_have_left();
  answer(std::move(call));
  Wire next = worker_.connect();
  publish(next);
  answer(next_call());
  EXPECT_THAT(next.receive_through("}\n"), StartsWith("HTTP/1.1 201 "));
}

// Its body lies in the call, so it counts until that has come back.
TEST_F(AskingWorker, CountsTheBodyOfAClientThatHasLeft) {
  const std::string body(50'000, '7');
  auto charged = [](Gateway& gateway) { return gateway.context().memory_limit.heap; };
  Wire client = worker_.connect();
  client.send("POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  std::unique_ptr<HomeCall> call = next_call();
  client.reset();
  wait_until_all_have_left();
  EXPECT_GE(worker_.ask(charged), body.size());
  answer(std::move(call));
  while (worker_.ask(charged) > 0) std::this_thread::yield();
}

// It has to hear of an event first that the home has appended already.
TEST_F(AskingWorker, EndsASubscriberThatBeginsToReadWhileItDrains) {
  hub().next.store(2);
  Wire subscriber = waiting_subscriber();
  worker_.post([](Gateway& gateway) { gateway.drain(); });
  append_first();
  EXPECT_TRUE(worker_.tell_hub_news());
  EXPECT_THAT(subscriber.receive_to_end(), HasSubstr("retry: "));
}

// Else a hub that takes events all the time would keep its readers waiting.
TEST_F(AskingWorker, ServesAReaderWithoutWhatCameAfterIt) {
  hub().next.store(2);
  Wire subscriber = waiting_subscriber();
  append_first();
  hub().next.store(3);
  EXPECT_TRUE(worker_.tell_hub_news());
  EXPECT_THAT(subscriber.receive_through("id: "), StartsWith("HTTP/1.1 200 "));
}

// The first time another worker's standby is quicker.
TEST_F(AskingWorker, AStandbyThatGetsNoMemberKeepsItsPlace) {
  Wire first = standby();
  Wire second = standby();
  tell_of_free_member();
  answer_lease(next_call(), GroupCall::Status::kAllTaken);
  tell_of_free_member();
  answer_lease(next_call(), GroupCall::Status::kDone);
  EXPECT_THAT(first.receive_through("}\n\n"), HasSubstr("event: sluice.lease\n"));
}

// Answers to publishers wait where readers take most of the time. If this answer did, too, the news
// behind it would come before it. In some of many times they are that busy.
TEST_F(AskingWorker, ABusyWorkersStandbyHearsOfTheMemberThatIsFreeNext) {
  std::vector<Wire> readers;
  for (int i = 0; i < 50; ++i) {
    readers.push_back(worker_.connect());
    ask_for_events(readers.back());
    readers.back().receive_through("\r\n\r\n");
  }
  for (uint64_t global = 1; global < 100 && !HasFailure(); global += 2) {
    Wire standby = ask_for_member(worker_);
    std::unique_ptr<HomeCall> call = next_call();
    append(global);
    EXPECT_TRUE(worker_.tell_hub_news());
    readers.front().receive_through("data: 7\n\n");  // the others are being served
    append(global + 1);
    push_lease_answer(std::move(call), GroupCall::Status::kAllTaken);
    tell_of_free_member();
    call = next_call();
    standby.hang_up();
    answer_lease(std::move(call), GroupCall::Status::kAllTaken);
    readers.front().receive_through("data: 7\n\n");
  }
}

// Both are workers.
class HomeAndOther : public ::testing::Test {
 protected:
  HomeAndOther() {
    process_.set_waker([this](unsigned worker) {
      return (worker == kHome ? home_worker_ : other_worker_).tell_hub_news();
    });
  }

  HubProcess process_{2, kHome};
  TestWorker home_worker_{hub_config(), kHome, &process_};
  TestWorker other_worker_{hub_config(), kOther, &process_};
};

TEST_F(HomeAndOther, TheHomeStaysUntilNobodyCanAskIt) {
  Wire publisher = other_worker_.connect();
  publish(publisher);
  EXPECT_THAT(publisher.receive_through("}\n"), HasSubstr("\"position\":0"));
  home_worker_.post([](Gateway& gateway) { gateway.drain(); });
  home_worker_.ask([](Gateway&) { return true; });  // its turn has ended
  publish(publisher);
  EXPECT_THAT(publisher.receive_through("}\n"), HasSubstr("\"position\":1"));
  other_worker_.post([](Gateway& gateway) { gateway.drain(); });
  publisher.hang_up();
  home_worker_.join();
  other_worker_.join();
}

// Its disk has taken what it was given when the test says so.
class SlowStore final : public Store {
 public:
  explicit SlowStore(StoreUser& user) : user_(user) {}

  std::optional<StoreHead> load(StoreLoad& /*into*/, std::string& /*error*/) override {
    return StoreHead{.epoch = {1, 2}};
  }
  bool append(std::unique_ptr<StoreBatch>& batch) override {
    std::lock_guard guard(lock_);
    batches_.push_back(std::move(batch));
    return true;
  }
  bool read(StoreRead /*read*/) override { return false; }
  StoreState state() const override { return StoreState::kReady; }

  // A batch comes, and is taken.
  std::unique_ptr<StoreBatch> next() {
    for (;; std::this_thread::yield()) {
      std::lock_guard guard(lock_);
      if (batches_.empty()) continue;
      std::unique_ptr<StoreBatch> batch = std::move(batches_.front());
      batches_.erase(batches_.begin());
      return batch;
    }
  }
  void take(std::unique_ptr<StoreBatch> batch) {
    user_.on_appended(std::move(batch), StoreOutcome::kDurable);
  }

 private:
  StoreUser& user_;
  std::mutex lock_;
  std::vector<std::unique_ptr<StoreBatch>> batches_;
};

class HomeWithASlowDisk : public ::testing::Test {
 protected:
  HomeWithASlowDisk() {
    auto make = [this](StoreUser& user) {
      auto made = std::make_unique<SlowStore>(user);
      disk_ = made.get();
      return made;
    };
    auto wake = [this](std::optional<unsigned> /*worker*/) { (void)process_.wake(kHome); };
    auto hub = std::make_unique<HubExchange>("main", 1, kHome, /*seed=*/1);
    hub->store = std::make_unique<HubStore>(HubAck::kDisk, make, /*workers=*/1, wake);
    EXPECT_EQ(hub->store->load({}, /*wall_ms=*/1), "");
    HubProcess::Opened opened;
    opened.emplace("main", std::move(hub));
    process_.add(opened);
    worker_ = std::make_unique<TestWorker>(hub_config(), kHome, &process_);
    process_.set_waker([this](unsigned) { return worker_->tell_hub_news(); });
  }
  ~HomeWithASlowDisk() override { process_.silence_stores(); }

  SlowStore* disk_ = nullptr;
  HubProcess process_{1, kHome};
  std::unique_ptr<TestWorker> worker_;
};

// Else it might hear that one is free first, and wait for the next one.
TEST_F(HomeWithASlowDisk, WhoWaitsForAMemberHearsSoThoughTheDiskIsSlow) {
  Wire owner = ask_for_member(*worker_);
  disk_->take(disk_->next());
  EXPECT_THAT(owner.receive_through("}\n\n"), HasSubstr("event: sluice.lease\n"));
  Wire publisher = worker_->connect();
  publish(publisher);
  std::unique_ptr<StoreBatch> batch = disk_->next();
  Wire standby = ask_for_member(*worker_);
  EXPECT_THAT(standby.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  disk_->take(std::move(batch));
  EXPECT_THAT(publisher.receive_through("}\n"), StartsWith("HTTP/1.1 201 "));
}

}  // namespace
}  // namespace sluice::test
