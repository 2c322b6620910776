// A fake kernel: seam.cc implements the seam (core/ring.h, core/socket.h, core/clock.h) over
// simulated connections in virtual time, so that the product's own objects run on it unchanged.
// It does what io_uring may do, not only what it mostly does: completes in any order across
// operations, late, or in part; ends multishot operations at will; runs out of buffers; answers a
// cancel with data, or does not find what it names; refuses entries; reports fds that ran out. One
// thread. Workers of one process have a kernel each on one world, as each has a ring of its own;
// whoever drives them installs the one whose worker runs.
//
// It also watches what only a kernel can see: buffers provided twice, sends whose bytes change
// under them, fds closed under an operation, and how many operations and buffers it holds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tests/sim/network.h"

namespace sluice::sim {

// How likely each liberty is, whenever it could be taken.
struct Liberties {
  double defer = 0;            // an operation that could go on does not yet
  double late_completion = 0;  // posted some time after what it reports
  double drop_more = 0;        // a multishot operation ends though nothing is wrong
  double short_receive = 0;    // less than there is
  double short_send = 0;       // less than there is room for
  double no_buffer = 0;        // ENOBUFS though there are some
  double buffer_at_end = 0;    // the end of the stream comes with a buffer
  double data_on_cancel = 0;   // a cancelled operation ends with data, or later
  double unfound = 0;          // a cancel does not find its operation, which goes on
  double busy = 0;             // submissions are refused, or taken in part
  double no_fds = 0;           // accept fails with EMFILE
  double no_accept = 0;        // accept fails for a while, whoever comes
  double no_socket = 0;        // socket(2) fails with EMFILE
  double no_group = 0;         // a group that was emptied is not taken back
  double interrupted = 0;      // an operation ends with EINTR
  double stopped = 0;          // the process stands still for a while
  uint64_t stopped_ns_max = 0;
  size_t completion_entries = 16384;

  // The process goes on, clients are accepted, and there are sockets: what is due, is due.
  void no_outages() { stopped = no_socket = no_accept = no_fds = 0; }
};

// In the place of a port: those of hosts that are not there (tests/sim/names.h).
inline constexpr uint16_t kRefusingPort = 0;
inline constexpr uint16_t kSilentPort = 1;

class Kernel {
 public:
  // Installs itself as the kernel that the seam's functions reach.
  Kernel(World& world, const Liberties& liberties);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // Who answers on an upstream's port: the connection, or null for a refusal. Connecting never
  // ends where `silent` is set.
  struct Answer {
    std::shared_ptr<Connection> connection;
    bool silent = false;
  };
  std::function<Answer(uint16_t port)> on_connect;

  // The seam's functions reach it from here on.
  void install();
  // Its gateway never waits: whoever drives several turns one only if there is something for it.
  void never_wait();
  // What has been submitted goes on as far as it can now. True: the gateway would find something.
  bool go_on();

  // As a message to the worker does: what waits for completions waits no longer.
  void wake();

  int open_listener();
  void connect_client(int listener, std::shared_ptr<Connection> connection);

  // Operations that the gateway has begun and has not seen the end of.
  size_t operations() const;
  // Buffers of the group that are the kernel's, or on their way to the gateway.
  size_t buffers(uint16_t group) const;
  // It was emptied, and the pool has yet to count what came back.
  bool emptied(uint16_t group) const;
  size_t open_fds() const;
  // When the process stood still last; 0: it never has.
  struct StoodStill {
    uint64_t began_ns = 0;
    uint64_t ended_ns = 0;
  };
  const StoodStill& stood_still() const;
  // How long the gateway was ready to wait, the last time.
  uint64_t last_timeout_ns() const;
  // Clients that have connected and were not accepted yet.
  size_t backlog() const;
  // A group of buffers was empty when one was wanted.
  bool ran_dry() const;
  // Since the start: clients accepted, upstreams connected to, and bytes from and to both.
  uint64_t accepted() const;
  uint64_t connected() const;
  uint64_t received_bytes() const;
  uint64_t sent_bytes() const;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace sluice::sim
