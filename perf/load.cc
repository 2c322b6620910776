// The load generator: one process, one thread, one epoll loop, thousands of clients of an origin
// (perf/origin.cc), directly or through a gateway. Each client checks every event that arrives
// (perf/event_check.h). The exit status is 0 only if events came and nothing was wrong with them.

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <sys/epoll.h>

#include "core/clock.h"
#include "perf/event_check.h"
#include "perf/http_message.h"
#include "perf/load_options.h"
#include "perf/load_report.h"
#include "perf/packed_body.h"
#include "perf/socket.h"
#include "perf/stream_spec.h"
#include "perf/timer_wheel.h"

namespace sluice::perf {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kHeadBytesMax = 64 * 1024;
constexpr uint64_t kWheelTickNs = kNsPerMs;
constexpr uint64_t kRetryNs = 100 * kNsPerMs;     // after a failed connect or a refusal
constexpr uint64_t kSlowReadNs = 100 * kNsPerMs;  // between the reads of a slow client

volatile std::sig_atomic_t g_interrupted = 0;
void on_signal(int) {
  g_interrupted = 1;
}

class Load;

struct Client final : TimerOwner {
  Client(Load& of, Decoders& decoders) : load(of), packed(decoders) {}
  void on_timer() override;

  enum class State : uint8_t { kClosed, kConnecting, kSending, kHead, kBody, kDone };

  Load& load;
  int fd = -1;
  State state = State::kClosed;
  uint32_t interest = 0;
  bool keep_alive = true;
  std::string out;  // what is left of the request
  std::string head;
  BodyDecoder body;
  PackedBody packed;  // in that body
  EventChecker checker;
  uint64_t requested_ns = 0;
  Timer timer{this};  // retry, slow read or leave, by mode and state
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        address_(address_of(options.connect)),
        wheel_(kWheelTickNs, monotonic_ns()),
        random_(options.seed),
        read_bytes_(read_bytes(options)),
        buffer_(std::make_unique<char[]>(kReadBytes)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll_create1", errno);
    while (clients_.size() < options.connections) clients_.emplace_back(*this, decoders_);
    report_.mode = options.mode_name;
    report_.target = options.target;
    report_.connections = options.connections;
    report_.whole_only = options.whole;
    report_.times.stall_min_ns = options.stall_min_ns;
  }

  const Report& run() {
    report_.begun_ns = monotonic_ns();
    report_.measured_from_ns = report_.begun_ns + options_.warmup_ns;
    const uint64_t deadline_ns = report_.begun_ns + options_.duration_ns;
    uint64_t now = report_.begun_ns;
    while (done_ < clients_.size() && now < deadline_ns && g_interrupted == 0) {
      open_due(now);
      turn(now);
      now = monotonic_ns();
      wheel_.advance(now);
      if (!measuring_ && now >= report_.measured_from_ns) {
        measuring_ = true;
        report_.warmup_events = report_.events.events;
      }
      if (!options_.quiet) show_progress(now);
    }
    report_.ended_ns = now;
    for (Client& client : clients_) {
      if (client.state == Client::State::kHead || client.state == Client::State::kBody) {
        ++report_.streams.unfinished;
      }
    }
    if (progress_shown_ && isatty(STDERR_FILENO) == 1) std::fputc('\n', stderr);
    return report_;
  }

  void on_timer(Client& client) {
    if (client.state == Client::State::kClosed) return open_connection(client);
    if (options_.mode == Mode::kVanish) return leave(client);
    if (options_.mode == Mode::kSlow && client.state == Client::State::kBody) {
      wheel_.schedule(client.timer, monotonic_ns() + kSlowReadNs);
      read_response(client);
    }
  }

 private:
  using State = Client::State;

  // --- the loop ---

