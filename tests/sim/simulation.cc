#include "tests/sim/simulation.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/checked_gateway.h"
#include "tests/sim/client.h"
#include "tests/sim/upstream.h"

namespace sluice::sim {

namespace {

constexpr uint16_t kFirstPort = 9000;
// After a client has left: its bytes and the gateway's have to travel.
constexpr uint64_t kToldWithinNs = kSecond;
constexpr uint64_t kAmpleMemory = uint64_t{8} << 20;
// For the heads of all clients at once.
constexpr uint64_t kHeadMemory = uint64_t{1} << 20;
constexpr uint64_t kStartsWithinNs = 2 * kSecond;
constexpr uint64_t kFewClients = 3;
// A multishot accept is armed, and soon gives way to single ones.
constexpr uint64_t kFewMoreThanBacklogs = 2 * SOMAXCONN + 3;

// Each kind of thing that may go wrong does so in some simulations only, so that others show what
// must then work.
struct Weather {
  Liberties kernel;
  std::vector<UpstreamTraits> upstreams;
  bool freezes = false;
  // Many clients, most of which stand still, and few slots.
  bool crowded = false;
  // No time-out has a reason to strike.
  bool calm = true;
  bool stale = false;  // connections that were kept alive close
};

double some(Random& random, double most) {
  return random.chance(0.5) ? 0 : most * static_cast<double>(random.magnitude(1, 100)) / 100;
}

Weather make_weather(Random& random) {
  Weather weather;
  Liberties& kernel = weather.kernel;
  kernel.defer = some(random, 0.5);
  kernel.late_completion = some(random, 0.5);
  kernel.drop_more = some(random, 0.5);
  kernel.short_receive = some(random, 0.5);
  kernel.short_send = some(random, 0.5);
  kernel.no_buffer = some(random, 0.2);
  kernel.buffer_at_end = some(random, 1);
  kernel.data_on_cancel = some(random, 1);
  kernel.unfound = some(random, 0.5);
  kernel.busy = some(random, 0.3);
  kernel.no_fds = some(random, 0.2);
  kernel.no_accept = some(random, 0.1);
  kernel.no_group = some(random, 0.3);
  kernel.interrupted = some(random, 0.1);
  if (random.chance(0.2)) kernel.completion_entries = random.between(1, 64);
  if (random.chance(0.1)) {
    kernel.no_socket = some(random, 0.2);
    if (kernel.no_socket > 0) weather.calm = false;
  }
  if (random.chance(0.2)) {
    kernel.stopped = 0.01;
    kernel.stopped_ns_max = random.magnitude(kMillisecond, 100 * kSecond);
    weather.calm = false;
  }
  for (size_t i = random.between(1, 3); i > 0; --i) {
    UpstreamTraits upstream;
    upstream.says_close = some(random, 0.5);
    if (random.chance(0.2)) {
      upstream.stands_still = some(random, 1);
      if (upstream.stands_still > 0) weather.calm = false;
    }
    if (random.chance(0.3)) {
      upstream.refuses = some(random, 0.5);
      upstream.ignores = some(random, 0.2);
      upstream.closes_idle = some(random, 1);
      if (upstream.refuses + upstream.ignores > 0) weather.calm = false;
      upstream.hangs_up = some(random, 0.5);
      if (upstream.closes_idle + upstream.hangs_up > 0) weather.stale = true;
    }
    weather.upstreams.push_back(upstream);
  }
  weather.freezes = random.chance(0.1);
  weather.crowded = random.chance(0.05);
  return weather;
}

Config make_config(Random& random, size_t upstreams, bool crowded) {
  Config config;
  StreamSettings settings;
  settings.heartbeat_ms = random.chance(0.5) ? random.magnitude(200, 5'000) : 30'000;
  settings.buffer_size = 1024 * random.magnitude(1, 16);
  settings.buffer_size_max = settings.buffer_size << random.between(0, 6);
  settings.pace_ms = random.chance(0.1) ? random.magnitude(1, 100) : 0;
  settings.half_close = false;
  settings.upstream_max_connections = random.chance(0.2) ? random.between(1, 3) : 0;
  settings.upstream_keepalive = random.between(0, 4);
  Route route;
  route.path = "/";
  for (size_t i = 0; i < upstreams; ++i) {
    std::string error;
    Address address = *parse_address("127.0.0.1:" + std::to_string(kFirstPort + i), &error);
    route.upstreams.push_back({"http://" + address.text(), address.text(), address});
  }
  route.settings = settings;
  config.defaults = settings;
  config.routes.push_back(route);
  config.pool_sse_event = {random.chance(0.5) ? 4096U : 512U << random.between(0, 4),
                           random.magnitude(8, 200)};
  config.pool_http_response = {16384, random.magnitude(8, 100)};
  if (crowded) config.pool_sse_event.slots = config.pool_http_response.slots = 8;
  uint64_t first_bytes = config.pool_sse_event.slot_bytes * config.pool_sse_event.slots +
                         config.pool_http_response.slot_bytes * config.pool_http_response.slots;
  config.pool_max =
      (crowded || random.chance(0.5) ? first_bytes : first_bytes + random.magnitude(1, 1U << 24));
  if (random.chance(0.5)) config.latency_budget_us = random.magnitude(0, 5'000);
  return config;
}

Features make_features(Random& random) {
  Features features;
  features.multishot_accept = random.chance(0.7);
  features.multishot_recv = random.chance(0.7);
  features.recv_budget = features.multishot_recv && random.chance(0.8);
  features.min_wait = random.chance(0.5);
  return features;
}

class Simulation {
 public:
  Simulation(uint64_t seed, bool traced);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  SimulationReport run();

 private:
  void turn();
  void make_clients();
  void other_workers_clients();
  ClientTraits make_traits();
  void check_told(unsigned script) const;
  void check_outcomes(const ClientPeer& client);

  World world_;
  Weather weather_;
  Kernel kernel_;
  Scene scene_{world_, kernel_};
  std::vector<std::unique_ptr<UpstreamServer>> servers_;
  std::vector<std::unique_ptr<ClientPeer>> clients_;
  std::unique_ptr<CheckedGateway> gateway_;
  SimulationReport report_;
};

Simulation::Simulation(uint64_t seed, bool traced)
    : world_(seed, traced),
      weather_(make_weather(world_.random)),
      kernel_(world_, weather_.kernel) {
  Config config = make_config(world_.random, weather_.upstreams.size(), weather_.crowded);
  Features features = make_features(world_.random);
  uint64_t clients_max = world_.random.chance(0.1)   ? kFewClients
                         : world_.random.chance(0.1) ? kFewMoreThanBacklogs
                                                     : 100'000;
  gateway_ = std::make_unique<CheckedGateway>(
      world_, kernel_, config, features, clients_max,
      world_.random.chance(0.9) ? kHeadMemory : world_.random.magnitude(1, kHeadMemory));
  if (clients_max < 100'000) other_workers_clients();
  for (const UpstreamTraits& traits : weather_.upstreams)
    servers_.push_back(std::make_unique<UpstreamServer>(scene_, traits));
  kernel_.on_connect = [this](uint16_t port) { return servers_[port - kFirstPort]->connect(); };
  make_clients();
}

ClientTraits Simulation::make_traits() {
  Random& random = world_.random;
  ClientTraits traits;
  traits.kind =
      random.chance(0.4) ? ClientKind::kPlain : static_cast<ClientKind>(random.between(1, 4));
  if (weather_.crowded && random.chance(0.7)) traits.kind = ClientKind::kSlow;
  traits.http10 = traits.kind == ClientKind::kPlain && random.chance(0.2);
  if (traits.kind == ClientKind::kSlow) {
    traits.read_max = random.magnitude(500, 20'000);
    traits.read_pause_ns = random.magnitude(kMillisecond, 200 * kMillisecond);
    if (weather_.crowded || random.chance(0.3))
      traits.stands_still_ns = random.magnitude(kSecond, 100 * kSecond);
  }
  if (random.chance(0.3)) {
    traits.write_max = random.magnitude(1, 500);
    traits.write_pause_ns = random.magnitude(1, 2 * kMillisecond);
  }
  traits.leaves_after_ns = random.magnitude(1, 3 * kSecond);
  return traits;
}

void Simulation::make_clients() {
  Random& random = world_.random;
  size_t count = weather_.crowded ? random.between(16, 40) : random.magnitude(1, 16);
  for (size_t i = 0; i < count; ++i) {
    std::vector<unsigned> scripts;
    for (size_t requests = random.magnitude(1, 5); requests > 0; --requests) {
      scripts.push_back(static_cast<unsigned>(scene_.scripts.size()));
      scene_.scripts.push_back(make_script(scripts.back(), random));
      weather_.stale |= scene_.scripts.back().hangs_up_early;
    }
    clients_.push_back(
        std::make_unique<ClientPeer>(scene_, gateway_->listener(), make_traits(), scripts));
    ClientPeer* client = clients_.back().get();
    client->on_left = [this](unsigned script) {
      if (weather_.kernel.stopped == 0)
        world_.after(kToldWithinNs, [this, script] { check_told(script); });
    };
    world_.after(random.magnitude(1, kStartsWithinNs), [client] { client->start(); });
  }
  if (weather_.freezes)
    world_.after(random.magnitude(1, 4 * kSecond), [this] {
      world_.trace("all peers freeze");
      scene_.frozen = true;
    });
}

// Of a worker that shares the limit: they come as soon as there is room, and each leaves again.
void Simulation::other_workers_clients() {
  Random& random = world_.random;
  for (size_t i = random.between(0, 8); i > 0; --i) {
    uint64_t comes_ns = random.magnitude(1, 5 * kSecond);
    world_.after(comes_ns, [this] { gateway_->other_comes(); });
    world_.after(comes_ns + random.magnitude(1, 5 * kSecond), [this] { gateway_->other_leaves(); });
  }
}

// The client is gone: so is its request.
void Simulation::check_told(unsigned script) const {
  if (scene_.frozen) return;
  for (const auto& server : servers_)
    if (server->plays(script))
      violation("script " + std::to_string(script) + " goes on without its client");
}

// What was sound from end to end must have arrived. On a pipelined connection that goes for the
// requests up to the first that was not.
void Simulation::check_outcomes(const ClientPeer& client) {
  ClientKind kind = client.traits().kind;
  // A request that waits for a connection to its upstream may wait too long.
  bool queues = gateway_->config().defaults.upstream_max_connections > 0;
  bool expected = weather_.calm && !queues && !gateway_->overloaded() && !client.stood_still() &&
                  kind != ClientKind::kVanishing && kind != ClientKind::kHostile;
  // The gateway lingers for the rest of a request that was answered early, but not for ever.
  bool prompt = kind == ClientKind::kPlain && client.traits().write_max == SIZE_MAX;
  bool sound = true;
  for (size_t i = 0; i < client.scripts().size(); ++i) {
    const Script& script = scene_.scripts[client.scripts()[i]];
    Outcome outcome = client.outcome(i);
    ++report_.requests;
    report_.complete += outcome == Outcome::kComplete ? 1 : 0;
    report_.aborted += outcome == Outcome::kAborted ? 1 : 0;
    report_.refused += outcome == Outcome::kRefused ? 1 : 0;
    bool carries_on = kind == ClientKind::kPipelining;
    bool answered = script.sound() && (!script.answers_early || prompt);
    // On a connection that has ended meanwhile: a POST must not go out twice.
    bool retried = !weather_.stale || (script.method != "POST" && !gateway_->out_of_slots());
    sound = (sound || !carries_on) && answered;
    if (expected && sound && retried && outcome != Outcome::kComplete)
      violation("script " + std::to_string(script.id) + " was sound and ended as " +
                std::to_string(static_cast<int>(outcome)) + ", status " +
                std::to_string(client.status(i)));
    bool stops =
        script.ending == Script::Ending::kTruncated || script.ending == Script::Ending::kSilence;
    if (expected && stops && outcome == Outcome::kAborted && client.deprived(i))
      violation("script " + std::to_string(script.id) + " was cut, and lost what was whole before");
  }
}

void Simulation::turn() {
  gateway_->turn();
  scene_.torn = gateway_->torn();
  if (scene_.torn && gateway_->config().pool_max >= kAmpleMemory)
    violation("an event was cut through though there is memory");
}

SimulationReport Simulation::run() {
  auto done = [](const auto& client) { return client->done(); };
  while (!scene_.frozen && !std::all_of(clients_.begin(), clients_.end(), done)) turn();
  if (!scene_.frozen)
    for (const auto& client : clients_) check_outcomes(*client);
  // Requests that wait for a connection to their upstream take their turns.
  bool queues = gateway_->config().defaults.upstream_max_connections > 0;
  gateway_->run_until_idle(queues ? scene_.scripts.size() : 3);
  gateway_->stop();
  report_.turns = gateway_->turns();
  return report_;
}

}  // namespace

SimulationReport simulate(uint64_t seed, bool traced) {
  return Simulation(seed, traced).run();
}

}  // namespace sluice::sim
