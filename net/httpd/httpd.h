// A small HTTP/1.1 server on epoll for work off the data path: the admin port and the demo
// upstream. Owned by main (or a test). It runs one thread of its own, on which every handler, timer
// and posted callback runs, so handlers need no locks and must not block. Routes are added before
// start(). HttpdLimits bounds everything that a peer can make grow. Allocation and std::function
// are fine here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/base/address.h"
#include "net/http/head.h"
#include "net/httpd/hosts.h"

namespace sluice {

struct HttpdLimits {
  size_t connections_max = 4096;  // more wait in the listen backlog
  // File descriptors of so many are held from the start, so that others cannot take them.
  size_t fds_held_back = 0;
  // Or: at the limit, the most dispensable connection is closed for a new one.
  bool idle_give_way = false;
  size_t head_bytes_max = 16 * 1024;         // 431
  size_t body_bytes_max = 16 * 1024 * 1024;  // 413
  size_t input_bytes_max = 64 * 1024;        // pipelined bytes held while a response is open
  size_t stream_pause_bytes = 64 * 1024;     // unsent: the stream's timer waits
  size_t stream_bytes_max = 1024 * 1024;     // unsent: the client is dropped
  // Unsent, of all connections together: the slowest clients are dropped first. One answer alone
  // may be larger.
  size_t unsent_bytes_max = 512 * 1024 * 1024;
  uint64_t head_timeout_ms = 10'000;   // whole head, and a new connection's first byte
  uint64_t body_timeout_ms = 10'000;   // without progress
  uint64_t write_timeout_ms = 30'000;  // without progress
  uint64_t idle_timeout_ms = 75'000;   // between requests
  uint64_t linger_timeout_ms = 2'000;  // for the peer's close after our last byte
};

// The views are valid until the handler returns.
struct HttpdRequest {
  const Head& head;
  std::string_view path;   // as sent, not decoded
  std::string_view query;  // behind the '?', as sent
  std::string_view body;

  std::optional<std::string_view> header(std::string_view name) const { return head.find(name); }
  // A query parameter's value, not decoded.
  std::optional<std::string_view> parameter(std::string_view name) const;
  // The same, decoded; nullopt also where it is no such text.
  std::optional<std::string> decoded_parameter(std::string_view name) const;
};

// The answer to one request: either respond() or problem() once, or begin_stream(), write()..., and
// end() or abort(). A copyable handle, for the server's thread only. Once the exchange is over, or
// the client has gone, every call on it does nothing. A HEAD gets the head alone, by itself.
class HttpdResponder {
 public:
  using Clock = std::chrono::steady_clock;
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

  void respond(int status, std::string_view content_type, std::string_view body,
               const Fields& fields = {}) const;
  // application/problem+json (RFC 9457). `detail` is one plain ASCII sentence.
  void problem(int status, std::string_view detail, const Fields& fields = {}) const;

  // Chunked to an HTTP/1.1 client, delimited by close to an HTTP/1.0 one.
  void begin_stream(std::string_view content_type, const Fields& fields = {}) const;
  void write(std::string_view bytes) const;
  void end() const;
  // Sends the written bytes, then closes without the end of the message.
  void abort() const;

  // Runs `callback` at `due`, or later if the client reads slowly; never once the exchange is over.
  // One timer an exchange: a second replaces the first.
  void at(Clock::time_point due, std::function<void()> callback) const;
  void after_ms(uint64_t delay_ms, std::function<void()> callback) const;

  // False once the exchange is over or the client has gone.
  bool open() const;

 private:
  friend class HttpdLoop;
  HttpdResponder(class HttpdLoop* loop, uint64_t connection, uint64_t exchange)
      : loop_(loop), connection_(connection), exchange_(exchange) {}

  class HttpdLoop* loop_;
  uint64_t connection_;
  uint64_t exchange_;
};

using HttpdHandler = std::function<void(const HttpdRequest&, HttpdResponder)>;

class Httpd {
 public:
  struct Route {
    std::string method;
    std::string path;
    HttpdHandler handler;
  };

  // The fds that it holds beside connections: epoll, listener, wake-up, and one connection that is
  // being accepted.
  static constexpr uint64_t kOwnFds = 4;

  explicit Httpd(const HttpdLimits& limits = {});
  ~Httpd();
  Httpd(const Httpd&) = delete;
  Httpd& operator=(const Httpd&) = delete;

  // Before start(). `path` matches exactly. A GET handler also answers HEAD; a known path with
  // another method is 405 with Allow, an unknown path 404.
  void route(std::string method, std::string path, HttpdHandler handler);

  // Before start(). A request for a host that is neither loopback, nor the address that its client
  // connected to, nor one of these names gets 421, whatever its path. `advice` tells the name's
  // rightful owner what to do, in one plain ASCII sentence.
  void restrict_hosts(const std::vector<std::string>& names, std::string advice) {
    hosts_.emplace(names);
    hosts_advice_ = std::move(advice);
  }

  // Binds, listens and starts the thread, which takes `thread_name` (at most 15 characters). "", or
  // the reason why not.
  [[nodiscard]] std::string start(const Address& address, const char* thread_name);
  // Drops every connection and joins. Not from the server's own thread. Idempotent.
  void stop();

  // The address of the listener, with the port that the kernel chose for port 0.
  const Address& address() const { return address_; }

  // Connections closed because we, or the kernel, lacked some resource. Any thread.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  // Runs `callback` on the server's thread soon, or never if the server stops first. From any
  // thread, at any time.
  void post(std::function<void()> callback);

 private:
  friend class HttpdLoop;
  void wake() const;

  HttpdLimits limits_;
  std::vector<Route> routes_;
  std::optional<HttpdHosts> hosts_;
  std::string hosts_advice_;
  Address address_;
  int wake_fd_;
  std::unique_ptr<HttpdLoop> loop_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> dropped_{0};
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace sluice
