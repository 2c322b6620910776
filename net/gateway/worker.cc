#include "net/gateway/worker.h"

#include <cerrno>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <utility>

#include "core/ring.h"
#include "core/socket.h"
#include "core/units.h"
#include "net/base/limits.h"
#include "net/dns/cares_resolver.h"
#include "pool/chain.h"

namespace sluice {

namespace {

constexpr uint16_t kSseEventGroup = 0;
constexpr uint16_t kHttpMessageGroup = 1;
constexpr uint16_t kJsonGroup = 2;  // not a buffer group of the ring

SlotPool::Options pool_options(const char* name, uint16_t group, const PoolSettings& settings) {
  return {name, group, static_cast<uint32_t>(settings.slot_bytes),
          static_cast<uint32_t>(settings.slots)};
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

std::string describe(const SlotPool& sse_event, const SlotPool& http_message) {
  uint64_t bytes = sse_event.bytes() + http_message.bytes();
  std::string text = format_size(bytes) + " of slots a worker in ";
  text += page_kind_name(sse_event.first_region().pages());
  bool registered =
      sse_event.first_region().registered() && http_message.first_region().registered();
  if (registered) return text + ", registered";
  int error = sse_event.first_region().register_error();
  if (error == 0) error = http_message.first_region().register_error();
  if (error == ENOMEM)
    return text + ", not registered: RLIMIT_MEMLOCK is too small (ulimit -l, LimitMEMLOCK)";
  return text + ", not registered";
}

}  // namespace

Worker::~Worker() {
  join();
}

std::string Worker::start() {
  thread_ = std::thread([this] {
    run();
    stopped_.store(true, std::memory_order_release);
    if (on_stopped_) on_stopped_();
  });
  return ring_made_.get_future().get();
}

std::string Worker::serve(std::function<void()> on_stopped) {
  on_stopped_ = std::move(on_stopped);
  go_.set_value(true);
  return serving_.get_future().get();
}

bool Worker::post(std::function<void(Gateway&)> message) {
  if (stopped_.load(std::memory_order_acquire)) return false;
  mailbox_.post([this, run = std::move(message)] {
    if (gateway_) run(*gateway_);
  });
  return true;
}

void Worker::join() {
  // Never told to serve: the thread ends without.
  if (thread_.joinable() && !on_stopped_) go_.set_value(false);
  if (thread_.joinable()) thread_.join();
  for (const ListeningSocket& socket : std::exchange(options_.sockets, {}))
    close_socket(socket.fd);  // did not come to serve
}

void Worker::run() {
  std::string name = "sluice/" + std::to_string(options_.index);
  pthread_setname_np(pthread_self(), name.c_str());
  if (options_.cpu >= 0) pin_to(options_.cpu);
  // On this thread: a ring has one issuer, and memory is first touched where it is used.
  std::string error;
  std::unique_ptr<Ring> ring = Ring::create(options_.features, &error);
  ring_made_.set_value(error);
  bool go = go_.get_future().get();
  if (ring && go) serve_until_drained(*ring);
}

void Worker::serve_until_drained(Ring& ring) {
  const Config& config = options_.snapshot->config();
  Loop loop(ring);
  std::optional<uint64_t> budget_ns = config.latency_budget_us;
  if (budget_ns) *budget_ns *= 1000;
  loop.set_latency_budget(LatencyBudget(budget_ns));
  MemoryLimit memory_limit;
  memory_limit.heap_max = config.pool_max / limits::kHeapFraction;
  memory_limit.bytes_max = config.pool_max - memory_limit.heap_max;
  SlotPool sse_event(loop, memory_limit,
                     pool_options("sse_event", kSseEventGroup, config.pool_sse_event));
  int sse_event_error = sse_event.ok() ? 0 : errno;
  SlotPool http_message(loop, memory_limit,
                        pool_options("http_message", kHttpMessageGroup, config.pool_http_message));
  SlotPool::Options json_options = pool_options("json", kJsonGroup, config.pool_json);
  json_options.receives = false;
  SlotPool json(loop, memory_limit, json_options);
  if (!sse_event.ok() || !http_message.ok()) {
    int error_number = sse_event_error != 0 ? sse_event_error : errno;
    std::string why = std::string("cannot set up the buffer pools: ") + std::strerror(error_number);
    if (error_number == ENOMEM)
      why +=
          "; raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK), or use --uring-disable fixed-buffers";
    serving_.set_value(why);
    return;
  }
  memory_facts_ = describe(sse_event, http_message);
  options_.features = ring.features();
  options_.features.fixed_buffers =
      sse_event.first_region().registered() && http_message.first_region().registered();
  options_.features.huge_pages = sse_event.first_region().pages() != PageKind::kNormal ||
                                 http_message.first_region().pages() != PageKind::kNormal;
  Memory memory{sse_event, http_message, {}, &json};
  MessageLog messages(*options_.log, config.log_level);
  CaresResolver resolver(loop, config.dns_servers);
  Gateway gateway(loop, memory, memory_limit, std::exchange(options_.snapshot, {}),
                  std::exchange(options_.sockets, {}), messages, *options_.log,
                  *options_.client_limit, resolver, options_.index, options_.hubs);
  gateway_ = &gateway;
  mailbox_.open(loop);
  serving_.set_value("");
  loop.run();
  resolver.close();
  stopped_.store(true, std::memory_order_release);
  // Cancelled operations complete, and messages on their way get their answers; then only the
  // mailbox's read is left.
  for (int turns = 0; loop.operations() > 1 && turns < 1000; ++turns) loop.turn(true);
  gateway_ = nullptr;
}

}  // namespace sluice
