// A simulated client, whatever it speaks: it asks for scripts, and knows what has become of each.
// It makes as many connections as that takes, and checks every byte of every answer against the
// script that the answer says it is of: in order, nothing twice, nothing missing, a heartbeat only
// between events or comments, and an end that is what the upstream's was. The simulation owns it,
// asks it only once it is done, and judges by its answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "tests/sim/scene.h"

namespace sluice::sim {

// How the answer to a script's request ended.
enum class Outcome : uint8_t { kNone, kComplete, kAborted, kRefused };

class Asker : public Peer {
 public:
  // `scripts` are the ids to ask for, in order.
  Asker(Scene& scene, std::vector<unsigned> scripts)
      : scene_(scene),
        scripts_(std::move(scripts)),
        outcomes_(scripts_.size()),
        statuses_(scripts_.size()),
        deprived_(scripts_.size()) {}

  virtual void start() = 0;
  bool done() const { return done_; }
  // It has waited for its answers, and read them.
  virtual bool stays() const = 0;
  // An answer that was none ends those that are behind it, too.
  virtual bool in_a_row() const { return false; }
  // It has asked for its scripts, and for nothing else.
  virtual bool checks() const { return true; }
  const std::vector<unsigned>& scripts() const { return scripts_; }
  Outcome outcome(size_t request) const { return outcomes_[request]; }
  int status(size_t request) const { return statuses_[request]; }
  // The answer ended, without a reset of the connection, before all had come that was whole where
  // its upstream stopped.
  bool deprived(size_t request) const { return deprived_[request]; }
  // Told where it left in the middle of a response.
  std::function<void(unsigned script)> on_left;

 protected:
  Scene& scene_;
  std::vector<unsigned> scripts_;
  std::vector<Outcome> outcomes_;
  std::vector<int> statuses_;
  std::vector<bool> deprived_;
  bool done_ = false;
};

}  // namespace sluice::sim
