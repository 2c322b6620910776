#include "tests/sim/reload.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "tests/sim/checked_gateway.h"
#include "tests/sim/http.h"
#include "tests/sim/weather.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kHeap = uint64_t{8} << 20;
constexpr size_t kServers = 5;
constexpr const char* kPaths[] = {"/a", "/a/b", "/c", "/"};
constexpr std::string_view kServerField = "x-server";
constexpr uint64_t kConnectTimeoutMs = 3'000;
// From the reload to the end of the turn that changes over.
constexpr uint64_t kSwitchNs = 50 * kMillisecond;

struct ReloadRequest {
  size_t number;
  std::string path;
  size_t body_bytes;
  std::string answer;
  uint64_t asked_ns;
  bool reached = false;
};

// A configuration, from when it was told of.
struct Era {
  uint64_t from_ns;
  std::vector<Route> routes;
};

struct ReloadScene {
  World& world;
  Kernel& kernel;
  std::deque<Era> eras = {};
  std::deque<ReloadRequest> requests = {};
  bool limited = false;  // connections to some upstream have been, at some time
};

// What a request is answered that began under this configuration.
struct Expected {
  int status = 404;
  std::vector<size_t> servers = {};
};

const Route* route_of(const Era& era, const std::string& path) {
  const Route* longest = nullptr;
  for (const Route& route : era.routes) {
    bool matches = route.path == "/" || path.starts_with(route.path + "/");
    if (matches && (!longest || route.path.size() > longest->path.size())) longest = &route;
  }
  return longest;
}

size_t server_of(const Upstream& upstream) {
  return *parse_decimal(std::string_view(upstream.url).substr(upstream.url.rfind(':') + 1)) -
         kFirstPort;
}

Expected expected_of(const Era& era, const ReloadRequest& request) {
  const Route* route = route_of(era, request.path);
  if (!route) return {};
  uint64_t most = route->settings.max_body_size;
  if (most > 0 && request.body_bytes > most) return {.status = 413};
  Expected expected{.status = 200};
  for (const Upstream& upstream : route->upstreams) expected.servers.push_back(server_of(upstream));
  return expected;
}

// Of the configurations that a request may have begun under, so far.
bool expects(const ReloadScene& scene, const ReloadRequest& request,
             const std::function<bool(const Expected&)>& fits) {
  for (size_t i = 0; i < scene.eras.size(); ++i) {
    bool over =
        i + 1 < scene.eras.size() && scene.eras[i + 1].from_ns + kSwitchNs < request.asked_ns;
    if (!over && fits(expected_of(scene.eras[i], request))) return true;
  }
  return false;
}

bool may_serve(const ReloadScene& scene, const ReloadRequest& request, size_t server) {
  return expects(scene, request, [server](const Expected& expected) {
    return std::ranges::count(expected.servers, server) > 0;
  });
}

std::string name_of(const ReloadRequest& request) {
  return request.path + " " + std::to_string(request.number);
}

class ReloadServer final : public Peer {
 public:
  ReloadServer(ReloadScene& scene, size_t server, std::shared_ptr<Connection> connection)
      : scene_(scene), server_(server), connection_(std::move(connection)) {
    connection_->peer = this;
    reader_.begin(false);
  }

  void on_change() override {
    if (closed_ || std::exchange(reading_, true)) return;
    scene_.world.after(scene_.world.random.magnitude(1, 5 * kMillisecond), [this] { read(); });
  }

 private:
  void read() {
    reading_ = false;
    if (closed_) return;
    if (!request_) {
      std::string bytes = connection_->read(SIZE_MAX);
      size_t taken =
          reader_.feed(bytes, [this](std::string_view body) { body_bytes_ += body.size(); });
      if (reader_.state() == MessageReader::State::kBroken || taken < bytes.size())
        violation("an upstream was sent what is no request: " + reader_.what_is_wrong());
      if (reader_.state() == MessageReader::State::kComplete) answer();
    }
    if (connection_->reset_at_peer() || connection_->finished_at_peer()) close();
  }

  void answer() {
    std::string target = reader_.head().target();
    auto number = parse_decimal(std::string_view(target).substr(target.rfind('q') + 1));
    request_ = &scene_.requests[number.value_or(0)];
    if (std::exchange(request_->reached, true))
      violation(name_of(*request_) + " reaches a second upstream");
    if (body_bytes_ != request_->body_bytes) violation("a part of a body comes as the whole");
    if (!may_serve(scene_, *request_, server_))
      violation(name_of(*request_) + " reaches server " + std::to_string(server_) +
                ", which no configuration since it began gives it");
    wire_ = "HTTP/1.1 200 OK\r\n" + std::string(kServerField) + ": " + std::to_string(server_) +
            "\r\ncontent-type: text/event-stream\r\ncontent-length: " +
            std::to_string(request_->answer.size()) + "\r\n\r\n" + request_->answer;
    Random& random = scene_.world.random;
    pause_ns_max_ = random.magnitude(1, 500 * kMillisecond);
    write();
  }

