// The seam, as the gateway sees it: core/ring.h, core/clock.h and core/socket.h over the fake
// kernel.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/un.h>
#include <utility>

#include "core/clock.h"
#include "core/ring.h"
#include "core/socket.h"
#include "tests/sim/kernel_state.h"
#include "tests/sim/names.h"

// --- core/ring.h ---

namespace sluice {

namespace {

sim::Kernel::State& kernel() {
  return sim::installed_kernel().state();
}

// A unix socket's is the number at the end of its path. A dead host has one of its own.
uint16_t port_of(const sockaddr* address) {
  if (address->sa_family != AF_UNIX) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    switch (ntohl(in->sin_addr.s_addr) & 0xff) {
      case sim::kRefusingHost:
        return sim::kRefusingPort;
      case sim::kSilentHost:
        return sim::kSilentPort;
      default:
        return ntohs(in->sin_port);
    }
  }
  const char* path = reinterpret_cast<const sockaddr_un*>(address)->sun_path;
  return static_cast<uint16_t>(std::strtoul(std::strrchr(path, '/') + 1, nullptr, 10));
}

}  // namespace

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
  op.port = port_of(address);
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
  of.gone = kernel().random().chance(kernel().liberties.no_group);
  if (of.gone) kernel().world.trace("  kernel: group %u is gone", group);
  return !of.gone;
}

void Ring::provide_buffer(uint16_t group, void* data, uint32_t size, uint16_t buffer_id) {
  sim::BufferGroup& of = kernel().groups[group];
  if (of.gone) sim::violation("a buffer is provided to a group that is gone");
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
  return sim::installed_kernel().open_listener();
}
void accept_with_bytes(int /*listener*/) {}  // the scene's clients speak when they like
void set_no_delay(int fd) {
  kernel().socket(fd);
}
void delay_acks(int fd) {
  kernel().socket(fd);
}
void set_receive_buffer(int fd, uint64_t /*bytes*/) {
  kernel().socket(fd);
}
void let_receive_buffer_grow(int fd, uint64_t /*most*/) {
  kernel().socket(fd);
}
void hold_receive_buffer(int fd, uint64_t /*most*/) {
  kernel().socket(fd);
}
bool grow_receive_buffer(int fd, uint64_t /*most*/) {
  kernel().socket(fd);
  return true;
}
void set_send_buffer(int fd, uint64_t /*bytes*/) {
  kernel().socket(fd);
}
void set_unsent_low_water(int fd, uint64_t /*bytes*/) {
  kernel().socket(fd);
}
void set_keepalive(int fd, uint64_t /*ms*/) {
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
void ignore_new_clients(int listener) {
  kernel().socket(listener);
}
int accept_waiting(int /*listener*/) {
  return -1;
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

bool receive_would_wait(int fd) {
  const sim::Socket& socket = kernel().socket(fd);
  return socket.connection && !socket.shut && !socket.connection->has_news_for_gateway();
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
