// Follows one response body along its script, byte by byte: in order, nothing twice, nothing
// missing, a heartbeat of the gateway's only where none of the script's lines is open, and a byte
// order mark left out where, and only where, a heartbeat has overtaken it.
#pragma once

#include <cstddef>
#include <string_view>

#include "tests/sim/script.h"

namespace sluice::sim {

class BodyCheck {
 public:
  // `early`: behind a head that is the gateway's own.
  BodyCheck(const Script& script, const StreamSettings& settings, bool early);

  // What the bytes are.
  struct Fed {
    bool heartbeats = false;  // whole ones
    bool others = false;
  };
  Fed feed(std::string_view bytes);
  bool complete() const { return at_ == script_.body.size() && heartbeat_ == 0; }
  bool at_boundary() const;
  // All that was whole where the upstream stopped: behind so many bytes.
  bool complete_up_to(size_t sent) const;
  size_t at() const { return at_; }

 private:
  void own_comment();
  bool may_beat() const;

  const Script& script_;
  bool framed_;  // the gateway knows where events end
  bool beats_;
  bool early_;
  bool promised_;     // what the early head has said of the upstream's answer is right
  size_t start_ = 0;  // the first byte that is passed on
  size_t at_ = 0;
  size_t heartbeat_ = 0;  // bytes seen of one
};

}  // namespace sluice::sim