  void write() {
    if (closed_) return;
    Random& random = scene_.world.random;
    written_ +=
        connection_->write(std::string_view(wire_).substr(written_, random.magnitude(1, 200)));
    if (written_ < wire_.size()) {
      scene_.world.after(random.magnitude(1, pause_ns_max_), [this] { write(); });
      return;
    }
    request_ = nullptr;
    written_ = body_bytes_ = 0;
    reader_.begin(false);
    on_change();
  }

  void close() {
    if (request_) violation(name_of(*request_) + " is cut at its upstream");
    closed_ = true;
    connection_->close_peer_end();
  }

  ReloadScene& scene_;
  size_t server_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{false};
  ReloadRequest* request_ = nullptr;  // that is being answered
  size_t body_bytes_ = 0;
  std::string wire_;
  size_t written_ = 0;
  uint64_t pause_ns_max_ = 0;
  bool reading_ = false;
  bool closed_ = false;
};

// Works through its requests one after the other, on one connection as long as that stays.
class ReloadClient final : public Peer {
 public:
  ReloadClient(ReloadScene& scene, int listener, size_t requests, SimulationReport& report)
      : scene_(scene), listener_(listener), left_(requests), report_(report) {
    next();
  }

  void on_change() override {
    if (!request_ || std::exchange(reading_, true)) return;
    scene_.world.after(scene_.world.random.magnitude(1, 10 * kMillisecond), [this] { read(); });
  }
  bool over() const { return left_ == 0; }

 private:
  void next() {
    scene_.world.after(scene_.world.random.magnitude(1, 3 * kSecond), [this] { ask(); });
  }

