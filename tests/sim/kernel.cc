#include "tests/sim/kernel.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <netinet/in.h>
#include <poll.h>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/clock.h"
#include "core/ring.h"
#include "core/socket.h"

namespace sluice::sim {

namespace {

// Completion flags; the buffer id is in the upper half.
constexpr uint32_t kMore = 1;
constexpr uint32_t kHasBuffer = 2;
constexpr unsigned kBufferIdShift = 16;

constexpr int kFirstFd = 10;
constexpr uint64_t kConnectGivesUpNs = 130 * kSecond;
constexpr uint64_t kTurnCostNsMax = 50 * kMicrosecond;
constexpr uint64_t kLateNsMax = 3 * kMillisecond;
constexpr uint64_t kDeferNsMax = 500 * kMicrosecond;
constexpr unsigned kInterruptionsMax = 50;
// What a buffer holds while it is the kernel's: nobody may have use for it.
constexpr int kPoison = 0xdb;

enum class Kind : uint8_t { kAccept, kConnect, kRecv, kSend, kPoll, kCancel };
constexpr std::array<const char*, 6> kKindNames{"accept", "connect", "recv",
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

std::string name(const Op& op) {
  return std::string(kKindNames[static_cast<size_t>(op.kind)]) + " on fd " + std::to_string(op.fd);
}

}  // namespace

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
    if (target == pending.end()) {
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

namespace {

Kernel* installed = nullptr;

Kernel::State& kernel() {
  SLUICE_CHECK(installed);
  return installed->state();
}

}  // namespace

Kernel::Kernel(World& world, const Liberties& liberties)
    : state_(std::make_unique<State>(world, liberties)) {
  SLUICE_CHECK(!installed);
  installed = this;
  state_->kernel = this;
}

Kernel::~Kernel() {
  installed = nullptr;
}

int Kernel::open_listener() {
  return state_->new_fd({});
}

void Kernel::connect_client(int listener, std::shared_ptr<Connection> connection) {
  auto found = state_->sockets.find(listener);
  if (found == state_->sockets.end() || found->second.shut) {
    connection->close_gateway_end(true);
    return;
  }
  found->second.backlog.push_back(std::move(connection));
}

size_t Kernel::operations() const {
  return state_->queued.size() + state_->pending.size() + state_->ended_unseen;
}

size_t Kernel::buffers(uint16_t group) const {
  const BufferGroup& of = state_->groups[group];
  return of.ring.size() + of.queued.size() + of.on_their_way;
}

bool Kernel::emptied(uint16_t group) const {
  return state_->groups[group].emptied;
}

size_t Kernel::backlog() const {
  size_t waiting = 0;
  for (const auto& [fd, socket] : state_->sockets) waiting += socket.backlog.size();
  return waiting;
}

size_t Kernel::open_fds() const {
  return state_->sockets.size();
}

}  // namespace sluice::sim

// --- core/ring.h ---

namespace sluice {

using sim::kernel;

bool Completion::more() const {
  return (flags & sim::kMore) != 0;
}
bool Completion::has_buffer() const {
  return (flags & sim::kHasBuffer) != 0;
}
uint16_t Completion::buffer_id() const {
  return static_cast<uint16_t>(flags >> sim::kBufferIdShift);
}

struct Ring::Kernel {};

Ring::Ring() : kernel_(std::make_unique<Kernel>()) {}
Ring::~Ring() = default;

bool Ring::probe(const Features& wanted, Features* available, std::string* /*error*/) {
  *available = wanted;
  return true;
}

std::unique_ptr<Ring> Ring::create(const Features& features, std::string* /*error*/) {
  std::unique_ptr<Ring> ring(new Ring);
  ring->features_ = features;
  return ring;
}

void Ring::accept(int fd, bool multishot, uint64_t id) {
  sim::Op op;
  op.id = id;
  op.kind = sim::Kind::kAccept;
  op.fd = fd;
  op.multishot = multishot && features_.multishot_accept;
  kernel().queued.push_back(std::move(op));
}

void Ring::connect(int fd, const sockaddr* address, socklen_t /*size*/, uint64_t id) {
  sim::Op op;
  op.id = id;
  op.kind = sim::Kind::kConnect;
  op.fd = fd;
  op.port = ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port);
  kernel().queued.push_back(std::move(op));
}

void Ring::recv(int fd, uint16_t group, uint32_t budget, uint64_t id) {
  ++counters_.receives;
  sim::Op op;
  op.id = id;
  op.kind = sim::Kind::kRecv;
  op.fd = fd;
  op.group = group;
  op.budget = budget;
  op.multishot = features_.multishot_recv && features_.recv_budget;
  kernel().queued.push_back(std::move(op));
}

void Ring::send(int fd, std::span<const iovec> pieces, bool /*more*/, uint64_t id) {
  ++counters_.sends;
  sim::Op op;
  op.id = id;
  op.kind = sim::Kind::kSend;
  op.fd = fd;
  op.pieces.assign(pieces.begin(), pieces.end());
  for (const iovec& piece : pieces)
    op.bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  if (op.bytes.empty()) sim::violation("a send of nothing");
  kernel().queued.push_back(std::move(op));
}

void Ring::poll(int fd, uint32_t events, uint64_t id) {
  sim::Op op;
  op.id = id;
  op.kind = sim::Kind::kPoll;
  op.fd = fd;
  op.events = events;
  kernel().queued.push_back(std::move(op));
}

void Ring::read(int /*fd*/, void* /*into*/, uint32_t /*size*/, uint64_t /*id*/) {
  sim::violation("nothing in a simulation is read from");
}

void Ring::cancel(uint64_t target, uint64_t id) {
  sim::Op op;
  op.id = id;
  op.kind = sim::Kind::kCancel;
  op.target = target;
  kernel().queued.push_back(std::move(op));
}

bool Ring::add_buffer_group(uint16_t group, uint16_t entries) {
  kernel().groups[group].entries = entries;
  return true;
}

bool Ring::reset_buffer_group(uint16_t group) {
  sim::BufferGroup& of = kernel().groups[group];
  of.ring.clear();
  of.queued.clear();
  of.held.reset();
  of.emptied = true;
  return true;
}

void Ring::provide_buffer(uint16_t group, void* data, uint32_t size, uint16_t buffer_id) {
  sim::BufferGroup& of = kernel().groups[group];
  if (of.held.test(buffer_id)) sim::violation("a buffer is provided twice");
  of.held.set(buffer_id);
  of.emptied = false;
  of.queued.push_back({static_cast<char*>(data), size, buffer_id});
  if (of.ring.size() + of.queued.size() > of.entries)
    sim::violation("more buffers are provided than their ring has room for");
}

void Ring::publish_buffers(uint16_t group) {
  sim::BufferGroup& of = kernel().groups[group];
  for (const sim::Buffer& buffer : of.queued) {
    std::memset(buffer.data, sim::kPoison, buffer.size);
    of.ring.push_back(buffer);
  }
  of.queued.clear();
}

bool Ring::register_memory(unsigned /*index*/, void* /*data*/, size_t /*size*/) {
  return true;
}

void Ring::submit_and_wait(uint64_t timeout_ns, uint64_t gather_ns) {
  ++counters_.enters;
  kernel().wait(timeout_ns, gather_ns);
  counters_.overflows = kernel().overflows;
  counters_.busy = kernel().busy;
}

size_t Ring::reap(std::span<Completion> into) {
  size_t count = kernel().reap(into);
  counters_.completions += count;
  return count;
}

// --- core/clock.h ---

uint64_t monotonic_ns() {
  return kernel().world.now_ns();
}
uint64_t thread_cpu_ns() {
  return kernel().world.now_ns() / 2;
}
uint64_t wall_clock_ms() {
  return kernel().world.now_ns() / 1'000'000;
}

// --- core/socket.h ---

int open_stream_socket(int /*family*/) {
  if (kernel().random().chance(kernel().liberties.no_socket)) {
    errno = EMFILE;
    return -1;
  }
  return kernel().new_fd({});
}
int open_listener(const sockaddr* /*address*/, socklen_t /*size*/, bool /*first*/,
                  std::string* /*error*/) {
  return sim::installed->open_listener();
}
void set_no_delay(int fd) {
  kernel().socket(fd);
}
void delay_acks(int fd) {
  kernel().socket(fd);
}
void set_receive_buffer(int fd, uint64_t /*bytes*/) {
  kernel().socket(fd);
}
void set_send_buffer(int fd, uint64_t /*bytes*/) {
  kernel().socket(fd);
}
void set_unsent_low_water(int fd, uint64_t /*bytes*/) {
  kernel().socket(fd);
}
void reset_on_close(int fd) {
  kernel().socket(fd).resets = true;
}
void shutdown_socket(int fd) {
  sim::Socket& socket = kernel().socket(fd);
  socket.shut = true;
  if (socket.connection) socket.connection->finish_to_peer();
  for (const auto& waiting : std::exchange(socket.backlog, {})) waiting->close_gateway_end(true);
}
void shutdown_sending(int fd) {
  sim::Socket& socket = kernel().socket(fd);
  socket.shut_sending = true;
  if (socket.connection) socket.connection->finish_to_peer();
}
void close_socket(int fd) {
  sim::Kernel::State& state = kernel();
  sim::Socket& socket = state.socket(fd);
  for (const sim::Op& op : state.pending)
    if (op.fd == fd) sim::violation("closed under an operation: " + sim::name(op));
  for (const sim::Op& op : state.queued)
    if (op.fd == fd) sim::violation("closed before it was submitted: " + sim::name(op));
  state.world.trace("  kernel: fd %d is closed%s", fd, socket.resets ? ", resetting" : "");
  if (socket.connection) socket.connection->close_gateway_end(socket.resets);
  state.sockets.erase(fd);
}

socklen_t peer_address(int fd, sockaddr_storage* into) {
  auto* address = reinterpret_cast<sockaddr_in*>(into);
  address->sin_family = AF_INET;
  address->sin_port = htons(static_cast<uint16_t>(fd));
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return sizeof(sockaddr_in);
}
socklen_t local_address(int fd, sockaddr_storage* into) {
  return peer_address(fd, into);
}
uint32_t unacknowledged_bytes(int fd) {
  const sim::Socket& socket = kernel().socket(fd);
  return socket.connection ? static_cast<uint32_t>(socket.connection->to_peer.travelling()) : 0;
}

}  // namespace sluice
