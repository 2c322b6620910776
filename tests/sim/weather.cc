#include "tests/sim/weather.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace sluice::sim {

namespace {

double some(Random& random, double most) {
  return random.chance(0.5) ? 0 : most * static_cast<double>(random.magnitude(1, 100)) / 100;
}

UpstreamTraits make_upstream(Random& random) {
  UpstreamTraits upstream;
  upstream.local = random.chance(0.2);
  upstream.says_close = some(random, 0.5);
  if (random.chance(0.2)) upstream.stands_still = some(random, 1);
  if (random.chance(0.1)) {
    upstream.read_max = random.magnitude(100, 10'000);
    upstream.read_pause_ns = random.magnitude(kMillisecond, 300 * kMillisecond);
  }
  if (random.chance(0.3)) {
    upstream.refuses = some(random, 0.5);
    upstream.ignores = some(random, 0.2);
    upstream.closes_idle = some(random, 1);
    upstream.hangs_up = some(random, 0.5);
  }
  return upstream;
}

// The default, most often. What is drawn is long enough for all that goes well.
uint64_t timeout_ms(Random& random, uint64_t by_default, uint64_t low, uint64_t high) {
  return random.chance(0.6) ? by_default : random.magnitude(low, high);
}

StreamSettings make_settings(Random& random) {
  StreamSettings settings;
  settings.heal = Heal::kOff;  // where it is not, Breakage says so
  settings.retries = 0;
  settings.heartbeat_ms = random.chance(0.5) ? random.magnitude(200, 5'000) : 30'000;
  if (random.chance(0.05)) settings.heartbeat_ms = 0;
  if (random.chance(0.4)) settings.heartbeat_head_after_ms = random.magnitude(100, 3'000);
  settings.buffer_size = 1024 * random.magnitude(1, 16);
  settings.buffer_size_max = settings.buffer_size << random.between(0, 6);
  if (random.chance(0.2)) settings.event_hold = random.magnitude(4096, 64 * 1024);
  if (random.chance(0.2))
    settings.framing = random.chance(0.5) ? EventFraming::kLine : EventFraming::kOff;
  settings.pace_ms = random.chance(0.1) ? random.magnitude(1, 100) : 0;
  if (random.chance(0.1)) settings.max_body_size = random.magnitude(1000, 40'000);
  settings.header_timeout_ms = timeout_ms(random, settings.header_timeout_ms, 1000, 6'000);
  settings.body_timeout_ms = timeout_ms(random, settings.body_timeout_ms, 500, 6'000);
  settings.connect_timeout_ms = timeout_ms(random, settings.connect_timeout_ms, 500, 4'000);
  settings.first_byte_timeout_ms = timeout_ms(random, settings.first_byte_timeout_ms, 500, 8'000);
  settings.stream_idle_timeout_ms =
      timeout_ms(random, settings.stream_idle_timeout_ms, 500, 12'000);
  settings.write_timeout_ms = timeout_ms(random, settings.write_timeout_ms, 1000, 12'000);
  settings.keepalive_timeout_ms = timeout_ms(random, settings.keepalive_timeout_ms, 500, 6'000);
  settings.upstream_keepalive_timeout_ms =
      timeout_ms(random, settings.upstream_keepalive_timeout_ms, 100, 3'000);
  settings.half_close = random.chance(0.4);
  settings.retry_non_idempotent = random.chance(0.1);
  settings.upstream_max_connections = random.chance(0.2) ? random.between(1, 3) : 0;
  settings.upstream_keepalive = random.between(0, 4);
  return settings;
}

Route make_route(Random& random, const char* path, const Weather& weather) {
  Route route;
  route.path = path;
  route.settings = make_settings(random);
  const size_t count = weather.upstreams.size();
  const size_t first = random.between(0, count - 1);
  for (size_t i = random.between(1, count); i > 0; --i) {
    size_t which = (first + i) % count;
    std::string port = std::to_string(kFirstPort + which);
    std::string error;
    if (weather.upstreams[which].local) {
      route.upstreams.push_back(
          {"unix:/sim/" + port, "localhost", *unix_address("/sim/" + port, &error)});
    } else {
      Address address = *parse_address("127.0.0.1:" + port, &error);
      route.upstreams.push_back({"http://" + address.text(), address.text(), address});
    }
  }
  return route;
}

}  // namespace

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
  if (random.chance(0.1)) kernel.no_socket = some(random, 0.2);
  if (random.chance(0.15)) {
    kernel.stopped = 0.01;
    kernel.stopped_ns_max = random.magnitude(kMillisecond, 100 * kSecond);
  }
  for (size_t i = random.between(1, 4); i > 0; --i)
    weather.upstreams.push_back(make_upstream(random));
  weather.freezes = random.chance(0.1);
  weather.crowded = random.chance(0.05);
  weather.drains = !weather.freezes && random.chance(0.15);
  return weather;
}

Config make_config(Random& random, const Weather& weather) {
  Config config;
  for (const char* path : {"/first", "/second"})
    if (random.chance(0.5)) config.routes.push_back(make_route(random, path, weather));
  config.routes.push_back(make_route(random, "/", weather));
  config.defaults = config.routes.back().settings;
  config.pool_sse_event = {random.chance(0.5) ? 4096U : 512U << random.between(0, 4),
                           random.magnitude(8, 200)};
  config.pool_http_message = {16384, random.magnitude(8, 100)};
  if (weather.crowded) config.pool_sse_event.slots = config.pool_http_message.slots = 8;
  uint64_t first_bytes = config.pool_sse_event.slot_bytes * config.pool_sse_event.slots +
                         config.pool_http_message.slot_bytes * config.pool_http_message.slots;
  bool grows = !weather.crowded && random.chance(0.6);
  config.pool_max = grows ? first_bytes + random.magnitude(1, 1U << 24) : first_bytes;
  if (random.chance(0.5)) config.latency_budget_us = random.magnitude(0, 5'000);
  config.listen.push_back(*parse_address("127.0.0.1:8080", nullptr));
  return config;
}

void vary_groups(Config& config, Random& random) {
  using enum Balance::Method;
  constexpr Balance::Method kMethods[] = {kLeast, kRoundRobin, kRandomTwo, kHash};
  constexpr Balance::Key kKeys[] = {Balance::Key::kField, Balance::Key::kClient,
                                    Balance::Key::kPath};
  for (Route& route : config.routes) {
    StreamSettings& settings = route.settings;
    settings.balance = {.method = kMethods[random.between(0, 3)],
                        .key = kKeys[random.between(0, 2)],
                        .name = "x-attempt"};
    settings.eject_after = random.between(0, 3);
    settings.eject_time_ms = random.magnitude(100, 10'000);
    settings.slow_start_ms = random.chance(0.5) ? 0 : random.magnitude(1, 5'000);
    for (Upstream& upstream : route.upstreams) {
      upstream.weight = static_cast<uint32_t>(random.magnitude(1, 10));
      upstream.backup = random.chance(0.2);
    }
  }
}

std::string vary_codings(Config& config, Random& random) {
  using enum ContentCoding;
  constexpr CodingOrder kOrders[] = {{kGzip}, {kZstd}, {kBrotli}, {kZstd, kGzip, kBrotli}};
  for (Route& route : config.routes)
    if (random.chance(0.7)) route.settings.compress = kOrders[random.between(0, 3)];
  constexpr const char* kAccepted[] = {"gzip", "zstd", "br", "gzip, br;q=0.5, zstd;q=0.5",
                                       "identity"};
  return kAccepted[random.between(0, 4)];
}

void vary_health(Config& config, Random& random) {
  for (Route& route : config.routes) {
    StreamSettings& settings = route.settings;
    settings.health = random.chance(0.7) ? "/up" : "";
    settings.health_interval_ms = random.magnitude(100, 5'000);
    settings.health_timeout_ms = random.magnitude(1, 3'000);
    settings.health_fail = random.between(1, 3);
    settings.health_pass = random.between(1, 3);
  }
}

Config reloaded(const Config& config, Random& random) {
  Config changed = config;
  for (Route& route : changed.routes)
    route.settings.upstream_tcp_keepalive_ms = 60'000 + random.between(0, 1) * 1'000;
  for (uint64_t i = random.between(0, 3); i > 0; --i) {
    Route route = changed.routes[random.between(0, config.routes.size() - 1)];
    route.path = "/other" + std::to_string(random.between(0, 9));
    bool there = std::ranges::count(changed.routes, route.path, &Route::path) > 0;
    if (!there) changed.routes.push_back(route);
  }
  for (size_t i = changed.routes.size() - 1; i > 0; --i)
    std::swap(changed.routes[i], changed.routes[random.between(0, i)]);
  return changed;
}

Features make_features(Random& random) {
  Features features;
  features.multishot_accept = random.chance(0.7);
  features.multishot_recv = random.chance(0.7);
  features.recv_budget = features.multishot_recv && random.chance(0.8);
  features.min_wait = random.chance(0.5);
  return features;
}

}  // namespace sluice::sim
