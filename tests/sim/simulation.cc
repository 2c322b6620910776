#include "tests/sim/simulation.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/checked_gateway.h"
#include "tests/sim/client.h"
#include "tests/sim/counters.h"
#include "tests/sim/http2_client.h"
#include "tests/sim/judge.h"
#include "tests/sim/upstream.h"
#include "tests/sim/weather.h"

namespace sluice::sim {

namespace {

// After a client has left: its bytes and the gateway's have to travel.
constexpr uint64_t kToldWithinNs = kSecond;
constexpr uint64_t kAmpleMemory = uint64_t{8} << 20;
// For the heads of all clients at once.
constexpr uint64_t kHeadMemory = uint64_t{1} << 20;
constexpr uint64_t kStartsWithinNs = 2 * kSecond;
constexpr uint64_t kFewClients = 3;
// A multishot accept is armed, and soon gives way to single ones.
constexpr uint64_t kFewMoreThanBacklogs = 2 * SOMAXCONN + 3;
// Two of them, tried before the right one.
constexpr uint64_t kDeadAddressesMs = 3 * limits::kConnectDelayMs;

// What a seed is a seed of, beside all else.
struct Also {
  bool probes = false;
  bool http2 = false;  // most clients speak it
};

class Simulation {
 public:
  Simulation(uint64_t seed, bool traced, Also also);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  SimulationReport run();

 private:
  void turn();
  void make_clients();
  void add_client(std::unique_ptr<Asker> made, Random& random);
  void fast_and_then_slow_client(Random& random);
  void drain_later();
  void reload_now_and_then(uint64_t seed);
  void other_workers_clients();
  UpstreamTraits worst_of(const Route& route) const;
  ClientTraits make_traits();
  std::unique_ptr<Asker> make_client(const std::vector<unsigned>& scripts);
  void check_told(unsigned script) const;
  void check_outcomes(const Asker& client);
  void note_answer(const Script& script, Outcome outcome, int status);

