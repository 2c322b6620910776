// What leaves first in a turn: an event goes to its subscribers, then its publisher is answered. So
// one who publishes as fast as answers come does not run ahead of those who are to be served.
#include <array>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/gateway/hub_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {
namespace {

void stamp_arrivals(const Wire& client) {
  int on = 1;
  ASSERT_EQ(setsockopt(client.fd(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)), 0);
}

// When the text came to the socket, by the kernel's clock; 0: it did not say.
uint64_t arrival_ns(const Wire& client, std::string_view text) {
  std::string received;
  uint64_t at_ns = 0;
  while (received.find(text) == std::string::npos) {
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
      ADD_FAILURE() << "no \"" << text << "\" in \"" << received << '"';
      return 0;
    }
    received.append(bytes.data(), static_cast<size_t>(n));
    at_ns = 0;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
      if (one->cmsg_type != SO_TIMESTAMPNS) continue;
      timespec at{};
      std::memcpy(&at, CMSG_DATA(one), sizeof(at));
      at_ns = static_cast<uint64_t>(at.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(at.tv_nsec);
    }
  }
  return at_ns;
}

TEST(HubOrder, APublisherIsAnsweredBehindItsSubscribers) {
  TestWorker worker(hub_config());
  std::vector<Wire> subscribers;
  for (int i = 0; i < 20; ++i) {
    subscribers.push_back(worker.connect());
    subscribers.back().send(
        "GET /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n");
    subscribers.back().receive_through("\r\n\r\n");
    stamp_arrivals(subscribers.back());
  }
  Wire publisher = worker.connect();
  stamp_arrivals(publisher);
  // The kernel begins to stamp a moment after it was asked.
  for (int compared = 0, i = 0; compared < 20 && i < 1000; ++i) {
    publisher.send(
        "POST /hub/streams/account-1 HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n7");
    uint64_t answered_ns = arrival_ns(publisher, "}\n");
    bool stamped = answered_ns > 0;
    for (const Wire& subscriber : subscribers) {
      uint64_t got_ns = arrival_ns(subscriber, "data: 7\n\n");
      stamped = stamped && got_ns > 0;
      ASSERT_TRUE(!stamped || got_ns <= answered_ns) << got_ns - answered_ns << " ns";
    }
    compared += stamped ? 1 : 0;
    ASSERT_TRUE(compared > 0 || i < 999) << "the kernel does not say when bytes come";
  }
}

}  // namespace
}  // namespace sluice::test
