// Simulated upstreams: servers on ports that accept, refuse or ignore connections, and on each
// connection a peer that reads requests and plays the script that each names.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/http.h"
#include "tests/sim/scene.h"

namespace sluice::sim {

class UpstreamPeer final : public Peer {
 public:
  UpstreamPeer(Scene& scene, const UpstreamTraits& traits, std::shared_ptr<Connection> connection);

  void on_change() override;
  // It is in the middle of that script, for the client that is to have it.
  bool plays(unsigned script) const {
    bool reads = !stands_still() && traits_.read_max == SIZE_MAX;
    bool told = closed_ || (!reads && connection_->gateway_end_closed());
    return !told && script_ && checked_ && script_->id == script;
  }

 private:
  void read();
  void read_request();
  void on_request_head();
  void on_probe();
  void go_ahead();
  void on_request_complete();
  void play();
  void step();
  void end_of_script();
  void stand_still();
  bool stands_still() const { return scene_.world.now_ns() < reads_from_ns_; }
  void close();
  void reset();
  void note_cut();
  std::string wire_of(const Script& script);
  void add_heads(const Script& script, std::string& wire);
  void note_sent();
  // What is noted of the request, where it is that of this connection.
  Exchange* exchange() const;

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
  bool gone_ahead_ = false;
  bool request_complete_ = false;
  bool playing_ = false;
  bool says_close_ = false;
  bool closed_ = false;
  uint64_t reads_from_ns_ = 0;
  bool reading_ = false;  // again, a little later
  std::string wire_;
  size_t written_ = 0;
  // Where of the wire the final head ends and each run of body bytes begins, and where that is in
  // the body; and where the upstream waits before it writes on.
  struct Run {
    size_t at;
    size_t body_at;
  };
  std::vector<Run> runs_;
  size_t run_ = 0;
  size_t head_end_ = 0;
  std::vector<size_t> waits_at_;
  unsigned served_ = 0;
};

class UpstreamServer {
 public:
  UpstreamServer(Scene& scene, const UpstreamTraits& traits) : scene_(scene), traits_(traits) {}
  UpstreamServer(const UpstreamServer&) = delete;
  UpstreamServer& operator=(const UpstreamServer&) = delete;

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
