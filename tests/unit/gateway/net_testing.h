// What tests of a whole worker share: the worker with its configuration, an upstream and a client.
// Upstream and client use plain blocking sockets with a deadline on every receive, so that what
// never comes fails a test instead of hanging it.
#pragma once

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/gateway/worker.h"
#include "tests/unit/core/kernel_testing.h"

namespace sluice::test {

inline Address loopback(uint16_t port) {
  std::string error;
  return *parse_address("127.0.0.1:" + std::to_string(port), &error);
}

// Not shared (no SO_REUSEPORT): what connects to this port reaches this test.
inline int listen_on_loopback(uint16_t* port) {
  Address address = loopback(0);
  // Bare, as the server's listeners are: what accepted sockets inherit is the gateway's to set.
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(bind(fd, address.sa(), address.size), 0);
  EXPECT_EQ(listen(fd, SOMAXCONN), 0);
  address.size = local_address(fd, &address.storage);
  *port = address.port();
  return fd;
}

// A system call again where it was interrupted. A thread that has had a ring may be, and calls
// with a time-out are then not restarted (signal(7)).
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// One connected socket, from either side.
class Wire {
 public:
  explicit Wire(int fd) : fd_(fd) {
    timeval deadline{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
  }
  ~Wire() { hang_up(); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  Wire(Wire&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}

  static Wire connect_to(uint16_t port) {
    Address address = loopback(port);
    int fd = open_stream_socket(AF_INET);
    EXPECT_EQ(::connect(fd, address.sa(), address.size), 0) << std::strerror(errno);
    return Wire(fd);
  }

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      ssize_t n = retry([&] { return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
      if (n <= 0) return;  // the other end will tell
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  // Everything up to the end of `text`; what follows is kept.
  std::string receive_through(std::string_view text) {
    size_t at = received_.find(text);
    for (; at == std::string::npos; at = received_.find(text)) {
      if (receive_some()) continue;
      ADD_FAILURE() << "no \"" << text << "\" in \"" << received_ << '"';
      return {};
    }
    std::string through = received_.substr(0, at + text.size());
    received_.erase(0, through.size());
    return through;
  }
  std::string receive_to_end() {
    while (receive_some()) {
    }
    return std::exchange(received_, {});
  }
  // Into memory of the caller's; the bytes received, 0 at the end.
  size_t receive(std::span<char> into) const {
    ssize_t n = retry([&] { return recv(fd_, into.data(), into.size(), 0); });
    if (n < 0 && errno == EAGAIN) ADD_FAILURE() << "nothing came in time, not even an end";
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // How the connection ends: 0 for a FIN, else the errno. What comes before that is dropped.
  int await_end() const {
    std::array<char, 16384> buffer{};
    ssize_t n = 1;
    while (n > 0) n = retry([&] { return recv(fd_, buffer.data(), buffer.size(), 0); });
    return n == 0 ? 0 : errno;
  }
  void hang_up() {
    if (fd_ >= 0) close_socket(std::exchange(fd_, -1));
  }
  // A FIN; what comes is still received.
  void shut_down_sending() const { shutdown_sending(fd_); }
  void reset() {
    reset_on_close(fd_);
    hang_up();
  }
  int fd() const { return fd_; }
  uint16_t local_port() const {
    Address address;
    address.size = local_address(fd_, &address.storage);
    return address.port();
  }
  uint16_t peer_port() const {
    Address address;
    address.size = peer_address(fd_, &address.storage);
    return address.port();
  }

 private:
  bool receive_some() {
    std::array<char, 16384> buffer{};
    size_t n = receive(buffer);
    received_.append(buffer.data(), n);
    return n > 0;
  }

  int fd_;
  std::string received_;
};

// A listening socket of an upstream; accepts when asked.
class Upstreams {
 public:
  Upstreams() : fd_(listen_on_loopback(&port_)) {
    timeval deadline{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
  }
  ~Upstreams() { close_socket(fd_); }
  Upstreams(const Upstreams&) = delete;
  Upstreams& operator=(const Upstreams&) = delete;

  Wire accept() const {
    int fd = retry([this] { return accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); });
    EXPECT_GE(fd, 0) << "no connection came";
    return Wire(fd);
  }
  uint16_t port() const { return port_; }

 private:
  uint16_t port_ = 0;
  int fd_;
};

// A configuration with one route, "/", to a port.
inline Config config_to(uint16_t upstream_port) {
  Address address = loopback(upstream_port);
  Config config;
  config.routes.push_back({.path = "/",
                           .upstreams = {{"http://" + address.text(), address.text(), address}},
                           .settings = {}});
  return config;
}

// One worker on a thread of its own.
class TestWorker {
 public:
  // `hubs`: what it shares with other workers.
  explicit TestWorker(Config config, unsigned index = 3, HubProcess* hubs = nullptr)
      : config_(std::move(config)) {
    int listener = listen_on_loopback(&port_);
    worker_ = std::make_unique<Worker>(
        Worker::Options{.index = index,
                        .cpu = -1,
                        .snapshot = std::make_shared<ConfigSnapshot>(config_),
                        .features = features_here(),
                        .client_limit = &client_limit_,
                        .hubs = hubs,
                        .sockets = {{"test", listener}},
                        .log = &log_});
    EXPECT_EQ(worker_->start(), "");
    EXPECT_EQ(worker_->serve([] {}), "");
  }
  ~TestWorker() { stop(); }
  TestWorker(const TestWorker&) = delete;
  TestWorker& operator=(const TestWorker&) = delete;

  uint16_t port() const { return port_; }
  Wire connect() const { return Wire::connect_to(port_); }

  // Runs on the worker's thread; returns its result.
  template <typename Get>
  auto ask(Get get) {
    using Result = decltype(get(std::declval<Gateway&>()));
    std::promise<Result> promise;
    std::future<Result> result = promise.get_future();
    EXPECT_TRUE(worker_->post([&](Gateway& gateway) { promise.set_value(get(gateway)); }));
    return result.get();
  }

  void post(std::function<void(Gateway&)> message) {
    EXPECT_TRUE(worker_->post(std::move(message)));
  }
  // False: it has stopped.
  bool tell_hub_news() {
    return worker_->post([](Gateway& gateway) { gateway.on_hub_news(); });
  }
  // Until it has ended by itself.
  void join() { worker_->join(); }
  // Aborts what is left, and joins.
  void stop() {
    if (!worker_) return;
    worker_->post([](Gateway& gateway) { gateway.abort_all(); });
    worker_->join();
    worker_.reset();
  }
  LogQueue& log() { return log_; }
  // The lines of the log, after stop().
  std::string access_lines() {
    std::string messages;
    std::string access;
    log_.pop_all(messages, access, access);
    return access;
  }

 private:
  Config config_;
  ClientLimit client_limit_{1000};
  LogQueue log_;
  uint16_t port_ = 0;
  std::unique_ptr<Worker> worker_;
};

}  // namespace sluice::test
