// The upstream of the load tests: an HTTP/1.1 server of event streams whose rate, size, count,
// bursts and ending are all in the request target (perf/stream_spec.h), with events that can be
// checked (perf/event.h). One epoll loop and one timer wheel a thread pace thousands of streams,
// each from a phase of its own. Request bodies are read and dropped; connections are kept alive.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "perf/event.h"
#include "perf/flags.h"
#include "perf/histogram.h"
#include "perf/http_message.h"
#include "perf/socket.h"
#include "perf/stream_spec.h"
#include "perf/timer_wheel.h"

namespace sluice::perf {
namespace {

constexpr char kUsage[] =
    "usage: origin [--listen ADDRESS] [--threads N] [--tick TIME]\n"
    "\n"
    "Serves event streams for load tests:\n"
    "  /stream?rate=20&size=220&count=1200&burst=1&id=1&end=clean|truncate|reset&ids=off|on\n"
    "  /llm?deltas=64&every=20&id=1&end=clean|truncate|reset\n"
    "\n"
    "  --listen ADDRESS  127.0.0.1:9000 (default; port 0: any) or unix:/path\n"
    "  --threads N       event loops, each with its own listener (default 1)\n"
    "  --tick TIME       resolution of the pacing (default 100us)\n";

constexpr size_t kHeadBytesMax = 64 * 1024;
constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kBatchBytes = 64 * 1024;  // events are written in batches of about that much
constexpr int kBatchesPerTurn = 4;         // of one stream, so that a fast one starves nobody

int g_stop_event = -1;

void on_signal(int) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(g_stop_event, &one, sizeof one);
}

struct Totals {
  uint64_t streams = 0;
  uint64_t completed = 0;
  uint64_t clients_gone = 0;
  uint64_t refused = 0;
  uint64_t events = 0;
  uint64_t bytes = 0;
  Histogram lag;  // how much later than due an unblocked stream's events were written

  void merge(const Totals& other) {
    streams += other.streams;
    completed += other.completed;
    clients_gone += other.clients_gone;
    refused += other.refused;
    events += other.events;
    bytes += other.bytes;
    lag.merge(other.lag);
  }
};

class Origin;

struct Connection final : TimerOwner {
  explicit Connection(Origin& of) : origin(of) {}
  void on_timer() override;

  enum class State : uint8_t { kHead, kBody, kStreaming, kClosed };

  Origin& origin;
  int fd = -1;
  State state = State::kHead;
  uint32_t interest = 0;
  bool keep_alive = true;
  bool blocked = false;   // the socket took less than was due
  bool finished = false;  // the last byte of the response is in `out` or sent
  std::string in;
  std::string out;  // what the socket has not taken
  BodyDecoder body;
  StreamSpec spec;
  uint64_t sequence = 0;
  uint64_t due_ns = 0;  // of the next burst
  Timer timer{this};
};

// One thread's server. Owns its connections and everything else it touches.
class Origin {
 public:
  Origin(int listener, uint64_t tick_ns) : listener_(listener), wheel_(tick_ns, monotonic_ns()) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll_create1", errno);
    make_non_blocking(listener_);
    watch(listener_, EPOLL_CTL_ADD, EPOLLIN, &listener_);
    watch(g_stop_event, EPOLL_CTL_ADD, EPOLLIN, &g_stop_event);
  }

