// What all peers of a simulation share: the scripts and what has become of them, and what the
// simulation knows of itself that a judgement depends on.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "net/coding/decoders.h"
#include "net/config/config.h"
#include "tests/sim/exchange.h"
#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

namespace sluice::sim {

class Judge;

struct UpstreamTraits {
  bool local = false;          // a unix socket
  double refuses = 0;          // a connection
  double ignores = 0;          // so that connecting never ends
  double closes_idle = 0;      // after a response, sooner or later
  double says_close = 0;       // with the response
  double hangs_up = 0;         // having read a request, on a connection that was used before
  double stands_still = 0;     // reads no more for a while, once it has read a request's head
  size_t read_max = SIZE_MAX;  // bytes at a time, of one that reads slowly
  uint64_t read_pause_ns = 0;  // and between two reads

  // Every request that it gets is read at once.
  bool reads() const { return stands_still == 0 && read_max == SIZE_MAX; }
  // What it is sent on a connection that it has answered on before may be lost.
  bool stale() const { return closes_idle + hangs_up > 0; }
};

struct Scene {
  World& world;
  Kernel& kernel;
  const Config* config = nullptr;
  Judge* judge = nullptr;
  std::vector<Script> scripts = {};        // by id
  std::vector<Exchange> exchanges = {};    // the same
  std::vector<UpstreamTraits> worst = {};  // by route: the most that one of its upstreams does
  bool frozen = false;                     // no peer does anything any more
  bool torn = false;                       // events may be cut through, for want of memory
  bool scarce = false;                     // memory was, at some time
  bool ample = false;                      // it cannot be
  bool punctual = true;                    // the kernel holds nobody up for long
  bool sockets = true;                     // there are some
  bool names_fail = false;                 // look-ups may, or may take too long
  bool stale = false;                      // connections that were kept alive close
  uint64_t says_close_ns = kNever;  // the process is about to end: answers end their connections
  uint64_t drains_ns = kNever;      // nobody is accepted any more
  uint64_t ends_ns = kNever;        // nor waited for
  uint64_t attempts = 0;  // requests that clients have written, each of a number of its own
  // By their numbers: what upstreams have had of a POST, whole.
  std::set<std::string> executed = {};
  uint64_t requests_reached = 0;  // heads that upstreams have read, of whoever
  std::string accepts = {};  // what HTTP/1 clients' Accept-Encoding says; empty: they send none
  uint64_t packed_seen = 0;  // answers that came in a coding
  MemoryLimit unlimited = {.bytes_max = UINT64_MAX};
  Decoders decoders{unlimited};  // of clients
  // Of clients that speak HTTP/2.
  uint64_t resets_written = 0;
  uint64_t resets_seen = 0;
  uint64_t goaways_seen = 0;
};

}  // namespace sluice::sim
