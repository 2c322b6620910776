#include "tests/sim/healing.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/checked_gateway.h"
#include "tests/sim/healing_peers.h"
#include "tests/sim/weather.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kHeap = uint64_t{4} << 20;

HealedScript make_script(Random& random) {
  HealedScript script;
  enum Kind : uint8_t { kNumbers, kWords, kTens };
  auto kind = static_cast<Kind>(random.between(0, 2));
  script.consecutive = kind == kNumbers;
  uint64_t base = random.magnitude(1, 1'000'000);
  for (uint64_t i = 0, count = random.magnitude(1, 60); i < count; ++i) {
    bool named = random.chance(0.95);
    std::string id = kind == kWords ? "w" + std::to_string(base + i * 7)
                                    : std::to_string(base + i * (kind == kTens ? 10 : 1));
    script.consecutive &= named;
    script.ids.push_back(named ? id : "");
    std::string data = "data: " + std::to_string(i) + "/" +
                       std::string(random.magnitude(1, random.chance(0.05) ? 4000 : 200), 'x');
    bool first = random.chance(0.5);
    data += '\n';
    std::string line = named ? "id: " + id + "\n" : "";
    std::string& event = script.events.emplace_back(first ? line : data);
    event.append(first ? data : line) += '\n';
  }
  return script;
}

StreamSettings make_settings(Random& random) {
  StreamSettings settings;
  settings.heal = random.chance(0.8) ? Heal::kOn : Heal::kAlways;
  settings.heal_ids = random.magnitude(1, 64);
  settings.heal_for_ms = random.magnitude(500, 40'000);
  settings.heal_rate = random.chance(0.5) ? 0 : random.magnitude(1, 200);
  settings.gap_event = true;
  settings.retries = random.between(0, 3);
  settings.heartbeat_ms = random.magnitude(100, 5'000);
  settings.stream_idle_timeout_ms = random.magnitude(500, 8'000);
  settings.first_byte_timeout_ms = random.magnitude(500, 8'000);
  settings.connect_timeout_ms = random.magnitude(500, 3'000);
  settings.buffer_size = 1024 * random.magnitude(1, 16);
  settings.buffer_size_max = settings.buffer_size << random.between(0, 4);
  settings.upstream_max_connections = random.chance(0.2) ? random.between(1, 3) : 0;
  if (random.chance(0.2)) settings.heartbeat_head_after_ms = random.magnitude(100, 3'000);
  if (random.chance(0.2)) settings.event_hold = 1024;
  return settings;
}

}  // namespace

SimulationReport simulate_healing(uint64_t seed, bool traced) {
  World world(~seed * 3, traced);
  Random& random = world.random;
  Weather weather = make_weather(random);
  weather.kernel.stopped = weather.kernel.no_socket = 0;
  Kernel kernel(world, weather.kernel);
  Config config;
  Route route{.path = "/", .upstreams = {}, .settings = make_settings(random)};
  for (uint64_t i = random.between(1, 3); i > 0; --i) {
    std::string error;
    Address address = *parse_address("127.0.0.1:" + std::to_string(kFirstPort + i), &error);
    route.upstreams.push_back({"http://" + address.text(), address.text(), address});
  }
  config.routes.push_back(route);
  config.defaults = route.settings;
  config.listen.push_back(*parse_address("127.0.0.1:8080", nullptr));
  CheckedGateway gateway(world, kernel, config, make_features(random), 100'000, kHeap);
  HealedScene scene{.world = world, .settings = route.settings, .traits = make_traits(random)};
  std::vector<std::unique_ptr<Peer>> upstreams;
  kernel.on_connect = [&](uint16_t) -> Kernel::Answer {
    if (scene.dead || random.chance(scene.traits.refuses)) return {};
    if (random.chance(scene.traits.ignores)) return {nullptr, true};
    auto connection = std::make_shared<Connection>(world, random.magnitude(1, 10 * kMillisecond),
                                                   random.magnitude(1000, 200'000));
    upstreams.push_back(std::make_unique<HealedUpstream>(scene, connection));
    return {connection, false};
  };
  std::vector<std::unique_ptr<HealedClient>> clients;
  for (uint64_t i = random.magnitude(1, 8); i > 0; --i)
    scene.scripts.push_back(make_script(random));
  for (size_t i = 0; i < scene.scripts.size(); ++i)
    clients.push_back(std::make_unique<HealedClient>(scene, kernel, gateway.listener(), i));
  if (random.chance(0.3))
    world.after(random.magnitude(1, 20 * kSecond), [&scene] { scene.dead = true; });
  auto over = [](const auto& client) { return client->over(); };
  while (!std::all_of(clients.begin(), clients.end(), over)) {
    gateway.turn();
    for (const auto& client : clients) client->check_deadline();
  }
  SimulationReport report;
  for (const auto& client : clients) {
    ++report.requests;
    report.complete += client->complete() ? 1 : 0;
    report.aborted += client->aborted() ? 1 : 0;
  }
  report.refused = report.requests - report.complete - report.aborted;
  scene.dead = true;
  gateway.run_until_idle(scene.scripts.size() + 3);
  gateway.stop();
  for (uint64_t count : gateway.metrics().heals) report.healed += count;
  report.turns = gateway.turns();
  return report;
}

}  // namespace sluice::sim
