#include "net/gateway/worker.h"

#include <atomic>
#include <future>
#include <poll.h>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class WorkerTest : public ::testing::Test {
 protected:
  Worker& make() {
    int listener = listen_on_loopback(&port_);
    worker_ = std::make_unique<Worker>(
        Worker::Options{.index = 0,
                        .cpu = -1,
                        .snapshot = std::make_shared<ConfigSnapshot>(config_),
                        .features = features_here(),
                        .client_limit = &client_limit_,
                        .sockets = {{"test", listener}},
                        .log = &log_});
    return *worker_;
  }
  // Asks, and waits for the answer.
  uint64_t clients() {
    std::promise<uint64_t> clients;
    EXPECT_TRUE(worker_->post([&clients](Gateway& gateway) {
      WorkerSnapshot now;
      gateway.snapshot(now);
      clients.set_value(now.client_connections);
    }));
    return clients.get_future().get();
  }
  void drain() {
    worker_->post([](Gateway& gateway) { gateway.abort_all(); });
    worker_->join();
  }
  bool listens() const {
    Address address = loopback(port_);
    int fd = open_stream_socket(AF_INET);
    bool connected = ::connect(fd, address.sa(), address.size) == 0;
    close_socket(fd);
    return connected;
  }

  Config config_ = config_to(1);
  ClientLimit client_limit_{10};
  LogQueue log_;
  uint16_t port_ = 0;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, ServesOnceItIsTold) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  std::atomic<int> stopped{0};
  ASSERT_EQ(worker.serve([&stopped] { ++stopped; }), "");
  Wire client = Wire::connect_to(port_);
  client.send("GET / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n");
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 417 "));
  EXPECT_EQ(clients(), 1U);
  EXPECT_EQ(stopped, 0);
  drain();
  EXPECT_EQ(stopped, 1);
}

TEST_F(WorkerTest, ReportsWhatItGot) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  ASSERT_EQ(worker.serve([] {}), "");
  EXPECT_THAT(worker.memory_facts(), HasSubstr(" of slots a worker in "));
  EXPECT_EQ(worker.features().fixed_buffers, worker.memory_facts().ends_with(", registered"));
  drain();
}

TEST_F(WorkerTest, DoesNotAcceptBeforeItServes) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  Wire client = Wire::connect_to(port_);
  client.send("GET / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n");
  std::promise<uint64_t> accepted;
  // The first that its loop does: nobody can have been accepted by then.
  worker.post(
      [&accepted](Gateway& gateway) { accepted.set_value(gateway.metrics().client_connections); });
  ASSERT_EQ(worker.serve([] {}), "");
  accepted.get_future().wait();
  EXPECT_THAT(client.receive_through("\r\n\r\n"), StartsWith("HTTP/1.1 417 "));
  drain();
}

TEST_F(WorkerTest, RunsMessagesInTheirOrderOnItsThread) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  ASSERT_EQ(worker.serve([] {}), "");
  std::vector<int> order;
  std::promise<std::thread::id> last;
  worker.post([&order](Gateway&) { order.push_back(1); });
  worker.post([&order](Gateway&) { order.push_back(2); });
  worker.post([&last](Gateway&) { last.set_value(std::this_thread::get_id()); });
  EXPECT_NE(last.get_future().get(), std::this_thread::get_id());
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  drain();
}

TEST_F(WorkerTest, AnswersMessagesThatWereOnTheirWayWhenItStopped) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  ASSERT_EQ(worker.serve([] {}), "");
  std::promise<void> go_on;
  std::promise<void> answered;
  worker.post([&go_on](Gateway& gateway) {
    gateway.drain();  // nothing is open: the loop ends after this turn
    go_on.get_future().wait();
  });
  EXPECT_TRUE(worker.post([&answered](Gateway&) { answered.set_value(); }));
  go_on.set_value();
  EXPECT_EQ(answered.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  worker.join();
}

TEST_F(WorkerTest, TakesNoMessageOnceItHasStopped) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  ASSERT_EQ(worker.serve([] {}), "");
  drain();
  bool ran = false;
  EXPECT_FALSE(worker.post([&ran](Gateway&) { ran = true; }));
  EXPECT_FALSE(ran);
}

TEST_F(WorkerTest, StopsAcceptingWhenItHasDrained) {
  Worker& worker = make();
  ASSERT_EQ(worker.start(), "");
  ASSERT_EQ(worker.serve([] {}), "");
  EXPECT_TRUE(listens());
  worker.post([](Gateway& gateway) { gateway.drain(); });
  worker.join();
  EXPECT_FALSE(listens());
}

TEST_F(WorkerTest, EndsAndLetsGoOfItsListenersWhenItIsNeverToldToServe) {
  ASSERT_EQ(make().start(), "");
  EXPECT_TRUE(listens());
  worker_.reset();
  EXPECT_FALSE(listens());
}

TEST_F(WorkerTest, SaysWhyThereIsNoMemoryForAPool) {
  for (PoolSettings Config::*pool : {&Config::pool_sse_event, &Config::pool_http_message}) {
    config_ = config_to(1);
    config_.*pool = {uint64_t{1} << 31, uint64_t{1} << 31};  // more than there are addresses
    Worker& worker = make();
    ASSERT_EQ(worker.start(), "");
    bool stopped = false;
    EXPECT_THAT(worker.serve([&stopped] { stopped = true; }),
                StartsWith("cannot set up the buffer pools: Cannot allocate memory; raise "
                           "RLIMIT_MEMLOCK"));
    worker.join();
    EXPECT_TRUE(stopped);
    EXPECT_FALSE(listens());
  }
}

}  // namespace
}  // namespace sluice::test
