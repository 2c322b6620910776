// Simulated upstreams: servers on ports that accept, refuse or ignore connections, and on each
// connection a peer that reads requests and plays the script that each names.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/http.h"
#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

namespace sluice::sim {

// What all peers of a simulation share.
struct Scene {
  World& world;
  Kernel& kernel;
  std::vector<Script> scripts = {};  // by id
  bool frozen = false;               // no peer does anything any more
  bool torn = false;                 // events may be cut through, for want of memory
  uint64_t attempts = 0;  // requests that clients have written, each of a number of its own
  // By their numbers: what upstreams have had of a POST, whole.
  std::set<std::string> executed = {};
};

struct UpstreamTraits {
  double refuses = 0;       // a connection
  double ignores = 0;       // so that connecting never ends
  double closes_idle = 0;   // after a response, sooner or later
  double says_close = 0;    // with the response
  double hangs_up = 0;      // having read a request, on a connection that was used before
  double stands_still = 0;  // reads no more for a while, once it has read a request's head
};

class UpstreamPeer final : public Peer {
 public:
  UpstreamPeer(Scene& scene, const UpstreamTraits& traits, std::shared_ptr<Connection> connection);

  void on_change() override;
  // It is in the middle of that script, for the client that is to have it.
  bool plays(unsigned script) const {
    bool told = closed_ || (stands_still() && connection_->gateway_end_closed());
    return !told && script_ && checked_ && script_->id == script;
  }

 private:
  void read_request();
  void on_request_head();
  void on_request_complete();
  void play();
  void step();
  void end_of_script();
  void stand_still();
  bool stands_still() const { return scene_.world.now_ns() < reads_from_ns_; }
  void close();
  std::string wire_of(const Script& script);

  Scene& scene_;
  const UpstreamTraits& traits_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{false};
  std::string received_;
  std::string request_body_;
  const Script* script_ = nullptr;
  Script unknown_;  // for targets that no script has
  bool head_seen_ = false;
  bool checked_ = false;  // the request is one of a client that checks
  bool request_complete_ = false;
  bool playing_ = false;
  bool says_close_ = false;
  bool closed_ = false;
  uint64_t reads_from_ns_ = 0;
  std::string wire_;
  size_t written_ = 0;
  unsigned served_ = 0;
};

class UpstreamServer {
 public:
  UpstreamServer(Scene& scene, const UpstreamTraits& traits) : scene_(scene), traits_(traits) {}

  Kernel::Answer connect();
  // Somebody is in the middle of that script.
  bool plays(unsigned script) const;
  const UpstreamTraits& traits() const { return traits_; }

 private:
  Scene& scene_;
  UpstreamTraits traits_;
  std::vector<std::unique_ptr<UpstreamPeer>> peers_;
};

}  // namespace sluice::sim