  void turn(uint64_t now) {
    const uint64_t longest_ns = (opened_ < clients_.size() ? 1 : 200) * kNsPerMs;
    const timespec timeout{0, static_cast<long>(wheel_.idle_ns(now, longest_ns))};
    std::array<epoll_event, 512> events{};
    const int count =
        epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) die("epoll_pwait2", errno);
    for (int i = 0; i < count; ++i) {
      on_ready(*static_cast<Client*>(events[static_cast<size_t>(i)].data.ptr));
    }
  }

  // Opens the connections that the ramp allows by now.
  void open_due(uint64_t now) {
    const double elapsed_s =
        static_cast<double>(now - report_.begun_ns) / static_cast<double>(kNsPerS);
    const double allowed = elapsed_s * options_.ramp + 1;
    while (opened_ < clients_.size() && static_cast<double>(opened_) < allowed) {
      open_connection(clients_[opened_++]);
    }
  }

  void on_ready(Client& client) {
    switch (client.state) {
      case State::kConnecting:
        return on_connected(client);
      case State::kSending:
        return send_request(client);
      case State::kHead:
      case State::kBody:
        return read_response(client);
      case State::kClosed:
      case State::kDone:
        return;
    }
  }

  static size_t read_bytes(const Options& options) {
    if (options.mode != Mode::kSlow) return kReadBytes;
    const uint64_t bytes = options.read_rate * kSlowReadNs / kNsPerS;
    return std::clamp<uint64_t>(bytes, 1, kReadBytes);
  }

  void set_interest(Client& client, int operation, uint32_t interest) const {
    if (operation == EPOLL_CTL_MOD && client.interest == interest) return;
    client.interest = interest;
    epoll_event event{};
    event.events = interest;
    event.data.ptr = &client;
    if (epoll_ctl(epoll_, operation, client.fd, &event) != 0) die("epoll_ctl", errno);
  }

  // --- connections ---

  void open_connection(Client& client) {
    if (options_.requests != 0 && report_.streams.started >= options_.requests) {
      return finish(client);
    }
    client.fd = open_stream_socket(address_.storage.ss_family);
    if (client.fd < 0) die("socket", errno);
    make_non_blocking(client.fd);
    if (options_.mode == Mode::kSlow) set_receive_buffer(client.fd, 16 * 1024);
    const int result = connect(client.fd, address_.sa(), address_.size);
    if (result != 0 && errno != EINPROGRESS) return on_connect_failure(client);
    client.state = State::kConnecting;
    set_interest(client, EPOLL_CTL_ADD, EPOLLOUT);
    if (options_.mode == Mode::kVanish) {
      std::uniform_int_distribution<uint64_t> stay_ns(0, 2 * options_.leave_after_ns);
      wheel_.schedule(client.timer, monotonic_ns() + stay_ns(random_));
    }
  }

