// A gateway on a kernel made of memory (perf/memory_kernel.h), with event streams as the benchmark
// opens them: real loop, connections, parser, framer, stream and pool. Used on one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/log.h"
#include "net/dns/cares_resolver.h"
#include "net/gateway/gateway.h"
#include "perf/memory_kernel.h"
#include "pool/chain.h"

namespace sluice::perf {

inline Config to_one_upstream(Heal heal = Heal::kOff) {
  std::string error;
  Address address = *parse_address("127.0.0.1:1", &error);
  Config config;
  config.routes.push_back({.path = "/",
                           .upstreams = {{"http://" + address.text(), address.text(), address}},
                           .settings = {}});
  config.routes[0].settings.heal = heal;
  return config;
}

// What a worker makes for itself (net/gateway/worker.cc), and open event streams.
class Relay {
 public:
  explicit Relay(Config config) : config_(std::move(config)) {}
  ~Relay() {
    gateway_.abort_all();
    while (loop_.operations() > 0) loop_.turn(false);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Our ends of the connections that events come in on.
  const std::vector<int>& upstreams() const { return upstreams_; }
  Loop& loop() { return loop_; }
  Gateway& gateway() { return gateway_; }
  const std::shared_ptr<const ConfigSnapshot>& snapshot() const { return snapshot_; }
  uint64_t events() { return gateway_.metrics().events; }
  uint64_t bytes_to_clients() const {
    uint64_t bytes = 0;
    for (int client : clients_) bytes += sent_bytes(client);
    return bytes;
  }

  void open_stream(const std::string& target) {
    open_with("GET " + target + " HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n");
  }
  void turn_until_receiving(int fd) {
    for (int turns = 0; !receiving(fd); ++turns) {
      SLUICE_CHECK(turns < 10);
      loop_.turn(false);
    }
  }
  // A client that is to send requests; our end of its connection.
  int connect() {
    int client = connect_client(listener_);
    turn_until_receiving(client);
    clients_.push_back(client);
    return client;
  }
  // A chat of OpenAI's.
  void open_chat() {
    open_with(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        "content-length: 15\r\n\r\n{\"stream\":true}");
  }

 private:
  void open_with(const std::string& request) {
    arrive(connect(), request);
    loop_.turn(false);
    int upstream = latest_upstream();
    turn_until_receiving(upstream);
    arrive(upstream,
           "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
           "transfer-encoding: chunked\r\n\r\n");
    loop_.turn(false);
    turn_until_receiving(upstream);
    upstreams_.push_back(upstream);
  }

  static SlotPool::Options pool_options(const char* name, uint16_t group,
                                        const PoolSettings& settings) {
    return {name, group, static_cast<uint32_t>(settings.slot_bytes),
            static_cast<uint32_t>(settings.slots)};
  }

  static SlotPool::Options json_pool_options(const PoolSettings& settings) {
    SlotPool::Options options = pool_options("json", 2, settings);
    options.receives = false;
    return options;
  }

  Config config_;
  std::string error_;
  std::unique_ptr<Ring> ring_ = Ring::create(Features{}, &error_);
  int listener_ = open_listener();
  Loop loop_{*ring_};
  MemoryLimit memory_limit_{.bytes_max = config_.pool_max, .heap_max = config_.pool_max};
  SlotPool sse_event_{loop_, memory_limit_, pool_options("sse_event", 0, config_.pool_sse_event)};
  SlotPool http_response_{loop_, memory_limit_,
                          pool_options("http_message", 1, config_.pool_http_message)};
  SlotPool json_{loop_, memory_limit_, json_pool_options(config_.pool_json)};
  Memory memory_{sse_event_, http_response_, {}, &json_};
  LogQueue log_;
  MessageLog messages_{log_, LogLevel::kError};
  ClientLimit limit_{100'000};
  std::shared_ptr<const ConfigSnapshot> snapshot_ = std::make_shared<ConfigSnapshot>(config_);
  CaresResolver resolver_{loop_, {}};  // for names, of which there are none
  Gateway gateway_{loop_,     memory_, memory_limit_, snapshot_, {{"test", listener_}},
                   messages_, log_,    limit_,        resolver_, 0};
  std::vector<int> clients_;
  std::vector<int> upstreams_;
};

}  // namespace sluice::perf
