// What the fake kernel keeps and how its operations go on: shared by kernel.cc, which is the
// simulation's side of it, and seam.cc, which is the gateway's. Owned by the Kernel.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <deque>
#include <list>
#include <map>
#include <poll.h>
#include <span>
#include <string>
#include <sys/uio.h>
#include <utility>
#include <vector>

#include "core/ring.h"
#include "tests/sim/kernel.h"

namespace sluice::sim {

// Completion flags; the buffer id is in the upper half.
inline constexpr uint32_t kMore = 1;
inline constexpr uint32_t kHasBuffer = 2;
inline constexpr unsigned kBufferIdShift = 16;

inline constexpr int kFirstFd = 10;
inline constexpr uint64_t kConnectGivesUpNs = 130 * kSecond;
inline constexpr uint64_t kTurnCostNsMax = 50 * kMicrosecond;
inline constexpr uint64_t kLateNsMax = 3 * kMillisecond;
inline constexpr uint64_t kDeferNsMax = 500 * kMicrosecond;
inline constexpr unsigned kInterruptionsMax = 50;
// What a buffer holds while it is the kernel's: nobody may have use for it.
inline constexpr int kPoison = 0xdb;

enum class Kind : uint8_t { kAccept, kConnect, kRecv, kSend, kPoll, kCancel };
inline constexpr std::array<const char*, 6> kKindNames{"accept", "connect", "recv",
                                                       "send",   "poll",    "cancel"};

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
};

struct Socket {
  bool shut = false;          // both directions, by shutdown(2)
  bool shut_sending = false;  // one
  bool resets = false;        // when it is closed
  std::shared_ptr<Connection> connection;
  std::deque<std::shared_ptr<Connection>> backlog;
};

struct Posted {
  Completion completion;
  int group;  // of its buffer, or -1
  int fd;
};

