// What an event costs with the kernel in it: a whole worker on a thread of its own forwards event
// streams between real loopback connections; this thread plays their upstreams and clients. Each
// round writes one 220-byte event to every stream and reads it at every client. The figures are
// the worker thread's own: CPU time (getrusage) per event, allocations, kernel entries. User and
// system time are told apart by the kernel's tick, so run it for seconds (--benchmark_min_time=5).
// The time column is a round of both threads, a latency of sorts. bench_relay is the same path
// without a kernel; perf/compare has the figures that are comparable with other proxies.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/check.h"
#include "core/log.h"
#include "core/socket.h"
#include "net/gateway/worker.h"
#include "perf/allocations.h"

namespace sluice::perf {
namespace {

constexpr size_t kEventBytes = 220;

constexpr std::string_view kGet =
    "GET /events HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n";
constexpr std::string_view kChat =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    "content-length: 15\r\n\r\n{\"stream\":true}";
// A chunk of OpenAI's: 244 bytes in a chunk of HTTP's.
constexpr std::string_view kDelta =
    "f4\r\n"
    R"(data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk",)"
    R"("created":1732000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":)"
    R"({"content":" streaming"},"logprobs":null,"finish_reason":null}],"usage":null})"
    "\n\n\r\n";
static_assert(kDelta.size() == 0xf4 + 6);

int listen_on_loopback(Address* address) {
  std::string error;
  *address = *parse_address("127.0.0.1:0", &error);
  const int fd = open_stream_socket(AF_INET);
  SLUICE_CHECK(bind(fd, address->sa(), address->size) == 0 && listen(fd, SOMAXCONN) == 0);
  address->size = local_address(fd, &address->storage);
  return fd;
}

// Blocks; a peer that is silent for 10 s is a failure, not a hang.
void set_deadline(int fd) {
  const timeval deadline{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
}

// A call again where it was interrupted: a thread that has had a ring may be, and calls with a
// deadline are then not restarted (signal(7)).
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

void write_all(int fd, std::string_view bytes) {
  const ssize_t size = retry([&] { return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
  SLUICE_CHECK(size == static_cast<ssize_t>(bytes.size()));
}

// One event; what frames it ends with it.
void read_event(int fd) {
  std::array<char, 4096> buffer;
  size_t size = 0;
  while (std::string_view(buffer.data(), size).find("\n\n") == std::string_view::npos) {
    const ssize_t more =
        retry([&] { return recv(fd, buffer.data() + size, buffer.size() - size, 0); });
    SLUICE_CHECK(more > 0);
    size += static_cast<size_t>(more);
  }
}

void read_head(int fd) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    char byte = 0;
    SLUICE_CHECK(retry([&] { return recv(fd, &byte, 1, 0); }) == 1);
    head += byte;
  }
}

// What the worker's thread has used and done.
struct Usage {
  double user_ns = 0;
  double system_ns = 0;
  uint64_t allocations = 0;
  uint64_t events = 0;
  uint64_t enters = 0;
};

double ns_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
}

