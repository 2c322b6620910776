#include "perf/memory_kernel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <vector>

#include "core/check.h"
#include "core/ring.h"
#include "core/socket.h"

namespace sluice {

namespace {

// One operation that waits for the other end; id 0 = none.
struct Waiting {
  uint64_t id = 0;
  uint32_t budget = 0;
  uint16_t group = 0;
};

struct Socket {
  Waiting accept;
  Waiting recv;
  Waiting poll;
  uint64_t sent_bytes = 0;
};

struct Buffer {
  char* data;
  uint32_t size;
  uint16_t id;
};

// First in, first out, in an array: as a ring of provided buffers, it allocates nothing.
class BufferGroup {
 public:
  void reset(size_t entries) {
    buffers_.resize(entries);
    head_ = tail_ = 0;
  }
  void push(Buffer buffer) { buffers_[tail_++ & (buffers_.size() - 1)] = buffer; }
  Buffer pop() {
    SLUICE_CHECK(head_ != tail_);
    return buffers_[head_++ & (buffers_.size() - 1)];
  }
  size_t entries() const { return buffers_.size(); }

 private:
  std::vector<Buffer> buffers_;  // a power of two
  size_t head_ = 0;
  size_t tail_ = 0;
};

struct State {
  std::vector<Socket> sockets;
  std::vector<Completion> completions;
  size_t reaped = 0;
  std::array<BufferGroup, 4> groups;
  int latest_upstream = -1;

  int open() {
    sockets.emplace_back();
    return static_cast<int>(sockets.size() - 1);
  }
  Socket& socket(int fd) { return sockets[static_cast<size_t>(fd)]; }
  void complete(uint64_t id, int32_t result, uint32_t flags = 0) {
    completions.push_back({id, result, flags});
  }
};

State& state() {
  static State kernel;
  return kernel;
}

}  // namespace

// --- what the other ends do ---

namespace perf {

int open_listener() {
  return state().open();
}

int connect_client(int listener) {
  int fd = state().open();
  Waiting& accept = state().socket(listener).accept;
  SLUICE_CHECK(accept.id != 0);
  state().complete(accept.id, fd, Completion::kMore);
  return fd;
}

int latest_upstream() {
  return state().latest_upstream;
}

bool receiving(int fd) {
  return state().socket(fd).recv.id != 0;
}

void arrive(int fd, std::string_view bytes) {
  Waiting& recv = state().socket(fd).recv;
  SLUICE_CHECK(recv.id != 0);
  Buffer buffer = state().groups[recv.group].pop();
  auto size = static_cast<uint32_t>(bytes.size());
  SLUICE_CHECK(size <= buffer.size);
  std::memcpy(buffer.data, bytes.data(), size);
  // The receive ends after the slot that crosses its budget.
  bool more = size < recv.budget;
  uint32_t flags = Completion::kHasBuffer | uint32_t{buffer.id} << Completion::kBufferIdShift;
  state().complete(recv.id, static_cast<int32_t>(size), flags | (more ? Completion::kMore : 0));
  recv.budget -= std::min(size, recv.budget);
  if (!more) recv.id = 0;
}

uint64_t sent_bytes(int fd) {
  return state().socket(fd).sent_bytes;
}

}  // namespace perf

// --- core/ring.h ---

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
  state() = State{};
  return ring;
}

void Ring::accept(int fd, bool /*multishot*/, uint64_t id) {
  state().socket(fd).accept.id = id;
}

void Ring::connect(int fd, const sockaddr* /*address*/, socklen_t /*size*/, uint64_t id) {
  state().latest_upstream = fd;
  state().complete(id, 0);
}

void Ring::recv(int fd, uint16_t group, uint32_t budget, uint64_t id) {
  ++counters_.receives;
  state().socket(fd).recv = {id, budget, group};
}

