// What leaves first in a turn: the answer of a publisher; but where serving readers takes most of
// the time, an event goes to its subscribers first. So one who publishes as fast as answers come
// does not run ahead of those who are to be served.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

const std::string kPublish =
    "POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n7";

void stamp_arrivals(const Wire& client) {
  int on = 1;
  ASSERT_EQ(setsockopt(client.fd(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)), 0);
}

// The time that the kernel has put beside what was received; 0: it has put none.
uint64_t stamp_of(msghdr& message) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_type != SO_TIMESTAMPNS) continue;
    timespec at{};
    std::memcpy(&at, CMSG_DATA(one), sizeof(at));
    return static_cast<uint64_t>(at.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(at.tv_nsec);
  }
  return 0;
}

// When so many messages with that end were there.
uint64_t arrival_ns(const Wire& client, std::string_view end, int count) {
  std::string received;
  uint64_t at_ns = 0;
  for (size_t from = 0; count > 0;) {
    std::array<char, 4096> bytes{};
    alignas(cmsghdr) std::array<char, 256> said{};
    iovec piece{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = said.data();
    message.msg_controllen = said.size();
    ssize_t n = retry([&] { return recvmsg(client.fd(), &message, 0); });
    if (n <= 0) {
      ADD_FAILURE() << count << " missing behind \"" << received << '"';
      return 0;
    }
    received.append(bytes.data(), static_cast<size_t>(n));
    at_ns = stamp_of(message);
    for (size_t at; count > 0 && (at = received.find(end, from)) != std::string::npos; --count)
      from = at + end.size();
  }
  return at_ns;
}

class HubOrder : public ::testing::Test {
 protected:
  HubOrder() {
    for (int i = 0; i < 20; ++i) {
      subscribers_.push_back(worker_.connect());
      subscribers_.back().send(
          "GET /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n");
      subscribers_.back().receive_through("\r\n\r\n");
      stamp_arrivals(subscribers_.back());
    }
    stamp_arrivals(publisher_);
    // The kernel begins to stamp a moment after it was asked.
    for (int i = 0; answered_ns_ == 0 && i < 1000; ++i) publish(1);
    EXPECT_NE(answered_ns_, 0U) << "the kernel does not say when bytes come";
  }

  // So many at once: when the last answer came, and the last event to the last subscriber.
  void publish(int count) {
    std::string requests;
    for (int i = 0; i < count; ++i) requests += kPublish;
    publisher_.send(requests);
    answered_ns_ = arrival_ns(publisher_, "}\n", count);
    served_ns_ = 0;
    for (const Wire& subscriber : subscribers_)
      served_ns_ = std::max(served_ns_, arrival_ns(subscriber, "data: 7\n\n", count));
  }

  TestWorker worker_{hub_config()};
  std::vector<Wire> subscribers_;
  Wire publisher_ = worker_.connect();
  uint64_t answered_ns_ = 0;
  uint64_t served_ns_ = 0;
};

// The second event comes when the first one has just left.
TEST_F(HubOrder, APublisherInHasteIsAnsweredBehindSubscribers) {
  for (int i = 0; i < 20; ++i) {
    publish(2);
    EXPECT_LE(served_ns_, answered_ns_);
  }
}

// In one of many times: the worker may have been kept from its core for long.
TEST_F(HubOrder, APublisherAtLeisureIsAnsweredAtOnce) {
  bool at_once = false;
  for (int i = 0; !at_once && i < 50; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    publish(1);
    at_once = answered_ns_ < served_ns_;
  }
  EXPECT_TRUE(at_once);
}

}  // namespace
}  // namespace sluice::test
