// What the fake kernel keeps and how its operations go on: shared by kernel.cc, which is the
// simulation's side of it, and seam.cc, which is the gateway's. Owned by the Kernel.
#pragma once

#include <array>
#include <bitset>
#include <deque>
#include <list>
#include <map>
#include <span>
#include <string>
#include <sys/uio.h>
#include <vector>

#include "core/ring.h"
#include "tests/sim/kernel.h"

namespace sluice::sim {

// What a buffer holds while it is the kernel's: nobody may have use for it.
inline constexpr int kPoison = 0xdb;

enum class Kind : uint8_t { kAccept, kConnect, kRecv, kSend, kPoll, kCancel };

struct Socket;

struct Op {
  uint64_t id = 0;
  Kind kind = Kind::kAccept;
  int fd = -1;
  bool multishot = false;
  uint16_t group = 0;
  uint32_t budget = 0;
  uint32_t events = 0;
  uint16_t port = 0;
  uint64_t target = 0;
  std::vector<iovec> pieces;
  std::string bytes;             // of the pieces, when they were given
  Socket* socket = nullptr;      // of the fd, once it has been looked for
  bool connecting = false;       // the answer is on its way
  uint64_t posted_until_ns = 0;  // its completions stay in order
};

struct Buffer {
  char* data;
  uint32_t size;
  uint16_t id;
};

struct BufferGroup {
  size_t entries = 0;
  std::deque<Buffer> ring;
  std::vector<Buffer> queued;  // not published yet
  std::bitset<65536> held;     // by the kernel
  size_t on_their_way = 0;     // in completions that were not reaped
  bool emptied = false;        // and nothing provided since
  bool gone = false;           // not taken back
};

struct Socket {
  bool shut = false;          // both directions, by shutdown(2)
  bool shut_sending = false;  // one
  bool resets = false;        // when it is closed
  std::shared_ptr<Connection> connection;
  bool listens = false;
  std::deque<std::shared_ptr<Connection>> backlog;
};

struct Posted {
  Completion completion;
  int group;  // of its buffer, or -1
  int fd;
};

std::string name(const Op& op);

struct Kernel::State {
  State(World& with_world, const Liberties& with) : world(with_world), liberties(with) {}

  World& world;
  Liberties liberties;
  Kernel* kernel = nullptr;
  std::map<int, Socket> sockets;
  std::array<BufferGroup, 4> groups;
  std::deque<Op> queued;  // not submitted
  std::list<Op> pending;
  std::deque<Posted> completions;
  size_t late = 0;          // completions not posted yet
  size_t ended_unseen = 0;  // operations whose last completion was not reaped
  uint64_t overflows = 0;
  uint64_t busy = 0;
  unsigned interruptions = 0;
  uint64_t no_accept_until_ns = 0;
  uint64_t accept_failed_ns = 0;  // the last time
  bool looks_again = false;       // soon, at what was put off
  bool woken = false;             // the wait ends
  bool waits = true;              // for something to happen
  bool ran_dry = false;
  uint64_t accepts = 0;
  uint64_t connects = 0;
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
  uint64_t last_timeout_ns = 0;
  StoodStill stood_still;
  unsigned idle_turns = 0;  // without a wait or a completion

  Random& random() { return world.random; }
  int new_fd(Socket socket);
  Socket& socket(int fd);

  // What the gateway does (kernel_state.cc).
  void submit();
  void cancel(Op& op);
  void wait(uint64_t timeout_ns, uint64_t gather_ns);
  size_t reap(std::span<Completion> into);

  void post(Op& op, int32_t result, bool more, const Buffer* buffer = nullptr);
  bool overflown() const { return completions.size() > liberties.completion_entries; }
  // Lets operations go on, in any order. Those that are put off have another chance soon.
  void progress();
  void look_again();

  // How each kind of operation goes on (kernel_attempts.cc). Something would come of an attempt:
  bool ready(Op& op);
  // True: the operation has ended, at the latest if it `must`.
  bool attempt(Op& op, bool must);
  bool attempt_accept(Op& op);
  int accept_error();
  bool attempt_connect(Op& op);
  bool attempt_recv(Op& op, bool must);
  bool attempt_send(Op& op);
  bool attempt_poll(Op& op);
  uint32_t polled(const Op& op);
  // The next buffer of the group, which is the gateway's from here on.
  bool pick(uint16_t group, Buffer* buffer);
  // Seldom: a receive that is interrupted at every turn would never be found waiting.
  bool interrupts();
};

// The one that is installed.
Kernel& installed_kernel();

}  // namespace sluice::sim