  void ask() {
    Random& random = scene_.world.random;
    if (!connection_) {
      connection_ = std::make_shared<Connection>(
          scene_.world, random.magnitude(1, 10 * kMillisecond), random.magnitude(2000, 200'000));
      connection_->peer = this;
      scene_.kernel.connect_client(listener_, connection_);
    }
    size_t number = scene_.requests.size();
    bool uploads = random.chance(0.3);
    std::string path = kPaths[random.between(0, std::size(kPaths) - 1)];
    if (path != "/") path += "/";
    std::string answer;
    for (size_t i = random.magnitude(0, 60); i > 0; --i)
      answer += "data: " + std::to_string(number) + "." + std::to_string(i) + "\n\n";
    request_ = &scene_.requests.emplace_back(
        ReloadRequest{.number = number,
                      .path = path + "q" + std::to_string(number),
                      .body_bytes = uploads ? random.magnitude(1, 20'000) : 0,
                      .answer = std::move(answer),
                      .asked_ns = scene_.world.now_ns()});
    wire_ = (uploads ? "POST " : "GET ") + request_->path + " HTTP/1.1\r\nHost: sim\r\n";
    if (uploads) wire_ += "Content-Length: " + std::to_string(request_->body_bytes) + "\r\n";
    wire_ += "\r\n" + std::string(request_->body_bytes, 'b');
    written_ = 0;
    body_.clear();
    reader_.begin(false);
    write();
  }

  void write() {
    if (!request_) return;
    Random& random = scene_.world.random;
    written_ +=
        connection_->write(std::string_view(wire_).substr(written_, random.magnitude(20, 20'000)));
    if (written_ < wire_.size())
      scene_.world.after(random.magnitude(1, 20 * kMillisecond), [this, number = request_->number] {
        if (request_ && request_->number == number) write();
      });
  }

  void read() {
    reading_ = false;
    if (!request_) return;
    reader_.feed(connection_->read(SIZE_MAX), [this](std::string_view body) { body_ += body; });
    if (reader_.state() == MessageReader::State::kBroken)
      violation("a client was sent " + reader_.what_is_wrong());
    if (reader_.state() == MessageReader::State::kComplete)
      judge();
    else if (connection_->reset_at_peer() || connection_->finished_at_peer())
      violation(name_of(*request_) + " is cut after " + std::to_string(body_.size()) + " of " +
                std::to_string(request_->answer.size()) + " bytes");
  }

  void judge() {
    const ReloadRequest& request = *request_;
    int status = reader_.head().status();
    std::optional<std::string> server = reader_.head().find(kServerField);
    std::string what = name_of(request) + " is answered " + std::to_string(status);
    ++report_.requests;
    if (server) {
      ++report_.complete;
      if (body_ != request.answer) violation(what + " with another body");
    } else {
      ++report_.refused;
      // It has waited for a connection until its time was over, by a clock of milliseconds.
      uint64_t waited_ns = scene_.world.now_ns() - request.asked_ns;
      bool waited = scene_.limited && waited_ns + kMillisecond >= kConnectTimeoutMs * kMillisecond;
      bool right = expects(scene_, request, [&](const Expected& expected) {
        return status == (waited && expected.status == 200 ? 503 : expected.status);
      });
      if (!right || status == 200)
        violation(what + ", which no configuration since it began says: " + body_);
    }
    finish();
  }

  void finish() {
    bool stays =
        reader_.head().find("connection").value_or("") != "close" && written_ == wire_.size();
    if (!stays) {
      connection_->close_peer_end();
      connection_ = nullptr;
    }
    request_ = nullptr;
    if (--left_ > 0)
      next();
    else if (connection_)
      connection_->close_peer_end();
  }

  ReloadScene& scene_;
  int listener_;
  size_t left_;
  SimulationReport& report_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  ReloadRequest* request_ = nullptr;
  std::string wire_;
  size_t written_ = 0;
  std::string body_;
  bool reading_ = false;
};

Route make_route(Random& random, const char* path) {
  Route route{.path = path, .upstreams = {}, .settings = {}};
  size_t first = random.between(0, kServers - 1);
  for (size_t k = random.between(1, 3); k > 0; --k) {
    std::string error;
    std::string port = std::to_string(kFirstPort + (first + k) % kServers);
    Address address = *parse_address("127.0.0.1:" + port, &error);
    route.upstreams.push_back({"http://" + address.text(), address.text(), address});
  }
  StreamSettings& settings = route.settings;
  settings.heal = Heal::kOff;
  settings.retries = 0;
  settings.eject_after = 0;
  settings.heartbeat_ms = 0;
  settings.connect_timeout_ms = kConnectTimeoutMs;
  settings.max_body_size = random.chance(0.3) ? random.magnitude(1, 20'000) : 0;
  settings.upstream_max_connections = random.chance(0.1) ? random.between(1, 4) : 0;
  settings.upstream_keepalive = random.between(0, 4);
  settings.upstream_keepalive_timeout_ms = random.magnitude(100, 5'000);
  return route;
}

class Reload {
 public:
  Reload(uint64_t seed, bool traced)
      : world_(~seed * 7, traced),
        weather_(make_weather(world_.random)),
        kernel_(world_, liberties()),
        gateway_(world_, kernel_, first_config(), make_features(world_.random), 100'000, kHeap) {
    kernel_.on_connect = [this](uint16_t port) { return connect(port - kFirstPort); };
  }

  SimulationReport run() {
    Random& random = world_.random;
    for (uint64_t i = random.magnitude(1, 40); i > 0; --i)
      world_.after(random.magnitude(1, 30 * kSecond), [this] { reload(); });
    for (uint64_t i = random.magnitude(1, 12); i > 0; --i)
      clients_.push_back(std::make_unique<ReloadClient>(scene_, gateway_.listener(),
                                                        random.magnitude(1, 20), report_));
    auto over = [](const auto& client) { return client->over(); };
    while (!std::ranges::all_of(clients_, over)) gateway_.turn();
    gateway_.run_until_idle(scene_.requests.size() + 3);
    gateway_.stop();
    report_.turns = gateway_.turns();
    return report_;
  }

 private:
  const Liberties& liberties() {
    Liberties& kernel = weather_.kernel;
    kernel.no_outages();
    return kernel;
  }

  Config first_config() {
    Config config = make_config(1);
    config.listen.push_back(*parse_address("127.0.0.1:8080", nullptr));
    return config;
  }

  // Each route is there with that chance.
  Config make_config(double there) {
    Config config;
    for (const char* path : kPaths)
      if (world_.random.chance(there)) config.routes.push_back(make_route(world_.random, path));
    for (const Route& route : config.routes)
      scene_.limited |= route.settings.upstream_max_connections > 0;
    scene_.eras.push_back({world_.now_ns(), config.routes});
    return config;
  }

  void reload() {
    world_.trace("another configuration");
    Config config = make_config(0.7);
    config.listen = gateway_.config().listen;
    gateway_.reload(std::move(config));
    kernel_.wake();
  }

  Kernel::Answer connect(size_t server) {
    Random& random = world_.random;
    auto connection = std::make_shared<Connection>(world_, random.magnitude(1, 10 * kMillisecond),
                                                   random.magnitude(1000, 200'000));
    servers_.push_back(std::make_unique<ReloadServer>(scene_, server, connection));
    return {connection, false};
  }

  World world_;
  Weather weather_;
  Kernel kernel_;
  ReloadScene scene_{.world = world_, .kernel = kernel_};
  CheckedGateway gateway_;
  std::vector<std::unique_ptr<ReloadServer>> servers_;
  std::vector<std::unique_ptr<ReloadClient>> clients_;
  SimulationReport report_;
};

}  // namespace

SimulationReport simulate_reload(uint64_t seed, bool traced) {
  return Reload(seed, traced).run();
}

}  // namespace sluice::sim