inline std::string name(const Op& op) {
  return std::string(kKindNames[static_cast<size_t>(op.kind)]) + " on fd " + std::to_string(op.fd);
}

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
  bool looks_again = false;  // soon, at what was put off

  Random& random() { return world.random; }

  int new_fd(Socket socket) {
    int fd = kFirstFd;
    while (sockets.contains(fd)) ++fd;  // the lowest, as ever
    sockets.emplace(fd, std::move(socket));
    return fd;
  }
  Socket& socket(int fd) {
    auto found = sockets.find(fd);
    if (found == sockets.end()) violation("fd " + std::to_string(fd) + " is not open");
    return found->second;
  }

  // Seldom: a receive that is interrupted at every turn would never be found waiting.
  bool interrupts() {
    if (interruptions == kInterruptionsMax || !random().chance(liberties.interrupted)) return false;
    ++interruptions;
    return true;
  }

  // --- completions ---

  void post(Op& op, int32_t result, bool more, const Buffer* buffer = nullptr) {
    Posted posted{{op.id, result, more ? kMore : 0}, -1, op.fd};
    if (buffer) {
      posted.completion.flags |= kHasBuffer | uint32_t{buffer->id} << kBufferIdShift;
      posted.group = op.group;
      ++groups[op.group].on_their_way;
    }
    if (!more) ++ended_unseen;
    world.trace("  kernel: %s: %d%s%s", name(op).c_str(), result, more ? ", more" : "",
                buffer ? ", with a buffer" : "");
    uint64_t at_ns = std::max(op.posted_until_ns, world.now_ns());
    // A buffer is picked when its completion is posted (so that a group that is emptied has none
    // on their way but those in the queue), which a receive that is put off shows as well.
    if (op.kind != Kind::kRecv && random().chance(liberties.late_completion))
      at_ns += random().magnitude(1, kLateNsMax);
    op.posted_until_ns = at_ns;
    if (at_ns == world.now_ns()) {
      completions.push_back(posted);
    } else {
      ++late;
      world.after(at_ns - world.now_ns(), [this, posted] {
        --late;
        completions.push_back(posted);
      });
    }
    if (completions.size() > liberties.completion_entries) ++overflows;
  }
  bool overflown() const { return completions.size() > liberties.completion_entries; }

  // --- submission ---

  void submit() {
    size_t count = queued.size();
    if (count == 0) return;
    if (overflown() || (!completions.empty() && random().chance(liberties.busy))) {
      ++busy;
      if (overflown() || random().chance(0.5)) return;
      count = random().between(0, count);
    }
    for (; count > 0; --count) {
      Op op = std::move(queued.front());
      queued.pop_front();
      if (op.kind == Kind::kCancel)
        cancel(op);
      else
        pending.push_back(std::move(op));
    }
  }

  void cancel(Op& op) {
    auto target = std::find_if(pending.begin(), pending.end(),
                               [&op](const Op& other) { return other.id == op.target; });
    if (target == pending.end() || random().chance(liberties.unfound)) {
      post(op, -ENOENT, false);
      return;
    }
    // It may be running: then it ends with what it has.
    bool running = random().chance(liberties.data_on_cancel);
    if (running)
      attempt(*target, true);
    else
      post(*target, -ECANCELED, false);
    pending.erase(target);
    post(op, running ? -EALREADY : 0, false);
  }

  // Lets operations go on, in any order. Those that are put off have another chance soon.
  void progress() {
    std::vector<std::list<Op>::iterator> order;
    for (auto op = pending.begin(); op != pending.end(); ++op) order.push_back(op);
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random().between(0, i - 1)]);
    for (auto op : order) {
      if (!ready(*op)) continue;
      if (random().chance(liberties.defer))
        look_again();
      else if (attempt(*op, false))
        pending.erase(op);
    }
  }

  void look_again() {
    if (std::exchange(looks_again, true)) return;
    world.after(random().magnitude(1, kDeferNsMax), [this] { looks_again = false; });
  }

  // Something would come of an attempt.
  bool ready(const Op& op) {
    const Socket& of = socket(op.fd);
    switch (op.kind) {
      case Kind::kAccept:
        return of.shut || !of.backlog.empty();
      case Kind::kConnect:
        return !op.connecting;
      case Kind::kRecv:
        return of.shut || of.connection->has_news_for_gateway();
      case Kind::kSend:
        return of.shut || of.shut_sending || of.connection->reset_at_gateway() ||
               of.connection->to_peer.room() > 0;
      case Kind::kPoll:
        return polled(op) != 0;
      case Kind::kCancel:
        break;
    }
    return false;
  }

  // True: the operation has ended, at the latest if it `must`.
  bool attempt(Op& op, bool must) {
    bool ended = false;
    switch (op.kind) {
      case Kind::kAccept:
        ended = attempt_accept(op);
        break;
      case Kind::kConnect:
        ended = attempt_connect(op);
        break;
      case Kind::kRecv:
        ended = attempt_recv(op, must);
        break;
      case Kind::kSend:
        ended = attempt_send(op);
        break;
      case Kind::kPoll:
        ended = attempt_poll(op);
        break;
      case Kind::kCancel:
        break;
    }
    if (!ended && must) post(op, -ECANCELED, false);
    return ended || must;
  }

  bool attempt_accept(Op& op) {
    Socket& listener = socket(op.fd);
    if (listener.shut) {
      post(op, -EINVAL, false);
      return true;
    }
    while (!listener.backlog.empty()) {
      if (random().chance(liberties.no_fds)) {
        post(op, -EMFILE, false);
        return true;
      }
      Socket accepted;
      accepted.connection = listener.backlog.front();
      listener.backlog.pop_front();
      bool more = op.multishot && !random().chance(liberties.drop_more);
      post(op, new_fd(std::move(accepted)), more);
      if (!more) return true;
    }
    return false;
  }

  bool attempt_connect(Op& op) {
    if (std::exchange(op.connecting, true)) return false;
    Answer answer = kernel->on_connect(op.port);
    uint64_t id = op.id;
    int fd = op.fd;
    uint64_t delay_ns = answer.silent ? kConnectGivesUpNs : random().magnitude(1, 5 * kMillisecond);
    world.after(delay_ns, [this, id, fd, answer] {
      auto op_again = std::find_if(pending.begin(), pending.end(),
                                   [id](const Op& other) { return other.id == id; });
      if (op_again == pending.end()) {
        if (answer.connection) answer.connection->close_gateway_end(true);
        return;
      }
      int result = answer.silent ? -ETIMEDOUT : answer.connection ? 0 : -ECONNREFUSED;
      if (result == 0) socket(fd).connection = answer.connection;
      post(*op_again, result, false);
      pending.erase(op_again);
    });
    return false;
  }

  // The next buffer of the group, which is the gateway's from here on.
  bool pick(uint16_t group, Buffer* buffer) {
    BufferGroup& from = groups[group];
    if (from.ring.empty() || random().chance(liberties.no_buffer)) return false;
    *buffer = from.ring.front();
    from.ring.pop_front();
    from.held.reset(buffer->id);
    return true;
  }

  bool attempt_recv(Op& op, bool must) {
    Socket& of = socket(op.fd);
    Connection& connection = *of.connection;
    if (interrupts()) {
      post(op, -EINTR, false);
      return true;
    }
    Buffer buffer{};
    if (size_t readable = connection.to_gateway.readable(); readable > 0) {
      if (!pick(op.group, &buffer)) {
        post(op, -ENOBUFS, false);
        return true;
      }
      size_t size = std::min<size_t>(readable, buffer.size);
      if (random().chance(liberties.short_receive)) size = random().magnitude(1, size);
      connection.to_gateway.front(size).copy(buffer.data, size);
      connection.read_by_gateway(size);
      bool more =
          op.multishot && size < op.budget && !must && !random().chance(liberties.drop_more);
      op.budget -= std::min(op.budget, static_cast<uint32_t>(size));
      post(op, static_cast<int32_t>(size), more, &buffer);
      return !more;
    }
    if (int error = connection.take_error(); error != 0) {
      post(op, -error, false);
      return true;
    }
    if (!of.shut && !connection.has_news_for_gateway()) return false;
    bool with_buffer = random().chance(liberties.buffer_at_end) && pick(op.group, &buffer);
    post(op, 0, false, with_buffer ? &buffer : nullptr);
    return true;
  }

  bool attempt_send(Op& op) {
    Socket& of = socket(op.fd);
    Connection& connection = *of.connection;
    std::string bytes;
    for (const iovec& piece : op.pieces)
      bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    if (bytes != op.bytes)
      violation("the bytes of a send changed under it, fd " + std::to_string(op.fd));
    if (interrupts()) {
      post(op, -EINTR, false);
      return true;
    }
    if (int error = connection.take_error(); error != 0) {
      post(op, -error, false);
      return true;
    }
    if (of.shut || of.shut_sending || connection.reset_at_gateway()) {
      post(op, -EPIPE, false);
      return true;
    }
    size_t size = std::min(bytes.size(), connection.to_peer.room());
    if (size == 0) return false;
    if (random().chance(liberties.short_send)) size = random().magnitude(1, size);
    connection.send_to_peer(std::string_view(bytes).substr(0, size));
    post(op, static_cast<int32_t>(size), false);
    return true;
  }

  uint32_t polled(const Op& op) {
    const Socket& of = socket(op.fd);
    const Connection& connection = *of.connection;
    bool reset = connection.reset_at_gateway();
    bool fin = connection.to_gateway.fin_arrived();
    uint32_t events = 0;
    if (connection.to_gateway.readable() > 0 || fin || reset || of.shut) events |= POLLIN;
    if (fin || reset || of.shut) events |= POLLRDHUP;
    events &= op.events;
    if (reset) events |= POLLERR | POLLHUP;
    return events;
  }

  bool attempt_poll(Op& op) {
    uint32_t events = polled(op);
    if (events == 0) return false;
    post(op, static_cast<int32_t>(events), false);
    return true;
  }

  // --- the wait ---

  void wait(uint64_t timeout_ns, uint64_t gather_ns) {
    world.advance_to(world.now_ns() + random().between(1, kTurnCostNsMax));
    if (random().chance(liberties.stopped)) {
      uint64_t stopped_ns = random().magnitude(1, liberties.stopped_ns_max);
      world.trace("the process stands still for %.3f s", static_cast<double>(stopped_ns) / 1e9);
      world.advance_to(world.now_ns() + stopped_ns);
    }
    submit();
    progress();
    uint64_t deadline_ns = world.now_ns() + timeout_ns;
    uint64_t gathers_until_ns = world.now_ns() + std::min(gather_ns, timeout_ns);
    while (timeout_ns > 0 && (completions.empty() || world.now_ns() < gathers_until_ns)) {
      uint64_t until_ns = completions.empty() ? deadline_ns : gathers_until_ns;
      uint64_t next_ns = std::min(world.next_ns(), until_ns);
      world.advance_to(next_ns);
      progress();
      if (next_ns == until_ns) break;
    }
  }

  size_t reap(std::span<Completion> into) {
    size_t count = std::min(into.size(), completions.size());
    for (size_t i = 0; i < count; ++i) {
      const Posted& posted = completions.front();
      if (posted.group >= 0) --groups[static_cast<size_t>(posted.group)].on_their_way;
      if (!posted.completion.more()) --ended_unseen;
      into[i] = posted.completion;
      completions.pop_front();
    }
    return count;
  }
};

// The one that is installed.
Kernel& installed_kernel();

}  // namespace sluice::sim
