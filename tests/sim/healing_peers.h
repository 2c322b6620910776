// The peers of simulate_healing(): a client for each script, and upstreams that serve all scripts,
// each request in a way that is drawn anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/config.h"
#include "tests/sim/http.h"
#include "tests/sim/kernel.h"

namespace sluice::sim {

// One stream as all upstreams know it.
struct HealedScript {
  std::vector<std::string> events;  // whole
  std::vector<std::string> ids;     // of these; "": none
  bool consecutive = false;         // numbers without a gap: what is missing can be told
  bool repeats = false;             // some upstream has begun further back than the ring reaches
  bool skips = false;               // some has begun too late, where that can be told
  bool ended = false;               // its latest stream was cut, and yet ended cleanly
  uint64_t answered_ns = 0;         // the latest 200
};

struct HealedTraits {
  double refuses = 0;
  double ignores = 0;
  double fails = 0;    // an answer that is no stream, and not for good
  double never = 0;    // one that is, for good
  double cuts = 0;     // the stream is cut somewhere
  double replays = 0;  // from somewhere before
  double skips = 0;    // from somewhere behind
  double cleanly = 0;  // what is cut ends cleanly
};
HealedTraits make_traits(Random& random);

struct HealedScene {
  World& world;
  StreamSettings settings;
  HealedTraits traits;
  std::vector<HealedScript> scripts = {};
  bool dead = false;  // nobody answers any more
};

class HealedUpstream final : public Peer {
 public:
  HealedUpstream(HealedScene& scene, std::shared_ptr<Connection> connection);
  void on_change() override;

 private:
  enum class End : uint8_t { kClose, kReset, kSilence };

  void answer();
  std::string head_of_failure();
  std::string stream_from(HealedScript& script, size_t first);
  size_t first_event(HealedScript& script);
  void step();
  void close(bool reset);

  HealedScene& scene_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{false};
  std::string wire_;
  size_t written_ = 0;
  End end_ = End::kClose;
  bool answering_ = false;
  bool closed_ = false;
};

class HealedClient final : public Peer {
 public:
  HealedClient(HealedScene& scene, Kernel& kernel, int listener, size_t script);
  void on_change() override;

  bool over() const { return over_; }
  bool complete() const { return complete_; }
  bool aborted() const { return over_ && !complete_ && reader_.started(); }
  // A broken stream is not kept for ever.
  void check_deadline() const;

 private:
  void read();
  void on_blocks();
  void on_block(std::string block);
  void on_event(size_t index);
  void on_end(bool cleanly);
  [[noreturn]] void wrong(const std::string& what) const;

  HealedScene& scene_;
  size_t number_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  std::string body_;
  size_t next_ = 0;  // the event that is due, of those with an id
  size_t repeats_ = 0;
  size_t missing_ = 0;
  size_t gaps_ = 0;
  uint64_t began_ns_;
  bool reading_ = false;
  bool over_ = false;
  bool complete_ = false;
};

}  // namespace sluice::sim
