#include "tests/sim/failover.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/checked_gateway.h"
#include "tests/sim/failover_judge.h"
#include "tests/sim/failover_peers.h"
#include "tests/sim/failover_scene.h"
#include "tests/sim/weather.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kHeap = uint64_t{8} << 20;
// Requests at once that reach every upstream of a group, whatever its weight, and how often.
constexpr size_t kBurst = 16;
constexpr int kBursts = 30;
constexpr uint64_t kBetweenBurstsNs = 2 * kSecond;

Mood make_mood(Random& random) {
  return static_cast<Mood>(random.between(1, kMoods - 1));
}

Server make_server(Random& random) {
  Server server;
  if (random.chance(0.45)) return server;
  for (uint64_t i = random.between(1, 3); i > 0; --i) server.moods.push_back(make_mood(random));
  bool steady = random.chance(0.3);
  if (steady || random.chance(0.5)) server.mood = server.moods.front();
  if (!steady) server.change_ms_max = random.magnitude(300, 20'000);
  return server;
}

StreamSettings make_settings(Random& random) {
  StreamSettings settings;
  settings.heal = Heal::kOff;
  settings.retries = random.chance(0.1) ? 0 : random.between(1, 3);
  settings.retry_non_idempotent = random.chance(0.2);
  settings.retry_buffer = random.chance(0.5) ? 64 * 1024 : random.magnitude(0, 64 * 1024);
  if (random.chance(0.3)) settings.retry_on = {429, 500, 503};
  if (random.chance(0.1)) settings.retry_on = {};
  if (random.chance(0.2)) settings.retry_on_post = {};
  settings.connect_timeout_ms = random.magnitude(500, 3'000);
  settings.first_byte_timeout_ms = random.magnitude(1'500, 4'000);
  settings.upstream_max_connections = random.chance(0.1) ? random.between(1, 3) : 0;
  settings.upstream_keepalive = random.between(0, 8);
  settings.upstream_keepalive_timeout_ms = random.magnitude(500, 30'000);
  return settings;
}

// A server is made when a group first has it, so that every one is in some.
size_t server_of(FailoverScene& scene, Random& random, std::vector<size_t>& numbers, size_t which) {
  if (numbers[which] == SIZE_MAX) {
    numbers[which] = scene.servers.size();
    scene.servers.push_back(make_server(random));
  }
  return numbers[which];
}

void make_routes(FailoverScene& scene, Random& random) {
  std::vector<size_t> numbers(random.chance(0.1) ? 1 : random.between(2, 4), SIZE_MAX);
  for (const char* path : {"/", "/a", "/b"}) {
    if (path != std::string("/") && random.chance(0.6)) continue;
    Route route{.path = path, .upstreams = {}, .settings = make_settings(random)};
    std::vector<size_t>& group = scene.groups.emplace_back();
    size_t first = random.between(0, numbers.size() - 1);
    size_t least = random.chance(0.15) ? 1 : std::min<size_t>(numbers.size(), 2);
    for (size_t k = random.between(least, numbers.size()); k > 0; --k) {
      size_t server = server_of(scene, random, numbers, (first + k) % numbers.size());
      std::string error;
      Address address = *parse_address("127.0.0.1:" + std::to_string(kFirstPort + server), &error);
      route.upstreams.push_back({"http://" + address.text(), address.text(), address});
      group.push_back(server);
    }
    scene.routes.push_back(route);
  }
}

// Weights stay small, so that a burst reaches all.
void set_groups(Config& config, Random& random) {
  vary_groups(config, random);
  for (Route& route : config.routes) {
    route.settings.balance.name = "x-key";
    if (random.chance(0.5)) route.settings.eject_after = random.between(1, 5);
    for (Upstream& upstream : route.upstreams)
      upstream.weight = static_cast<uint32_t>(random.magnitude(1, 4));
  }
}

FailoverRequest make_request(const FailoverScene& scene, Random& random, double leaves) {
  constexpr const char* kMethods[] = {"GET", "GET", "HEAD", "PUT", "POST", "POST"};
  FailoverRequest request{.number = scene.requests.size(),
                          .route = random.between(0, scene.routes.size() - 1),
                          .method = kMethods[random.between(0, std::size(kMethods) - 1)]};
  const StreamSettings& settings = scene.settings(request);
  request.has_body = request.method == "PUT" || (request.method == "POST" && random.chance(0.8));
  request.chunked = request.has_body && random.chance(0.4);
  if (request.has_body)
    request.body_bytes = random.magnitude(0, random.chance(0.2) ? 150'000 : 8'000);
  request.repeatable = request.method != "POST" || settings.retry_non_idempotent;
  request.leaves = random.chance(leaves);
  return request;
}

class Failover {
 public:
  Failover(uint64_t seed, bool traced)
      : world_(~seed * 5, traced),
        weather_(make_weather(world_.random)),
        kernel_(world_, liberties()),
        gateway_(world_, kernel_, make_config(), make_features(world_.random), 100'000, kHeap),
        judge_(scene_, gateway_) {
    kernel_.on_connect = [this](uint16_t port) { return connect(port - kFirstPort); };
  }

  SimulationReport run() {
    Random& random = world_.random;
    for (Server& server : scene_.servers)
      if (server.change_ms_max != 0) change_later(server);
    bool crowd = random.chance(0.1);
    size_t count = crowd ? random.between(100, 300) : random.between(1, 80);
    uint64_t over_ns = random.magnitude(kSecond, 30 * kSecond);
    double leaves = random.chance(0.2) ? 0.2 : 0;
    for (size_t i = 0; i < count; ++i) request_later(random.between(0, over_ns), leaves);
    run_until_answered(count);
    if (random.chance(0.3)) check_returns();
    gateway_.run_until_idle(scene_.requests.size() + 3);
    judge_.at_end();
    report_.requests = scene_.requests.size();
    report_.turns = gateway_.turns();
    gateway_.stop();
    return report_;
  }

 private:
  const Liberties& liberties() {
    Liberties& kernel = weather_.kernel;
    kernel.no_outages();
    return kernel;
  }

  Config make_config() {
    Random& random = world_.random;
    make_routes(scene_, random);
    Config config;
    config.routes = scene_.routes;
    set_groups(config, random);
    scene_.routes = config.routes;
    config.defaults = config.routes.front().settings;
    config.listen.push_back(*parse_address("127.0.0.1:8080", nullptr));
    return config;
  }

  Kernel::Answer connect(size_t server) {
    Random& random = world_.random;
    Mood mood = scene_.servers[server].mood;
    world_.trace("server %zu (%s): a connection", server, mood_name(mood));
    if (mood == Mood::kRefuses) return {};
    if (mood == Mood::kIgnores) return {nullptr, true};
    auto connection = std::make_shared<Connection>(world_, random.magnitude(1, 10 * kMillisecond),
                                                   random.magnitude(1000, 200'000));
    connections_.push_back(std::make_unique<ServerConnection>(scene_, server, connection));
    return {connection, false};
  }

  void change_later(Server& server) {
    uint64_t after_ns = world_.random.magnitude(100, server.change_ms_max) * kMillisecond;
    world_.after(after_ns, [this, &server] {
      if (scene_.quiet) return;
      Random& random = world_.random;
      bool well = server.mood != Mood::kWell && random.chance(0.7);
      set_mood(server,
               well ? Mood::kWell : server.moods[random.between(0, server.moods.size() - 1)]);
      change_later(server);
    });
  }

  // A server that cannot be reached any more has died, and so may any other that changes.
  void set_mood(Server& server, Mood mood) {
    if (server.mood == mood) return;
    auto number = static_cast<size_t>(&server - scene_.servers.data());
    world_.trace("server %zu: %s, was %s", number, mood_name(mood), mood_name(server.mood));
    server.mood = mood;
    server.since_ns = world_.now_ns();
    bool dies = mood == Mood::kRefuses || mood == Mood::kIgnores || world_.random.chance(0.2);
    if (!dies) return;
    for (auto& connection : connections_)
      if (connection->server() == number) connection->kill();
  }

  void request_later(uint64_t after_ns, double leaves) {
    world_.after(after_ns, [this, leaves] {
      FailoverRequest& request =
          scene_.requests.emplace_back(make_request(scene_, world_.random, leaves));
      begin(request);
    });
  }

  void begin(FailoverRequest& request) {
    judge_.on_request(request);
    auto on_end = [this](const FailoverRequest& ended, const FailoverOutcome& outcome) {
      ++ended_;
      bool complete = outcome.whole && outcome.status == 200;
      report_.complete += complete ? 1 : 0;
      report_.aborted += outcome.whole ? 0 : 1;
      report_.refused += outcome.whole && !complete ? 1 : 0;
      judge_.on_end(ended, outcome);
    };
    clients_.push_back(
        std::make_unique<FailoverClient>(scene_, request, gateway_.listener(), on_end));
    FailoverClient* client = clients_.back().get();
    world_.after(judge_.bound_ns(request), [client] {
      if (!client->over()) violation("a client waits for longer than all its time-outs");
    });
  }

  void turn() {
    judge_.before_turn();
    gateway_.turn();
    judge_.after_turn();
  }

  void run_until_answered(size_t count) {
    while (ended_ < count) turn();
  }

  // Once all are well, whoever is ejected is tried and comes back.
  void check_returns() {
    scene_.quiet = true;
    for (Server& server : scene_.servers) set_mood(server, Mood::kWell);
    uint64_t until_ms = 0;
    for (size_t i = 0; i < scene_.servers.size(); ++i)
      until_ms = std::max(until_ms, judge_.health(i).ejected_until_ms.load());
    while (world_.now_ns() < until_ms * kMillisecond) pause();
    for (int i = 0; i < kBursts && someone_is_out(); ++i) {
      size_t count = scene_.routes.size() * kBurst;
      for (size_t k = 0; k < count; ++k) {
        FailoverRequest request{
            .number = scene_.requests.size(), .route = k % scene_.routes.size(), .method = "GET"};
        request.repeatable = true;
        begin(scene_.requests.emplace_back(request));
      }
      run_until_answered(scene_.requests.size());
      pause();
    }
    if (someone_is_out()) violation("an upstream is well and is left out for good");
  }

  bool someone_is_out() const {
    for (size_t i = 0; i < scene_.servers.size(); ++i)
      if (judge_.gets_requests(i) && judge_.health(i).ejected_until_ms != 0) return true;
    return false;
  }

  void pause() {
    bool over = false;
    world_.after(kBetweenBurstsNs, [&over] { over = true; });
    while (!over) turn();
  }

  World world_;
  Weather weather_;
  Kernel kernel_;
  FailoverScene scene_{.world = world_, .kernel = kernel_};
  CheckedGateway gateway_;
  FailoverJudge judge_;
  std::vector<std::unique_ptr<ServerConnection>> connections_;
  std::vector<std::unique_ptr<FailoverClient>> clients_;
  SimulationReport report_;
  size_t ended_ = 0;
};

}  // namespace

SimulationReport simulate_failover(uint64_t seed, bool traced) {
  return Failover(seed, traced).run();
}

}  // namespace sluice::sim