  World world_;
  const Also also_;
  Weather weather_;
  Kernel kernel_;
  Scene scene_{world_, kernel_};
  Judge judge_{scene_};
  std::vector<std::unique_ptr<UpstreamServer>> servers_;
  std::vector<std::unique_ptr<Asker>> clients_;
  std::unique_ptr<CheckedGateway> gateway_;
  bool too_long_ = false;  // some events are longer than what is held
  SimulationReport report_;
  Seen seen_;
};

Simulation::Simulation(uint64_t seed, bool traced, Also also)
    : world_(seed, traced),
      also_(also),
      weather_(make_weather(world_.random)),
      kernel_(world_, weather_.kernel) {
  Config config = make_config(world_.random, weather_);
  // Drawn apart, so that all else is as it would be without.
  Random groups(seed ^ 0x67726f757073);
  if (groups.chance(0.8)) vary_groups(config, groups);
  NamesWeather names = vary_names(config, seed);
  Random codings(seed ^ 0x636f64696e67);
  if (codings.chance(0.3)) scene_.accepts = vary_codings(config, codings);
  Random health(seed ^ 0x6865616c7468);
  if (also_.probes) vary_health(config, health);
  Random windows(seed ^ 0x77696e646f77);
  bool windows_grow = windows.chance(0.08);
  if (windows_grow)
    for (Route& route : config.routes)
      route.settings.buffer_size_max = route.settings.buffer_size * 8;
  Features features = make_features(world_.random);
  uint64_t clients_max = world_.random.chance(0.1)   ? kFewClients
                         : world_.random.chance(0.1) ? kFewMoreThanBacklogs
                                                     : 100'000;
  uint64_t heap_max =
      world_.random.chance(0.9) ? kHeadMemory : world_.random.magnitude(1, kHeadMemory);
  gateway_ = std::make_unique<CheckedGateway>(world_, kernel_, config, features, clients_max,
                                              heap_max, names);
  if (clients_max < 100'000) other_workers_clients();
  for (const UpstreamTraits& traits : weather_.upstreams)
    servers_.push_back(std::make_unique<UpstreamServer>(scene_, traits));
  kernel_.on_connect = [this](uint16_t port) { return servers_[port - kFirstPort]->connect(); };
  scene_.config = &gateway_->config();
  scene_.judge = &judge_;
  scene_.scarce = heap_max < kHeadMemory;
  scene_.ample = config.pool_max >= kAmpleMemory;
  scene_.punctual = weather_.kernel.stopped == 0;
  scene_.sockets = weather_.kernel.no_socket == 0;
  for (const Route& route : scene_.config->routes) {
    UpstreamTraits& worst = scene_.worst.emplace_back(worst_of(route));
    scene_.names_fail |=
        names.fails > 0 || (names.used && route.settings.connect_timeout_ms <= names.delay_ms * 2);
    worst.refuses = std::max(worst.refuses, names.fails);
    // A dead address beside one that accepts is not seen, unless it takes all the time that there
    // is.
    bool in_time = route.settings.connect_timeout_ms > kDeadAddressesMs;
    if (!in_time || worst.refuses > 0) worst.ignores = std::max(worst.ignores, names.dead);
  }
  make_clients();
  if (windows_grow) fast_and_then_slow_client(windows);
  scene_.exchanges.resize(scene_.scripts.size());
  if (weather_.drains) drain_later();
  reload_now_and_then(seed);
}

// The most that one of a route's upstreams does.
UpstreamTraits Simulation::worst_of(const Route& route) const {
  UpstreamTraits worst;
  for (const Upstream& upstream : route.upstreams) {
    size_t port = std::stoul(upstream.url.substr(upstream.url.size() - 4));
    const UpstreamTraits& one = weather_.upstreams[port - kFirstPort];
    worst.local |= one.local;
    worst.refuses = std::max(worst.refuses, one.refuses);
    worst.ignores = std::max(worst.ignores, one.ignores);
    worst.closes_idle = std::max(worst.closes_idle, one.closes_idle);
    worst.hangs_up = std::max(worst.hangs_up, one.hangs_up);
    worst.stands_still = std::max(worst.stands_still, one.stands_still);
    worst.read_max = std::min(worst.read_max, one.read_max);
  }
  return worst;
}

// As the process ends (net/process/server.cc): a delay, the drain, and the end of those that are
// left.
void Simulation::drain_later() {
  Random& random = world_.random;
  uint64_t delay_ns = random.chance(0.5) ? 0 : random.magnitude(1, 3 * kSecond);
  uint64_t grace_ns = random.magnitude(1, 20 * kSecond);
  uint64_t told_ns = random.magnitude(1, 5 * kSecond);
  scene_.says_close_ns = world_.now_ns() + told_ns;
  scene_.drains_ns = scene_.says_close_ns + delay_ns;
  scene_.ends_ns = scene_.drains_ns + grace_ns;
  for (uint64_t at_ns : {told_ns, told_ns + delay_ns, told_ns + delay_ns + grace_ns})
    world_.after(at_ns, [this] {
      world_.trace("the process is told to end, drains, or has waited long enough");
      kernel_.wake();
    });
}

// In every fourth seed. Drawn apart, so that all else is as it would be without.
void Simulation::reload_now_and_then(uint64_t seed) {
  Random random(~seed);
  if (!random.chance(0.25)) return;
  Random health(seed ^ 0x6865616c746832);
  for (uint64_t i = random.magnitude(1, 30); i > 0; --i) {
    Config next = reloaded(gateway_->config(), random);
    if (also_.probes && health.chance(0.5)) vary_health(next, health);
    world_.after(random.magnitude(1, 6 * kSecond), [this, next] {
      world_.trace("another configuration");
      gateway_->reload(next);
      kernel_.wake();
    });
  }
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
  if (random.chance(0.1)) traits.rests_ns = random.magnitude(100 * kMillisecond, 10 * kSecond);
  traits.half_closes = random.chance(0.15);
  traits.leaves_after_ns = random.magnitude(1, 3 * kSecond);
  return traits;
}

std::unique_ptr<Asker> Simulation::make_client(const std::vector<unsigned>& scripts) {
  Random& random = world_.random;
  int listener = gateway_->listener();
  if (also_.http2 && random.chance(0.8))
    return std::make_unique<Http2Client>(scene_, listener,
                                         make_http2_traits(random, weather_.crowded), scripts);
  return std::make_unique<ClientPeer>(scene_, listener, make_traits(), scripts);
}

void Simulation::add_client(std::unique_ptr<Asker> made, Random& random) {
  clients_.push_back(std::move(made));
  Asker* client = clients_.back().get();
  client->on_left = [this](unsigned script) {
    if (weather_.kernel.stopped == 0)
      world_.after(kToldWithinNs, [this, script] { check_told(script); });
  };
  world_.after(random.magnitude(1, kStartsWithinNs), [client] { client->start(); });
}

void Simulation::make_clients() {
  Random& random = world_.random;
  size_t count = weather_.crowded ? random.between(16, 40) : random.magnitude(1, 16);
  for (size_t i = 0; i < count; ++i) {
    std::vector<unsigned> scripts;
    for (size_t requests = random.magnitude(1, also_.http2 ? 16 : 5); requests > 0; --requests) {
      scripts.push_back(static_cast<unsigned>(scene_.scripts.size()));
      scene_.scripts.push_back(make_script(scripts.back(), *scene_.config, random));
      const Script& script = scene_.scripts.back();
      scene_.stale |= script.hangs_up_early;
      too_long_ |= script.too_long(scene_.config->routes[script.route].settings);
    }
    add_client(make_client(scripts), random);
  }
  for (const UpstreamTraits& traits : weather_.upstreams) scene_.stale |= traits.stale();
  if (weather_.freezes)
    world_.after(random.magnitude(1, 4 * kSecond), [this] {
      world_.trace("all peers freeze");
      scene_.frozen = true;
    });
}

// Its window has grown with it when it stands still, and then it reads slowly.
void Simulation::fast_and_then_slow_client(Random& random) {
  auto number = static_cast<unsigned>(scene_.scripts.size());
  Script script = make_script(number, *scene_.config, random);
  if (!script.event_stream) return;
  lengthen(script, random);
  too_long_ |= script.too_long(scene_.config->routes[script.route].settings);
  scene_.stale |= script.hangs_up_early;
  scene_.scripts.push_back(std::move(script));
  ClientTraits traits;
  traits.kind = ClientKind::kSlow;
  traits.read_max = random.between(10'000, 30'000);
  traits.read_pause_ns = random.magnitude(kMicrosecond, 5 * kMillisecond);
  traits.stands_still_ns = random.magnitude(50 * kMillisecond, 5 * kSecond);
  traits.slows_by_ns = random.magnitude(50 * kMillisecond, 500 * kMillisecond);
  traits.stands_still_at = random.between(1'000'000, 2'000'000);
  add_client(std::make_unique<ClientPeer>(scene_, gateway_->listener(), traits,
                                          std::vector<unsigned>{number}),
             random);
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
// requests up to the first that was not. Why one was refused or aborted has been judged.
void Simulation::check_outcomes(const Asker& client) {
  bool stays = client.stays();
  bool sound = true;
  for (size_t i = 0; i < client.scripts().size(); ++i) {
    const Script& script = scene_.scripts[client.scripts()[i]];
    Outcome outcome = client.outcome(i);
    ++report_.requests;
    report_.complete += outcome == Outcome::kComplete ? 1 : 0;
    report_.aborted += outcome == Outcome::kAborted ? 1 : 0;
    report_.refused += outcome == Outcome::kRefused ? 1 : 0;
    note_answer(script, outcome, client.status(i));
    std::string_view excuse = judge_.excuse(script);
    sound = (sound || !client.in_a_row()) && excuse.empty();
    if (stays && sound && outcome == Outcome::kNone)
      violation("script " + std::to_string(script.id) + " was sound and has no answer, after " +
                std::to_string(scene_.exchanges[script.id].tries) + " tries");
    bool stops =
        script.ending == Script::Ending::kTruncated || script.ending == Script::Ending::kSilence;
    bool early = scene_.exchanges[script.id].early_head;
    if (stays && stops && excuse == kCut && !early && outcome == Outcome::kAborted &&
        client.deprived(i))
      violation("script " + std::to_string(script.id) +
                " was cut, and lost what was whole before; it came to byte " +
                std::to_string(scene_.exchanges[script.id].seen) + " of " +
                std::to_string(script.body.size()));
  }
}

void Simulation::note_answer(const Script& script, Outcome outcome, int status) {
  bool complete = outcome == Outcome::kComplete;
  bool of_route = outcome == Outcome::kRefused && (status == 502 || status == 504);
  ++seen_.requests;
  seen_.all &= complete || of_route;
  if (complete || of_route) ++seen_.answers[{script.route, status}];
  if (!complete) return;
  ++seen_.complete;
  // As it came: what was packed is fewer bytes than were seen.
  const Exchange& exchange = scene_.exchanges[script.id];
  if (script.method != "HEAD")
    seen_.body_bytes += exchange.packed_bytes > 0 ? exchange.packed_bytes : exchange.seen;
}

void Simulation::turn() {
  uint64_t now_ns = world_.now_ns();
  if (now_ns >= scene_.ends_ns)
    gateway_->end_all();
  else if (now_ns >= scene_.drains_ns)
    gateway_->drain();
  else if (now_ns >= scene_.says_close_ns)
    gateway_->say_close();
  gateway_->turn();
  scene_.torn = gateway_->torn();
  scene_.scarce |= gateway_->scarce();
  if (scene_.torn && !too_long_ && gateway_->config().pool_max >= kAmpleMemory)
    violation("an event was cut through though there is memory");
}

SimulationReport Simulation::run() {
  auto done = [](const auto& client) { return client->done(); };
  while (!scene_.frozen && !std::all_of(clients_.begin(), clients_.end(), done)) turn();
  if (!scene_.frozen) {
    auto checks = [](const auto& client) { return client->checks(); };
    seen_.all = scene_.attempts == scene_.scripts.size() &&
                std::all_of(clients_.begin(), clients_.end(), checks);
    for (const auto& client : clients_) check_outcomes(*client);
  }
  // Requests that wait for a connection to their upstream take their turns.
  bool queues =
      std::any_of(scene_.config->routes.begin(), scene_.config->routes.end(),
                  [](const Route& route) { return route.settings.upstream_max_connections > 0; });
  gateway_->run_until_idle(queues ? scene_.scripts.size() : 3);
  seen_.probed = also_.probes;
  seen_.stood_still = !scene_.punctual;
  seen_.reached = scene_.requests_reached;
  check_counters(gateway_->metrics(), kernel_, seen_);
  gateway_->stop();
  report_.turns = gateway_->turns();
  return report_;
}

}  // namespace

SimulationReport simulate(uint64_t seed, bool traced) {
  return Simulation(seed, traced, {}).run();
}

SimulationReport simulate_probed(uint64_t seed, bool traced) {
  return Simulation(seed, traced, {.probes = true}).run();
}

SimulationReport simulate_http2(uint64_t seed, bool traced) {
  return Simulation(seed, traced, {.http2 = true}).run();
}

}  // namespace sluice::sim