  void run() {
    std::array<epoll_event, 512> events{};
    while (true) {
      const int count = wait(events);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        if (event.data.ptr == &g_stop_event) return;
        if (event.data.ptr == &listener_) {
          accept_all();
        } else {
          on_ready(*static_cast<Connection*>(event.data.ptr), event.events);
        }
      }
      wheel_.advance(monotonic_ns());
      closed_.clear();
    }
  }

  const Totals& totals() const { return totals_; }

  void on_due(Connection& connection) {
    totals_.lag.record(monotonic_ns() - connection.due_ns);
    resume_stream(connection);
  }

 private:
  int wait(std::array<epoll_event, 512>& events) const {
    const timespec timeout{0, static_cast<long>(wheel_.idle_ns(monotonic_ns(), kNsPerS - 1))};
    const int count =
        epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) die("epoll_pwait2", errno);
    return count;
  }

  void watch(int fd, int operation, uint32_t interest, void* who) const {
    epoll_event event{};
    event.events = interest;
    event.data.ptr = who;
    if (epoll_ctl(epoll_, operation, fd, &event) != 0) die("epoll_ctl", errno);
  }

  void set_interest(Connection& connection, uint32_t interest) const {
    if (connection.interest == interest) return;
    connection.interest = interest;
    watch(connection.fd, EPOLL_CTL_MOD, interest, &connection);
  }

  void accept_all() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EAGAIN) return;
        if (errno == ECONNABORTED || errno == EINTR) continue;
        die("accept", errno);
      }
      set_no_delay(fd);
      auto connection = std::make_unique<Connection>(*this);
      connection->fd = fd;
      connection->interest = EPOLLIN | EPOLLRDHUP;
      watch(fd, EPOLL_CTL_ADD, connection->interest, connection.get());
      if (connections_.size() <= static_cast<size_t>(fd)) {
        connections_.resize(static_cast<size_t>(fd) + 1);
      }
      connections_[static_cast<size_t>(fd)] = std::move(connection);
    }
  }

  // Closes now; the object lives until the end of the turn, since events may still name it.
  void close_connection(Connection& connection, bool reset) {
    wheel_.cancel(connection.timer);
    connection.state = Connection::State::kClosed;
    if (reset) {
      close_with_reset(connection.fd);
    } else {
      close(connection.fd);
    }
    closed_.push_back(std::move(connections_[static_cast<size_t>(connection.fd)]));
  }

  void on_ready(Connection& connection, uint32_t ready) {
    if (connection.state == Connection::State::kClosed) return;
    if (connection.state == Connection::State::kStreaming) {
      if ((ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) return on_client_gone(connection);
      if ((ready & EPOLLOUT) != 0) resume_stream(connection);
      return;
    }
    read_request(connection);
  }

  void on_client_gone(Connection& connection) {
    ++totals_.clients_gone;
    close_connection(connection, false);
  }

  void read_request(Connection& connection) {
    const size_t held = connection.in.size();
    connection.in.resize(held + kReadBytes);
    const ssize_t count = recv(connection.fd, connection.in.data() + held, kReadBytes, 0);
    connection.in.resize(held + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return close_connection(connection, false);
    take_requests(connection);
  }

  void take_requests(Connection& connection) {
    using State = Connection::State;
    while (connection.state == State::kHead || connection.state == State::kBody) {
      if (connection.state == State::kHead && !take_head(connection)) return;
      const auto ignore = [](auto&&...) {};
      connection.in.erase(0, connection.body.feed(connection.in, ignore, ignore));
      if (connection.body.failed()) return close_connection(connection, false);
      if (!connection.body.done()) return;
      start_response(connection);
    }
  }

  // True where a head was complete; the request's target is in target_ then.
  bool take_head(Connection& connection) {
    const size_t size = head_size(connection.in);
    if (size == 0) {
      if (connection.in.size() > kHeadBytesMax) close_connection(connection, false);
      return false;
    }
    const std::string_view head = std::string_view(connection.in).substr(0, size);
    const size_t target = head.find(' ') + 1;
    const size_t version = head.find(" HTTP/1.1\r\n");
    if (target == 0 || version == std::string_view::npos || version < target ||
        !connection.body.begin(head, BodyDecoder::Kind::kLength)) {
      close_connection(connection, false);
      return false;
    }
    std::string error;
    const std::string_view text = head.substr(target, version - target);
    if (auto spec = parse_stream_spec(text, &error)) {
      connection.spec = *spec;
      refusal_.clear();
    } else {
      refusal_ = error + "\n";
    }
    const auto option = find_field(head, "connection");
    connection.keep_alive = !option || !equals_ignoring_case(*option, "close");
    connection.sequence =
        connection.spec.ids ? sequence_behind(find_field(head, "last-event-id").value_or("")) : 0;
    if (find_field(head, "expect")) connection.out = "HTTP/1.1 100 Continue\r\n\r\n";
    connection.in.erase(0, size);
    connection.state = Connection::State::kBody;
    flush(connection);
    return connection.state == Connection::State::kBody;
  }

  void start_response(Connection& connection) {
    const char* option = connection.keep_alive ? "" : "Connection: close\r\n";
    connection.blocked = false;
    connection.finished = false;
    connection.state = Connection::State::kStreaming;
    set_interest(connection, EPOLLRDHUP);
    if (!refusal_.empty()) {
      ++totals_.refused;
      connection.out += "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: " +
                        std::to_string(refusal_.size()) + "\r\n" + option + "\r\n" + refusal_;
      connection.spec = StreamSpec{};
      connection.finished = true;
      return flush_and_end(connection);
    }
    ++totals_.streams;
    if (connection.spec.count != 0 && connection.sequence >= connection.spec.count) {
      connection.out += "HTTP/1.1 204 No Content\r\n";
      connection.out += option;
      connection.out += "\r\n";
      connection.finished = true;
      return flush_and_end(connection);
    }
    connection.out +=
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n";
    connection.out += option;
    connection.out += "\r\n";
    connection.due_ns = monotonic_ns();
    continue_stream(connection);
  }

  void resume_stream(Connection& connection) {
    continue_stream(connection);
    if (!connection.in.empty()) take_requests(connection);  // pipelined behind the stream
  }

  // Writes what is due, and waits for what stops it: the clock or the socket.
  void continue_stream(Connection& connection) {
    for (int batch = 0; batch < kBatchesPerTurn && !connection.finished; ++batch) {
      if (!flush(connection) || !connection.out.empty()) break;
      const uint64_t now = monotonic_ns();
      if (connection.spec.paced() && connection.due_ns > now) {
        connection.blocked = false;
        break;
      }
      append_due(connection, now);
    }
    if (connection.state == Connection::State::kStreaming) flush_and_end(connection);
  }

  void append_due(Connection& connection, uint64_t now) {
    const StreamSpec& spec = connection.spec;
    const bool paced = spec.paced();
    while (!connection.finished && connection.out.size() < kBatchBytes &&
           (!paced || connection.due_ns <= now)) {
      // What the socket has held up is stamped with the time at which it was due, so that a
      // gateway that stops reading cannot hide its delay.
      append_burst(connection, paced && connection.blocked ? connection.due_ns : now);
      if (paced) set_next_due(connection);
      if (connection.sequence == spec.count && spec.count != 0) append_ending(connection);
    }
    connection.blocked = false;
  }

  // The first burst goes out at once, the second at the stream's own phase within the period.
  static void set_next_due(Connection& connection) {
    const uint64_t period = connection.spec.period_ns();
    const bool spread = connection.sequence == connection.spec.burst &&
                        connection.spec.shape == StreamSpec::Shape::kEvents;
    const uint64_t golden = connection.spec.id * 2654435769U & 0xffffU;  // Knuth: well spread
    connection.due_ns += spread ? period * (golden + 1) / 0x10000U : period;
  }

  void append_burst(Connection& connection, uint64_t stamp_ns) {
    const StreamSpec& spec = connection.spec;
    uint64_t last = connection.sequence + spec.burst;
    if (spec.count != 0) last = std::min(last, spec.count);
    size_t size = 0;
    for (uint64_t i = connection.sequence; i < last; ++i) size += event_frame(spec, i).size();
    append_chunk_size(connection.out, size);
    const size_t at = connection.out.size();
    connection.out.resize(at + size);
    char* end = connection.out.data() + at;
    totals_.events += last - connection.sequence;
    totals_.bytes += size;
    while (connection.sequence < last) {
      end = write_event(spec, connection.sequence++, stamp_ns, end);
    }
    connection.out += "\r\n";
  }

  static void append_chunk_size(std::string& out, size_t size) {
    std::array<char, 24> text{};
    const int length = std::snprintf(text.data(), text.size(), "%zx\r\n", size);
    out.append(text.data(), static_cast<size_t>(length));
  }

  void append_ending(Connection& connection) {
    connection.finished = true;
    ++totals_.completed;
    const bool clean = connection.spec.ending == StreamSpec::Ending::kClean;
    if (!clean) return;
    if (connection.spec.shape == StreamSpec::Shape::kLlm) {
      append_chunk_size(connection.out, kLlmDone.size());
      connection.out += kLlmDone;
      connection.out += "\r\n";
    }
    connection.out += "0\r\n\r\n";
  }

  // Sends what is waiting. False: the connection is closed.
  bool flush(Connection& connection) {
    if (connection.out.empty()) return true;
    const ssize_t count =
        send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      on_client_gone(connection);
      return false;
    }
    connection.out.erase(0, static_cast<size_t>(std::max<ssize_t>(count, 0)));
    connection.blocked = connection.blocked || !connection.out.empty();
    return true;
  }

  void flush_and_end(Connection& connection) {
    if (!flush(connection)) return;
    if (!connection.out.empty() || (!connection.finished && !connection.spec.paced())) {
      return set_interest(connection, EPOLLOUT | EPOLLRDHUP);
    }
    if (!connection.finished) {
      set_interest(connection, EPOLLRDHUP);
      return wheel_.schedule(connection.timer, connection.due_ns);
    }
    const bool clean = connection.spec.ending == StreamSpec::Ending::kClean;
    if (!clean || !connection.keep_alive) {
      const bool reset = connection.spec.ending == StreamSpec::Ending::kReset;
      return close_connection(connection, reset);
    }
    connection.state = Connection::State::kHead;
    set_interest(connection, EPOLLIN | EPOLLRDHUP);
  }

  int listener_;
  int epoll_ = -1;
  NsTimerWheel wheel_;
  std::string refusal_;                                   // of the request that is being taken
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  std::vector<std::unique_ptr<Connection>> closed_;
  Totals totals_;
};