class Rig {
 public:
  explicit Rig(size_t streams, const StreamSettings& settings = {},
               std::string_view request = kGet) {
    Address upstream_address;
    const int upstream_listener = listen_on_loopback(&upstream_address);
    config_.routes.push_back({.path = "/",
                              .upstreams = {{"http://" + upstream_address.text(),
                                             upstream_address.text(), upstream_address}},
                              .settings = settings});
    Address address;
    const int listener = listen_on_loopback(&address);
    Features features;
    std::string error;
    SLUICE_CHECK(Ring::probe(Features{}, &features, &error));
    worker_ = std::make_unique<Worker>(
        Worker::Options{.index = 0,
                        .cpu = -1,
                        .snapshot = std::make_shared<ConfigSnapshot>(config_),
                        .features = features,
                        .client_limit = &client_limit_,
                        .sockets = {{"test", listener}},
                        .log = &log_});
    SLUICE_CHECK(worker_->start().empty());
    SLUICE_CHECK(worker_->serve([] {}).empty());
    while (clients_.size() < streams) open_stream(address, upstream_listener, request);
    close(upstream_listener);
  }
  ~Rig() {
    worker_->post([](Gateway& gateway) { gateway.abort_all(); });
    worker_->join();
    for (int fd : clients_) close(fd);
    for (int fd : upstreams_) close(fd);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // One event on every stream, from end to end.
  void round(std::string_view chunk) {
    for (int fd : upstreams_) write_all(fd, chunk);
    for (int fd : clients_) read_event(fd);
  }

  Usage usage() {
    std::promise<Usage> promise;
    std::future<Usage> result = promise.get_future();
    SLUICE_CHECK(worker_->post([&promise](Gateway& gateway) {
      rusage used{};
      getrusage(RUSAGE_THREAD, &used);
      promise.set_value({.user_ns = ns_of(used.ru_utime),
                         .system_ns = ns_of(used.ru_stime),
                         .allocations = allocations_of_this_thread(),
                         .events = gateway.metrics().events,
                         .enters = gateway.loop().ring().counters().enters});
    }));
    return result.get();
  }

 private:
  void open_stream(const Address& address, int upstream_listener, std::string_view request) {
    const int client = open_stream_socket(AF_INET);
    set_deadline(client);
    SLUICE_CHECK(retry([&] { return connect(client, address.sa(), address.size); }) == 0);
    write_all(client, request);
    const int upstream =
        retry([&] { return accept4(upstream_listener, nullptr, nullptr, SOCK_CLOEXEC); });
    SLUICE_CHECK(upstream >= 0);
    set_deadline(upstream);
    set_no_delay(upstream);
    read_head(upstream);
    write_all(upstream,
              "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
              "transfer-encoding: chunked\r\n\r\n");
    read_head(client);
    clients_.push_back(client);
    upstreams_.push_back(upstream);
  }

  Config config_;
  ClientLimit client_limit_{100'000};
  LogQueue log_;
  std::unique_ptr<Worker> worker_;
  std::vector<int> clients_;
  std::vector<int> upstreams_;
};

std::string chunk_of_event() {
  std::array<char, 16> size_line{};
  std::snprintf(size_line.data(), size_line.size(), "%zx\r\n", kEventBytes);
  return size_line.data() + ("data: " + std::string(kEventBytes - 8, 'x')) + "\n\n\r\n";
}

void run(benchmark::State& state, Rig& rig, std::string_view chunk) {
  for (int warm_up = 0; warm_up < 100; ++warm_up) rig.round(chunk);
  const Usage before = rig.usage();
  for (auto _ : state) rig.round(chunk);
  const Usage after = rig.usage();
  const auto events = static_cast<double>(after.events - before.events);
  state.counters["user_ns"] = (after.user_ns - before.user_ns) / events;
  state.counters["system_ns"] = (after.system_ns - before.system_ns) / events;
  // Less what asking for the usage itself has allocated on that thread: nothing.
  state.counters["allocs"] = static_cast<double>(after.allocations - before.allocations) / events;
  state.counters["enters"] = static_cast<double>(after.enters - before.enters) / events;
}

void relay_tcp(benchmark::State& state) {
  Rig rig(static_cast<size_t>(state.range(0)));
  run(state, rig, chunk_of_event());
}

// As bench_relay has them: passed on, looked at for their dialect, and counted as well.
void relay_chats(benchmark::State& state, DialectChoice dialect, bool usage) {
  StreamSettings settings;
  settings.dialect = dialect;
  settings.usage = usage;
  Rig rig(static_cast<size_t>(state.range(0)), settings, kChat);
  run(state, rig, kDelta);
}
void relay_tcp_chat(benchmark::State& state) {
  relay_chats(state, DialectChoice::kNone, false);
}
void relay_tcp_chat_dialect(benchmark::State& state) {
  relay_chats(state, DialectChoice::kAuto, false);
}
void relay_tcp_chat_usage(benchmark::State& state) {
  relay_chats(state, DialectChoice::kAuto, true);
}
BENCHMARK(relay_tcp_chat)->ArgName("streams")->Arg(64)->UseRealTime();
BENCHMARK(relay_tcp_chat_dialect)->ArgName("streams")->Arg(64)->UseRealTime();
BENCHMARK(relay_tcp_chat_usage)->ArgName("streams")->Arg(64)->UseRealTime();

BENCHMARK(relay_tcp)->ArgName("streams")->Arg(1)->Arg(64)->Arg(256)->UseRealTime();

}  // namespace
}  // namespace sluice::perf
