// How each kind of operation goes on when the kernel looks at it.
#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <utility>

#include "tests/sim/kernel_state.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kConnectGivesUpNs = 130 * kSecond;
constexpr unsigned kInterruptionsMax = 50;
constexpr uint64_t kNoAcceptNsMax = 2 * kSecond;
// What whoever waits before it tries again waits at least.
constexpr uint64_t kAcceptRestNs = 50 * kMillisecond;

}  // namespace

bool Kernel::State::ready(Op& op) {
  // An fd stays open as long as it has an operation.
  if (!op.socket) op.socket = &socket(op.fd);
  const Socket& of = *op.socket;
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

bool Kernel::State::attempt(Op& op, bool must) {
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

// Whoever tries again at once will do so as fast as it can, for as long as it lasts.
int Kernel::State::accept_error() {
  uint64_t now_ns = world.now_ns();
  if (liberties.no_accept > 0 && random().chance(liberties.no_accept))
    no_accept_until_ns = now_ns + random().magnitude(1, kNoAcceptNsMax);
  bool no_fds = random().chance(liberties.no_fds);
  if (!no_fds && now_ns >= no_accept_until_ns) return 0;
  if (accept_failed_ns != 0 && now_ns < accept_failed_ns + kAcceptRestNs)
    violation("accept has failed, and is tried again at once");
  accept_failed_ns = now_ns;
  return no_fds ? EMFILE : EPERM;
}

bool Kernel::State::attempt_accept(Op& op) {
  Socket& listener = socket(op.fd);
  if (listener.shut) {
    post(op, -EINVAL, false);
    return true;
  }
  while (!listener.backlog.empty()) {
    if (int error = accept_error(); error != 0) {
      post(op, -error, false);
      return true;
    }
    Socket accepted;
    accepted.connection = listener.backlog.front();
    listener.backlog.pop_front();
    accepted.connection->accepted_ns = world.now_ns();
    ++accepts;
    bool more = op.multishot && !random().chance(liberties.drop_more);
    post(op, new_fd(std::move(accepted)), more);
    if (!more) return true;
  }
  return false;
}

bool Kernel::State::attempt_connect(Op& op) {
  if (std::exchange(op.connecting, true)) return false;
  bool dead = op.port == kRefusingPort || op.port == kSilentPort;
  Answer answer = dead ? Answer{nullptr, op.port == kSilentPort} : kernel->on_connect(op.port);
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
    if (result == 0) {
      socket(fd).connection = answer.connection;
      ++connects;
    }
    post(*op_again, result, false);
    pending.erase(op_again);
  });
  return false;
}

bool Kernel::State::interrupts() {
  if (interruptions == kInterruptionsMax || !random().chance(liberties.interrupted)) return false;
  ++interruptions;
  return true;
}

bool Kernel::State::pick(uint16_t group, Buffer* buffer) {
  BufferGroup& from = groups[group];
  ran_dry |= from.gone || from.ring.empty();
  if (from.gone || from.ring.empty() || random().chance(liberties.no_buffer)) return false;
  *buffer = from.ring.front();
  from.ring.pop_front();
  from.held.reset(buffer->id);
  return true;
}

bool Kernel::State::attempt_recv(Op& op, bool must) {
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
    received_bytes += size;
    bool more = op.multishot && size < op.budget && !must && !random().chance(liberties.drop_more);
    op.budget -= std::min(op.budget, static_cast<uint32_t>(size));
    post(op, static_cast<int32_t>(size), more, &buffer);
    return !more;
  }
  if (!connection.to_gateway.fin_arrived()) {
    if (int error = connection.take_error(); error != 0) {
      post(op, -error, false);
      return true;
    }
  }
  if (!of.shut && !connection.has_news_for_gateway()) return false;
  bool with_buffer = random().chance(liberties.buffer_at_end) && pick(op.group, &buffer);
  post(op, 0, false, with_buffer ? &buffer : nullptr);
  return true;
}

bool Kernel::State::attempt_send(Op& op) {
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
    // A unix socket that is reset half-way through a send says how much it had sent, and no more.
    bool half_way = connection.local && bytes.size() > 1 && random().chance(0.5);
    size_t sent = half_way ? random().between(1, bytes.size() - 1) : 0;
    sent_bytes += sent;
    post(op, half_way ? static_cast<int32_t>(sent) : -error, false);
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
  sent_bytes += size;
  post(op, static_cast<int32_t>(size), false);
  return true;
}

uint32_t Kernel::State::polled(const Op& op) {
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

bool Kernel::State::attempt_poll(Op& op) {
  uint32_t events = polled(op);
  if (events == 0) return false;
  post(op, static_cast<int32_t>(events), false);
  return true;
}

}  // namespace sluice::sim
