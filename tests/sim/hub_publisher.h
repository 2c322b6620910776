// A publisher of a simulated hub: one request after the other, each to any worker. It has a stream
// of its own, of which it knows the version, and publishes to streams that all share. What gets no
// answer it sends again, if it has given it a name; and now and then it sends again what has been
// answered. It tells the judge what it was told. The simulation owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/hub_scene.h"

namespace sluice::sim {

class HubPublisher {
 public:
  HubPublisher(HubScene& scene, size_t number, uint64_t requests, uint64_t pause_ns_max);
  bool done() const { return left_ == 0 && !asking_; }
  // Nothing more after what is under way.
  void stop() { left_ = 0; }

 private:
  struct Publish {
    std::string stream;
    std::string query;
    HubCaller::Request request;
    std::vector<size_t> events;
    std::optional<int64_t> expected = {};
    bool wrong_version = false;
    bool named = false;
    bool own = false;
    unsigned tries = 0;
    uint64_t began_ns = 0;
    uint64_t sent_ns = 0;  // for the first time
    // Once it has been acknowledged:
    size_t life = 0;
    size_t process = 0;
    HubPlace last = {};
  };

  void next();
  void act();
  Publish make();
  size_t make_event(const Publish& publish, bool json, std::string& text);
  void send(const Publish& publish);
  void on_answer(Publish publish, const HubCaller::Answer& answer);
  void on_taken(Publish& publish, const HubCaller::Answer& answer);
  void on_refused(Publish& publish, const HubCaller::Answer& answer);
  void send_again_what_was_taken();
  void read_version();
  void read_back();
  void store_position();
  void ask(const HubCaller::Request& request, std::function<void()> whole,
           std::function<void(const HubCaller::Answer&)> done);
  [[noreturn]] void wrong(const std::string& what) const;

  HubScene& scene_;
  const std::string name_;
  const std::string own_stream_;
  uint64_t left_;
  uint64_t pause_ns_max_;
  bool asking_ = false;
  uint64_t keys_ = 0;
  uint64_t consumed_ = 0;
  // Of its own stream, in the process where it learnt it; nullopt: it does not know.
  std::optional<int64_t> version_ = -1;
  size_t version_process_ = 1;
  std::vector<Publish> taken_;
  std::vector<std::unique_ptr<HubCaller>> callers_;
};

}  // namespace sluice::sim
