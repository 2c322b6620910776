// What the peers note of one script's request as it goes by, so that what the gateway made of it
// can be judged by the clock (tests/sim/judge.h). The client's part starts anew with each time it
// asks, the upstream's with each time that the request reaches one. Times are the world's; 0: not
// yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/sim/network.h"

namespace sluice::sim {

// A client's request.
struct Asked {
  std::shared_ptr<Connection> client;
  uint64_t asked_ns = 0;         // its first byte was written
  uint64_t head_written_ns = 0;  // the last one of its head
  uint64_t last_written_ns = 0;
  uint64_t write_gap_ns = 0;       // the longest between two of its writes
  uint64_t header_timeout_ms = 0;  // that holds for it
  bool behind = false;             // written before the one before was answered
  bool prompt = false;             // all that comes is read at once, and there is room for it
  bool trickles = false;           // it is written slowly
  bool fin = false;                // and then a FIN is
  bool denied = false;             // which the route of one behind it does not allow
  bool left = false;

  uint64_t begun_ns() const {
    return client && client->accepted_ns > asked_ns ? client->accepted_ns : asked_ns;
  }
};

// What the upstream has done that it reached last.
struct Played {
  std::shared_ptr<Connection> upstream;
  unsigned tries = 0;
  uint64_t reached_ns = 0;    // the request's head was read
  uint64_t answered_ns = 0;   // the final head was written, whole
  uint64_t last_sent_ns = 0;  // the latest byte of the answer was written
  uint64_t progress_ns = 0;   // the latest one of its body, or of its head
  uint64_t sent_gap_ns = 0;   // the longest between two of these
  uint64_t cut_ns = 0;        // it was, beyond what its script says, too
  uint64_t ended_ns = 0;      // it was complete
  struct Sent {
    size_t body_bytes;  // of the body, so far
    size_t on_its_way;  // of these the client had not seen
    uint64_t at_ns;
  };
  std::vector<Sent> sent;
};

// And what came to its client of that.
struct Answered {
  uint64_t head_ns = 0;  // its head has come
  bool early_head = false;
  uint64_t output_ns = 0;   // the latest byte has, a heartbeat's too
  size_t seen = 0;          // bytes of the script's body
  size_t packed_bytes = 0;  // of the body, as they came in a coding
  size_t next_sent = 0;     // the first of `sent` that is not behind these
  bool over = false;
};

struct Exchange : Asked, Played, Answered {};

}  // namespace sluice::sim
