// What tests on the real kernel share: a ring, a pair of connected sockets, and turns until
// something is so.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include "core/loop.h"
#include "core/ring.h"

namespace sluice::test {

// The features of this kernel, less the ones that are named.
inline Features features_here(std::string_view disabled = "") {
  Features features;
  std::string error;
  EXPECT_TRUE(Ring::probe(features_without(disabled), &features, &error)) << error;
  return features;
}

inline std::unique_ptr<Ring> make_ring(std::string_view disabled = "") {
  std::string error;
  std::unique_ptr<Ring> ring = Ring::create(features_here(disabled), &error);
  EXPECT_TRUE(ring) << error;
  return ring;
}

// Two connected sockets: `ours` is for the ring, `theirs` is written and read directly.
class SocketPair {
 public:
  SocketPair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_.data()), 0); }
  ~SocketPair() {
    for (int fd : fds_)
      if (fd >= 0) close(fd);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  int ours() const { return fds_[0]; }
  int theirs() const { return fds_[1]; }
  void close_theirs() { close(std::exchange(fds_[1], -1)); }

  void write(std::string_view bytes) const {
    ASSERT_EQ(::send(theirs(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Everything that has arrived; does not wait.
  std::string read() const {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
      ssize_t n = recv(theirs(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n <= 0) return text;
      text.append(buffer.data(), static_cast<size_t>(n));
    }
  }

 private:
  std::array<int, 2> fds_{-1, -1};
};

// Turns of the loop until the condition holds, for some seconds at most.
template <typename Condition>
void turn_until(Loop& loop, Condition condition) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition() && std::chrono::steady_clock::now() < deadline) loop.turn(false);
  ASSERT_TRUE(condition());
}

}  // namespace sluice::test