void Ring::send(int fd, std::span<const iovec> pieces, bool /*more*/, uint64_t id) {
  ++counters_.sends;
  size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  state().socket(fd).sent_bytes += bytes;
  state().complete(id, static_cast<int32_t>(bytes));
}

void Ring::poll(int fd, uint32_t /*events*/, uint64_t id) {
  state().socket(fd).poll.id = id;
}

void Ring::read(int /*fd*/, void* /*into*/, uint32_t /*size*/, uint64_t /*id*/) {}

void Ring::cancel(uint64_t target, uint64_t id) {
  for (Socket& socket : state().sockets)
    for (Waiting* waiting : {&socket.accept, &socket.recv, &socket.poll})
      if (waiting->id == target) {
        waiting->id = 0;
        state().complete(target, -ECANCELED);
      }
  state().complete(id, 0);
}

bool Ring::add_buffer_group(uint16_t group, uint16_t entries) {
  state().groups[group].reset(entries);
  return true;
}

bool Ring::reset_buffer_group(uint16_t group) {
  state().groups[group].reset(state().groups[group].entries());
  return true;
}

void Ring::provide_buffer(uint16_t group, void* data, uint32_t size, uint16_t buffer_id) {
  state().groups[group].push({static_cast<char*>(data), size, buffer_id});
}

void Ring::publish_buffers(uint16_t /*group*/) {}

bool Ring::register_memory(unsigned /*index*/, void* /*data*/, size_t /*size*/) {
  return true;
}

void Ring::submit_and_wait(uint64_t /*timeout_ns*/, uint64_t /*gather_ns*/) {
  ++counters_.enters;
}

size_t Ring::reap(std::span<Completion> into) {
  State& kernel = state();
  size_t count = std::min(into.size(), kernel.completions.size() - kernel.reaped);
  std::copy_n(kernel.completions.data() + kernel.reaped, count, into.data());
  kernel.reaped += count;
  if (kernel.reaped == kernel.completions.size()) {
    kernel.completions.clear();
    kernel.reaped = 0;
  }
  counters_.completions += count;
  return count;
}

// --- core/socket.h ---

int open_stream_socket(int /*family*/) {
  return state().open();
}
int open_listener(const sockaddr* /*address*/, socklen_t /*size*/, bool /*first*/,
                  std::string* /*error*/) {
  return state().open();
}
void accept_with_bytes(int /*listener*/) {}
void set_no_delay(int /*fd*/) {}
void delay_acks(int /*fd*/) {}
void set_receive_buffer(int /*fd*/, uint64_t /*bytes*/) {}
void let_receive_buffer_grow(int /*fd*/, uint64_t /*most*/) {}
void hold_receive_buffer(int /*fd*/, uint64_t /*most*/) {}
bool grow_receive_buffer(int /*fd*/, uint64_t /*most*/) {
  return true;
}
void set_send_buffer(int /*fd*/, uint64_t /*bytes*/) {}
void set_unsent_low_water(int /*fd*/, uint64_t /*bytes*/) {}
void set_keepalive(int /*fd*/, uint64_t /*ms*/) {}
void reset_on_close(int /*fd*/) {}
void shutdown_socket(int /*fd*/) {}
void shutdown_sending(int /*fd*/) {}
void ignore_new_clients(int /*listener*/) {}
int accept_waiting(int /*listener*/) {
  return -1;
}
void close_socket(int /*fd*/) {}

socklen_t peer_address(int /*fd*/, sockaddr_storage* into) {
  auto* address = reinterpret_cast<sockaddr_in*>(into);
  address->sin_family = AF_INET;
  address->sin_port = 1;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return sizeof(sockaddr_in);
}
socklen_t local_address(int fd, sockaddr_storage* into) {
  return peer_address(fd, into);
}
bool receive_would_wait(int /*fd*/) {
  return true;
}
uint32_t unacknowledged_bytes(int /*fd*/) {
  return 0;
}

}  // namespace sluice