  void on_connected(Client& client) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return on_connect_failure(client);
    ++report_.streams.connections;
    start_request(client);
  }

  void on_connect_failure(Client& client) {
    ++report_.streams.connect_failures;
    close_connection(client);
    wheel_.schedule(client.timer, monotonic_ns() + kRetryNs);
  }

  void close_connection(Client& client, bool reset = false) {
    wheel_.cancel(client.timer);
    if (reset) {
      close_with_reset(client.fd);
    } else {
      close(client.fd);
    }
    client.fd = -1;
    client.state = State::kClosed;
  }

  void finish(Client& client) {
    if (client.fd >= 0) close_connection(client);
    client.state = State::kDone;
    ++done_;
  }

  void leave(Client& client) {
    ++report_.streams.left;
    if (client.state == State::kBody) --streams_open_;
    close_connection(client, random_() % 2 == 0);
    open_connection(client);
  }

  // --- requests ---

  void start_request(Client& client) {
    if (options_.requests != 0 && report_.streams.started >= options_.requests) {
      return finish(client);
    }
    const auto id = static_cast<uint32_t>(++report_.streams.started);
    StreamSpec spec = options_.spec;
    spec.id = id;
    client.head.clear();
    client.requested_ns = monotonic_ns();
    client.checker.begin(spec, client.requested_ns);
    write_request(client, id);
    client.state = State::kSending;
    send_request(client);
  }

  void write_request(Client& client, uint32_t id) const {
    const bool post = options_.post_bytes >= 0;
    const char joint = options_.target.find('?') == std::string::npos ? '?' : '&';
    client.out = (post ? "POST " : "GET ") + options_.target + joint + "id=" + std::to_string(id) +
                 " HTTP/1.1\r\nHost: " + (address_.is_unix() ? "localhost" : options_.connect) +
                 "\r\nAccept: text/event-stream\r\n";
    if (!options_.accept_encoding.empty())
      client.out += "Accept-Encoding: " + options_.accept_encoding + "\r\n";
    if (options_.new_connections) client.out += "Connection: close\r\n";
    if (post) {
      const auto size = static_cast<size_t>(options_.post_bytes);
      client.out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(size) +
                    "\r\n\r\n" + std::string(size, ' ');
    } else {
      client.out += "\r\n";
    }
  }

  void send_request(Client& client) {
    const ssize_t count = send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) return end_stream(client, false);
    client.out.erase(0, static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (!client.out.empty()) return set_interest(client, EPOLL_CTL_MOD, EPOLLOUT);
    client.state = State::kHead;
    set_interest(client, EPOLL_CTL_MOD, EPOLLIN);
  }

  // --- responses ---

  void read_response(Client& client) {
    const ssize_t count = recv(client.fd, buffer_.get(), read_bytes_, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      const bool complete =
          count == 0 && client.state == State::kBody && client.body.complete_at_close();
      return end_stream(client, complete);
    }
    const std::string_view bytes(buffer_.get(), static_cast<size_t>(count));
    const uint64_t now = monotonic_ns();
    if (client.state == State::kBody) return take_body(client, bytes, now);
    client.head.append(bytes);
    while (client.state == State::kHead) {
      const size_t size = head_size(client.head);
      if (size == 0 && client.head.size() <= kHeadBytesMax) return;
      const std::string head = client.head.substr(0, size);
      client.head.erase(0, size);
      take_head(client, head);
    }
    if (client.state == State::kBody) take_body(client, client.head, now);
  }

  // Goes on to the body, stays for an interim response, or has the client try again.
  void take_head(Client& client, std::string_view head) {
    if (head.starts_with("HTTP/1.1 1")) return;
    if (!head.starts_with("HTTP/1.1 200") ||
        !client.body.begin(head, BodyDecoder::Kind::kUntilClose)) {
      return refuse(client);
    }
    const auto coding = find_field(head, "content-encoding");
    if (coding && !client.packed.begin(*coding)) return refuse(client);
    if (!coding) client.packed.begin_plain();
    // Who measures packed streams wants to know of those that are not.
    if (!coding && !options_.accept_encoding.empty()) ++report_.streams.plain;
    const auto option = find_field(head, "connection");
    const bool last = option && equals_ignoring_case(*option, "close");
    client.keep_alive = !options_.new_connections && !last;
    client.state = State::kBody;
    if (options_.mode == Mode::kSlow) {
      set_interest(client, EPOLL_CTL_DEL, 0);  // the timer reads, and sees the end too
      wheel_.schedule(client.timer, monotonic_ns() + kSlowReadNs);
    }
    if (++streams_open_ == clients_.size() && !all_open_) {
      all_open_ = true;
      std::fprintf(stderr, "load: all %zu streams open\n", streams_open_);
    }
  }

  void take_body(Client& client, std::string_view bytes, uint64_t now) {
    EventTimes* times = measuring_ ? &report_.times : nullptr;
    bool readable = true;
    auto take_plain = [&](std::string_view plain) {
      client.checker.feed(plain, now, report_.events, times);
    };
    client.body.feed(
        bytes,
        [&](std::string_view span) {
          report_.body_bytes += span.size();
          if (!client.packed.packed())
            take_plain(span);
          else
            readable = readable && client.packed.feed(span, take_plain);
        },
        [&] {
          if (!client.packed.packed()) client.checker.on_chunk_end();
        });
    if (client.body.failed() || !readable) return end_stream(client, false);
    if (client.body.done()) end_stream(client, client.packed.whole());
  }

  void refuse(Client& client) {
    ++report_.streams.refused;
    close_connection(client);
    wheel_.schedule(client.timer, monotonic_ns() + kRetryNs);
  }

  void end_stream(Client& client, bool clean) {
    StreamCounts& streams = report_.streams;
    const bool meant_clean = options_.spec.ending == StreamSpec::Ending::kClean;
    if (client.state == State::kBody) --streams_open_;
    if (clean) {
      ++(meant_clean && options_.spec.count != 0 ? streams.clean : streams.ended_wrongly);
      client.checker.finish_clean(report_.events);
      if (measuring_) report_.request.record(monotonic_ns() - client.requested_ns);
    } else {
      ++(meant_clean ? streams.aborted : streams.aborted_rightly);
    }
    if (!options_.repeats()) return finish(client);
    if (clean && client.keep_alive) return start_request(client);
    close_connection(client);
    open_connection(client);
  }

  // --- progress ---

  void show_progress(uint64_t now) {
    const bool terminal = isatty(STDERR_FILENO) == 1;
    if (now < next_progress_ns_) return;
    const uint64_t period_ns = (terminal ? 1 : 5) * kNsPerS;
    if (next_progress_ns_ != 0) {
      const EventCounts& events = report_.events;
      const double rate = static_cast<double>(events.events - progress_events_) * 1e9 /
                          static_cast<double>(now - progress_ns_);
      std::fprintf(stderr,
                   "%sload: %3.0f s, %zu streams open, %.0f events/s, p50 %.2f p99 %.2f ms, "
                   "%llu wrong%s",
                   terminal ? "\r\033[K" : "", static_cast<double>(now - report_.begun_ns) / 1e9,
                   streams_open_, rate,
                   static_cast<double>(report_.times.latency.quantile(0.5)) / 1e6,
                   static_cast<double>(report_.times.latency.quantile(0.99)) / 1e6,
                   static_cast<unsigned long long>(events.wrong() + report_.streams.wrong()),
                   terminal ? "" : "\n");
      progress_shown_ = true;
    }
    progress_events_ = report_.events.events;
    progress_ns_ = now;
    next_progress_ns_ = now + period_ns;
  }

  Options options_;
  Address address_;
  int epoll_ = -1;
  NsTimerWheel wheel_;
  std::mt19937_64 random_;
  size_t read_bytes_;  // of one read
  std::unique_ptr<char[]> buffer_;
  MemoryLimit unlimited_{.bytes_max = UINT64_MAX};
  Decoders decoders_{unlimited_};
  std::deque<Client> clients_;
  size_t opened_ = 0;  // by the ramp
  size_t done_ = 0;
  size_t streams_open_ = 0;
  bool all_open_ = false;  // has been the case once
  bool measuring_ = false;
  Report report_;
  bool progress_shown_ = false;
  uint64_t next_progress_ns_ = 0;
  uint64_t progress_ns_ = 0;
  uint64_t progress_events_ = 0;
};

void Client::on_timer() {
  load.on_timer(*this);
}

int run(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  raise_file_limit();
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  if (options.mode == Mode::kVanish) {
    std::fprintf(stderr, "load: --seed %llu\n", static_cast<unsigned long long>(options.seed));
  }
  auto load = std::make_unique<Load>(options);
  const Report& report = load->run();
  if (options.json != "-") print_table(report, stdout);
  if (!options.json.empty()) {
    std::FILE* out = options.json == "-" ? stdout : std::fopen(options.json.c_str(), "w");
    if (out == nullptr) die(options.json, errno);
    print_json(report, out);
    if (std::fflush(out) != 0 || (out != stdout && std::fclose(out) != 0)) die(options.json, errno);
  }
  return report.passed() ? 0 : 1;
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  return sluice::perf::run(argc, argv);
}
