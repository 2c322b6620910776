// What tests of connections share: a connection that only tells what happens to it, with a peer
// that never blocks; a worker between clients and an upstream, and messages to send.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/gateway/gateway.h"
#include "net/stream/outbox.h"
#include "net/transport/conn.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {

// What a connection told; outlives it.
struct ConnLog {
  std::string received;
  std::vector<Lease> leases;  // of the bytes, where the connection keeps them
  std::vector<int> receive_ends;
  std::vector<int> connects;
  std::vector<int> send_errors;
  unsigned short_sends = 0;
  unsigned parts_sent = 0;  // of sealed bytes
  unsigned hang_ups = 0;
  unsigned closes = 0;
  bool deleted = false;
};

class TestConn final : public Conn {
 public:
  TestConn(Memory& memory, ConnStart start, ConnLog& log)
      : Conn(memory, std::move(start)), response(memory, memory.http_message), log_(log) {}
  ~TestConn() override { log_.deleted = true; }

  // Lets it receive so many bytes.
  void grant(uint64_t bytes) {
    credit = bytes;
    wake();
  }
  using Conn::linger;
  using Conn::open;
  using Conn::receive_in_flight;
  using Conn::send_still_since_ms;
  const Timer& timer() const { return timer_; }

  uint64_t credit = 0;
  uint32_t watched = 0;
  bool keeps_leases = false;
  bool ends_with_response = false;
  bool stays_after_send_error = false;
  Outbox response;

  void on_timer() override { close(CloseMode::kOrderly); }

 private:
  void on_bytes(const Lease& lease, std::string_view bytes, uint64_t /*after_ms*/) override {
    log_.received += bytes;
    if (keeps_leases) log_.leases.push_back(lease);
    credit -= std::min<uint64_t>(credit, bytes.size());
  }
  void on_receive_end(int error) override { log_.receive_ends.push_back(error); }
  void on_connected(int error) override {
    log_.connects.push_back(error);
    wake();
  }
  void on_sent(uint64_t bytes) override {
    response.sent(bytes);
    log_.parts_sent += bytes == 0 ? 1 : 0;
    log_.short_sends += response.batch_under_way() ? 1 : 0;
  }
  void on_send_error(int error) override {
    log_.send_errors.push_back(error);
    if (!stays_after_send_error) close(CloseMode::kOrderly);
  }
  void on_hang_up(uint32_t) override { ++log_.hang_ups; }
  void on_closed() override { ++log_.closes; }
  bool has_output() override { return response.has_work(); }
  size_t build_batch(std::span<iovec> pieces) override { return response.build(pieces); }
  bool batch_ends_sending() override { return ends_with_response && response.batch_is_last(); }
  uint64_t receive_credit() override { return credit; }
  SlotPool& receive_pool() override { return memory_.http_message; }
  uint32_t watch_events() override { return watched; }

  ConnLog& log_;
};

// The other end.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { hang_up(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // The bytes that the socket took.
  size_t send(std::string_view bytes) const {
    ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // Takes what has arrived, or so much of it.
  void receive(size_t bytes_max = SIZE_MAX) {
    std::array<char, 4096> buffer{};
    while (bytes_max > 0 && !end) {
      ssize_t n = recv(fd_, buffer.data(), std::min(bytes_max, buffer.size()), MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n <= 0)
        end = n == 0 ? 0 : errno;
      else
        received.append(buffer.data(), static_cast<size_t>(n));
      if (n > 0) bytes_max -= static_cast<size_t>(n);
    }
  }
  bool ended() {
    receive();
    return end.has_value();
  }
  void shut_down_sending() const { shutdown_sending(fd_); }
  void reset() {
    reset_on_close(fd_);
    hang_up();
  }
  void hang_up() {
    if (fd_ >= 0) close_socket(std::exchange(fd_, -1));
  }

  std::string received;
  std::optional<int> end;  // 0 for a FIN, else the errno

 private:
  int fd_;
};

inline std::string get(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nhost: test\r\n" + std::string(fields) +
         "\r\n";
}

inline std::string ok(std::string_view body, std::string_view fields = "") {
  return "HTTP/1.1 200 OK\r\n" + std::string(fields) +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// A worker between the test's clients and the test's upstream.
class Between {
 public:
  explicit Between(const std::function<void(StreamSettings&)>& adjust = [](StreamSettings&) {})
      : worker(config(upstreams.port(), adjust)) {}

  // Until it is so on the worker's thread, for some seconds at most.
  template <typename Condition>
  void await(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    bool holds = worker.ask(condition);
    while (!holds && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
      holds = worker.ask(condition);
    }
    ASSERT_TRUE(holds);
  }
  Metrics metrics() {
    return worker.ask([](Gateway& gateway) { return gateway.metrics(); });
  }
  void await_ending(Ending ending, uint64_t count = 1) {
    await([=](Gateway& gateway) {
      return gateway.metrics().endings[static_cast<unsigned>(ending)] == count;
    });
  }
  void await_client_closed() {
    await([](Gateway& gateway) { return gateway.metrics().client_connections_closed == 1; });
  }
  // Connections to the upstream: all, and those of them that are idle.
  void await_upstreams(size_t connections, size_t idle) {
    await([=](Gateway& gateway) {
      return gateway.upstreams().connections() == connections && gateway.upstreams().idle() == idle;
    });
  }
  void await_phase(Phase phase, size_t streams) {
    await([=](Gateway& gateway) {
      std::vector<StreamInfo> infos;
      gateway.list_streams(infos);
      auto in_phase = [=](const StreamInfo& info) { return info.phase == phase_name(phase); };
      return static_cast<size_t>(std::count_if(infos.begin(), infos.end(), in_phase)) == streams;
    });
  }

  // A client whose request has reached the upstream, on a connection of its own.
  struct Exchange {
    Wire client;
    Wire upstream;

    // The upstream answers with `body`, which the client reads.
    void finish(std::string_view body) {
      upstream.send(ok(body));
      std::string answer = client.receive_through("\r\n\r\n" + std::string(body));
      EXPECT_EQ(answer.find("HTTP/1.1 200 OK\r\n"), 0U) << answer;
    }
  };
  Exchange exchange(std::string_view target) {
    Wire client = worker.connect();
    client.send(get(target));
    Wire upstream = upstreams.accept();
    expect_request(upstream, target);
    return {std::move(client), std::move(upstream)};
  }
  // The next request on this connection is one for that target.
  static void expect_request(Wire& upstream, std::string_view target) {
    std::string head = upstream.receive_through("\r\n\r\n");
    std::string expected = " " + std::string(target) + " HTTP/1.1\r\n";
    EXPECT_NE(head.substr(0, head.find('\n') + 1).find(expected), std::string::npos)
        << "not " << target << ": " << head;
  }

  Upstreams upstreams;
  TestWorker worker;

 private:
  static Config config(uint16_t upstream_port, const std::function<void(StreamSettings&)>& adjust) {
    Config config = config_to(upstream_port);
    adjust(config.routes[0].settings);
    return config;
  }
};

}  // namespace sluice::test