void Connection::on_timer() {
  origin.on_due(*this);
}

void print_totals(const Totals& totals) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us_per_event = [&](const timeval& time) {
    const double us = static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    return totals.events == 0 ? 0 : us / static_cast<double>(totals.events);
  };
  const auto ms = [&](double quantile) {
    return static_cast<double>(totals.lag.quantile(quantile)) / 1e6;
  };
  std::fprintf(stderr,
               "origin: streams %llu, completed %llu, clients gone %llu, refused %llu, "
               "events %llu, bytes %llu\n"
               "origin: lag ms p50 %.3f p99 %.3f max %.3f; cpu us/event user %.2f system %.2f\n",
               static_cast<unsigned long long>(totals.streams),
               static_cast<unsigned long long>(totals.completed),
               static_cast<unsigned long long>(totals.clients_gone),
               static_cast<unsigned long long>(totals.refused),
               static_cast<unsigned long long>(totals.events),
               static_cast<unsigned long long>(totals.bytes), ms(0.5), ms(0.99), ms(1),
               us_per_event(usage.ru_utime), us_per_event(usage.ru_stime));
}

int run(int argc, char** argv) {
  std::string listen_text = "127.0.0.1:9000";
  unsigned threads = 1;
  uint64_t tick_ns = 100'000;
  Flags flags(kUsage);
  flags.text("--listen", &listen_text);
  flags.number("--threads", &threads);
  flags.duration("--tick", &tick_ns);
  flags.parse(argc, argv);
  Address address = address_of(listen_text);
  if (threads < 1 || threads > 256) flags.fail("bad value for", "--threads");
  if (threads > 1 && address.is_unix()) flags.fail("a unix socket takes one thread:", "--threads");
  if (tick_ns == 0) flags.fail("bad value for", "--tick");

  raise_file_limit();
  g_stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (g_stop_event < 0) die("eventfd", errno);
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);

  std::vector<std::unique_ptr<Origin>> origins;
  for (unsigned i = 0; i < threads; ++i) {
    origins.push_back(std::make_unique<Origin>(listen_on(address), tick_ns));
  }
  if (!address.is_unix()) {
    const size_t host = listen_text.rfind(':');
    listen_text = listen_text.substr(0, host + 1) + std::to_string(address.port());
  }
  std::fprintf(stderr, "origin: listening on %s\n", listen_text.c_str());

  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(&Origin::run, origins[i].get());
  origins[0]->run();
  Totals totals;
  for (std::thread& other : others) other.join();
  for (const auto& origin : origins) totals.merge(origin->totals());
  print_totals(totals);
  return 0;
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  return sluice::perf::run(argc, argv);
}
