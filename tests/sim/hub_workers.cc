#include "tests/sim/hub_workers.h"

#include <algorithm>
#include <string>
#include <utility>

namespace sluice::sim {

namespace {

constexpr uint64_t kHeap = uint64_t{16} << 20;
constexpr uint64_t kLateMailNsMax = 30 * kMillisecond;
constexpr uint64_t kMailNsMax = 300 * kMicrosecond;
constexpr uint64_t kLagNsMax = 200 * kMillisecond;

uint64_t next_timer_ns(Loop& loop) {
  uint64_t tick = loop.timers().next_tick();
  return tick == TimerWheel::kNever ? kNever : tick * kMillisecond;
}

}  // namespace

HubWorkers::HubWorkers(World& world, const Options& options, const Features& features)
    : world_(world),
      options_(options),
      features_(features),
      hubs_(std::make_unique<HubProcess>(options.workers, /*home=*/0, options.lanes)) {}

void HubWorkers::serve() {
  for (unsigned number = 0; number < options_.workers; ++number) {
    Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
    worker.kernel = std::make_unique<Kernel>(world_, options_.liberties);
    worker.kernel->never_wait();
    worker.kernel->on_connect = [](uint16_t) -> Kernel::Answer {
      violation("a hub connects to somebody");
    };
    worker.gateway =
        std::make_unique<CheckedGateway>(world_, *worker.kernel, options_.config, features_,
                                         100'000, kHeap, NamesWeather{}, number, hubs_.get());
    worker.gateway->drive = [this] { turn(); };
  }
  hubs_->set_waker([this](unsigned number) { return post(number); });
}

HubWorkers::~HubWorkers() {
  if (!ended()) violation("a process ends before its workers");
}

void HubWorkers::close() {
  hubs_->silence_stores();
  hubs_.reset();
}

CheckedGateway& HubWorkers::enter(Worker& worker) {
  worker.kernel->install();
  return *worker.gateway;
}

// It travels for a while, and comes in a turn of the worker's.
bool HubWorkers::post(unsigned number) {
  if (!workers_[number]->gateway) return false;
  uint64_t most_ns = options_.lags > 0 ? kLateMailNsMax : kMailNsMax;
  world_.after(world_.random.magnitude(1, most_ns), [this, number] {
    Worker& worker = *workers_[number];
    if (!worker.gateway) return;
    Loop& loop = worker.gateway->loop();
    loop.timers().schedule(worker.mail, loop.now_ms());
  });
  return true;
}

void HubWorkers::connect(unsigned worker, std::shared_ptr<Connection> connection) {
  Worker& to = *workers_[worker];
  if (to.gateway)
    to.kernel->connect_client(to.gateway->listener(), std::move(connection));
  else
    connection->close_gateway_end(true);
}

bool HubWorkers::has_work(Worker& worker) {
  if (!worker.gateway || world_.now_ns() < worker.lags_until_ns) return false;
  Loop& loop = worker.gateway->loop();
  return worker.kernel->go_on() || loop.turns_again() || next_timer_ns(loop) <= world_.now_ns();
}

void HubWorkers::turn() {
  std::vector<Worker*> ready;
  for (auto& worker : workers_)
    if (has_work(*worker)) ready.push_back(worker.get());
  if (ready.empty()) {
    uint64_t next_ns = world_.next_ns();
    for (auto& worker : workers_) {
      if (!worker->gateway) continue;
      next_ns = std::min(next_ns, worker->lags_until_ns > world_.now_ns()
                                      ? worker->lags_until_ns
                                      : next_timer_ns(worker->gateway->loop()));
    }
    if (next_ns == kNever) violation("nothing will ever happen any more");
    world_.advance_to(std::max(next_ns, world_.now_ns()));
    return;
  }
  Random& random = world_.random;
  Worker& one = *ready[random.between(0, ready.size() - 1)];
  enter(one).turn();
  ++turns_;
  // Not again at once, so that there are bounds for what it owes.
  bool may_lag = options_.lags > 0 && world_.now_ns() > one.lags_until_ns + kSecond;
  if (may_lag && random.chance(options_.lags))
    one.lags_until_ns = world_.now_ns() + random.magnitude(1, kLagNsMax);
  if (draining_) end_those_that_are_over();
}

// As a worker's thread does (net/gateway/worker.cc); whoever may still be asked stays.
void HubWorkers::end_those_that_are_over() {
  for (unsigned number = 0; number < count(); ++number) {
    Worker& worker = *workers_[number];
    if (!worker.gateway || !worker.gateway->over() || !hubs_->may_end(number)) continue;
    world_.trace("worker %u ends", number);
    enter(worker).stop();
    worker.gateway->loop().timers().cancel(worker.mail);
    worker.gateway.reset();
  }
}

bool HubWorkers::ended() const {
  return std::ranges::none_of(workers_,
                              [](const auto& worker) { return worker->gateway != nullptr; });
}

// All that serve.
template <typename Tell>
void HubWorkers::tell_all(Tell tell) {
  for (auto& worker : workers_) {
    if (!worker->gateway) continue;
    tell(enter(*worker));
    worker->kernel->wake();
  }
}

void HubWorkers::reload(const Config& config) {
  tell_all([&config](CheckedGateway& gateway) { gateway.reload(config); });
}

void HubWorkers::drain() {
  draining_ = true;
  tell_all([](CheckedGateway& gateway) { gateway.drain(); });
}

void HubWorkers::end_all() {
  draining_ = true;
  tell_all([](CheckedGateway& gateway) { gateway.end_all(); });
}

void HubWorkers::abort_all() {
  draining_ = true;
  tell_all([](CheckedGateway& gateway) { gateway.gateway().abort_all(); });
}

void HubWorkers::run_until_idle() {
  for (auto& worker : workers_)
    if (worker->gateway) worker->gateway->run_until_idle(3);
}

std::vector<HubCounts> HubWorkers::counts() {
  std::vector<HubCounts> all;
  for (auto& worker : workers_) {
    WorkerSnapshot now;
    worker->gateway->gateway().snapshot(now);
    if (!now.hubs.empty()) all.push_back(now.hubs.front());
  }
  return all;
}

}  // namespace sluice::sim
