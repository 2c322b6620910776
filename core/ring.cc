#include "core/ring.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <vector>

#include <liburing.h>

#include "core/check.h"
#include "core/limits.h"
#include "core/uring_abi.h"

namespace sluice {

static_assert(Completion::kHasBuffer == IORING_CQE_F_BUFFER);
static_assert(Completion::kMore == IORING_CQE_F_MORE);
static_assert(Completion::kBufferIdShift == IORING_CQE_BUFFER_SHIFT);

struct Ring::Kernel {
  // Groups have numbers from here on. A 6.1 kernel keeps an unregistered group below 64, with its
  // place in the ring, and would begin there when the group is registered anew.
  static constexpr uint16_t kFirstGroup = 64;

  struct BufferGroup {
    io_uring_buf_ring* ring = nullptr;
    uint16_t entries = 0;
    uint16_t queued = 0;  // provided since the last publish
  };

  io_uring ring{};
  bool open = false;
  bool registered = false;  // its fd
  std::array<BufferGroup, 4> groups{};
  bool fixed_table = false;
  std::vector<iovec> iovecs;  // of sends not yet submitted
  std::vector<msghdr> messages;
  std::vector<Completion> early;  // reaped while making room for a submission
  size_t early_taken = 0;

  ~Kernel() {
    if (open) io_uring_queue_exit(&ring);
    for (BufferGroup& group : groups)
      if (group.ring) munmap(group.ring, ring_bytes(group.entries));
  }

  static size_t ring_bytes(uint16_t entries) {
    size_t bytes = entries * sizeof(io_uring_buf);
    return (bytes + 4095) & ~size_t{4095};
  }

  void submit_queued(RingCounters& counters);
  io_uring_sqe* next_sqe(RingCounters& counters);
  int enter(unsigned wanted, uint64_t timeout_ns, uint64_t min_wait_ns);

  int init(const Features& features, unsigned sq_entries, unsigned cq_entries) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = cq_entries;
    if (features.single_issuer) params.flags |= IORING_SETUP_SINGLE_ISSUER;
    if (features.defer_taskrun && features.single_issuer)
      params.flags |= IORING_SETUP_DEFER_TASKRUN;
    else
      params.flags |= IORING_SETUP_COOP_TASKRUN;
    int error = io_uring_queue_init_params(sq_entries, &ring, &params);
    open = error == 0;
    return error;
  }

  int register_group(uint16_t group) {
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(groups[group].ring);
    registration.ring_entries = groups[group].entries;
    registration.bgid = kFirstGroup + group;
    int error = io_uring_register_buf_ring(&ring, &registration, 0);
    if (error == 0) io_uring_buf_ring_init(groups[group].ring);
    groups[group].queued = 0;
    return error;
  }
};

Ring::Ring() : kernel_(std::make_unique<Kernel>()) {}
Ring::~Ring() = default;

namespace {

std::string read_first_line(const char* path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

// One line: the cause of the refusal, and the cure.
std::string refusal_advice(int error) {
  utsname system{};
  uname(&system);
  std::string sysctl = read_first_line("/proc/sys/kernel/io_uring_disabled");
  std::string text = "io_uring is refused (" + std::string(std::strerror(error)) + "): ";
  if (error == EPERM && sysctl == "2")
    return text + "sysctl kernel.io_uring_disabled is 2; set it to 0 (or to 1 and run as root)";
  if (error == EPERM && sysctl == "1")
    return text +
           "sysctl kernel.io_uring_disabled is 1; set it to 0, or run with CAP_SYS_ADMIN or in the "
           "group of kernel.io_uring_group";
  if (error == EPERM || error == EACCES)
    return text +
           "most likely the container's seccomp profile; allow io_uring_setup, io_uring_enter and "
           "io_uring_register in it";
  if (error == ENOSYS)
    return text + "the kernel (" + system.release +
           ") has no io_uring, or a container's seccomp profile hides it; Linux 6.1 or newer and "
           "the three io_uring system calls are needed";
  if (error == ENOMEM)
    return text +
           "most likely RLIMIT_MEMLOCK is too small; raise it (ulimit -l, or LimitMEMLOCK in the "
           "service's unit)";
  if (error == EMFILE || error == ENFILE) return text + "too many open files; raise RLIMIT_NOFILE";
  return text + "the kernel is " + system.release + ", and Linux 6.1 or newer is needed";
}

// Completions of a probe, by id.
std::map<uint64_t, int> collect(io_uring& ring, unsigned count) {
  std::map<uint64_t, int> results;
  __kernel_timespec timeout{.tv_sec = 1, .tv_nsec = 0};
  while (results.size() < count) {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &timeout, nullptr) < 0 || !cqe) break;
    results[cqe->user_data] = cqe->res;
    io_uring_cqe_seen(&ring, cqe);
  }
  return results;
}

// Whether operations can be entered: a seccomp filter may let the ring be made and deny its use.
int probe_enter(io_uring& ring) {
  io_uring_prep_nop(io_uring_get_sqe(&ring));
  int submitted = io_uring_submit(&ring);
  if (submitted < 0) return submitted;
  return collect(ring, 1).empty() ? -EPERM : 0;
}

// A multishot receive on a group that has no buffers ends at once: with EINVAL where the kernel
// does not know the request, with ENOBUFS where it does.
bool probe_recv(io_uring& ring, uint16_t group, uint32_t budget) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_recv_multishot(sqe, pair[0], nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = group;
  sqe->file_index = budget;  // optlen of newer headers: the same place in the entry
  sqe->user_data = 1;
  std::map<uint64_t, int> results = collect(ring, 1);
  close(pair[0]);
  close(pair[1]);
  return results.contains(1) && results[1] != -EINVAL;
}

bool probe_accept(io_uring& ring) {
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr any{};
  any.sa_family = AF_UNIX;
  // A bare family binds an abstract name that the kernel chooses.
  if (bind(listener, &any, sizeof(any.sa_family)) != 0 || listen(listener, 1) != 0) {
    close(listener);
    return false;
  }
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_multishot_accept(sqe, listener, nullptr, nullptr, 0);
  sqe->user_data = 2;
  sqe = io_uring_get_sqe(&ring);
  io_uring_prep_cancel64(sqe, 2, 0);
  sqe->user_data = 3;
  std::map<uint64_t, int> results = collect(ring, 2);
  close(listener);
  return results.contains(2) && results[2] != -EINVAL;
}

}  // namespace

bool Ring::probe(const Features& wanted, Features* available, std::string* error) {
  Features features = wanted;
  Kernel probe;
  int result = probe.init(features, 8, 64);
  if (result == -EINVAL && features.defer_taskrun) {
    features.defer_taskrun = false;
    result = probe.init(features, 8, 64);
  }
  if (result == -EINVAL && features.single_issuer) {
    features.single_issuer = false;
    result = probe.init(features, 8, 64);
  }
  if (result != 0) {
    *error = refusal_advice(-result);
    return false;
  }
  if (!features.single_issuer) features.defer_taskrun = false;
  result = probe_enter(probe.ring);
  if (result != 0) {
    *error = refusal_advice(-result);
    return false;
  }

  void* ring_memory =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  SLUICE_CHECK(ring_memory != MAP_FAILED);
  probe.groups[0].ring = static_cast<io_uring_buf_ring*>(ring_memory);
  probe.groups[0].entries = 8;
  result = probe.register_group(0);
  if (result != 0) {
    *error = refusal_advice(-result);
    return false;
  }
  if (features.registered_ring_fd)
    features.registered_ring_fd = io_uring_register_ring_fd(&probe.ring) == 1;
  if (features.multishot_recv)
    features.multishot_recv = probe_recv(probe.ring, Kernel::kFirstGroup, 0);
  if (!features.multishot_recv) features.recv_budget = false;
  if (features.recv_budget) features.recv_budget = probe_recv(probe.ring, Kernel::kFirstGroup, 16);
  if (features.multishot_accept) features.multishot_accept = probe_accept(probe.ring);
  if (features.min_wait) features.min_wait = (probe.ring.features & IORING_FEAT_MIN_TIMEOUT) != 0;
  *available = features;
  return true;
}

std::unique_ptr<Ring> Ring::create(const Features& features, std::string* error) {
  std::unique_ptr<Ring> self(new Ring);
  self->features_ = features;
  Kernel& kernel = *self->kernel_;
  int result = kernel.init(features, limits::kSqEntries, limits::kCqEntries);
  if (result != 0) {
    *error = refusal_advice(-result);
    return nullptr;
  }
  if (features.registered_ring_fd) kernel.registered = io_uring_register_ring_fd(&kernel.ring) == 1;
  if (features.fixed_buffers)
    kernel.fixed_table = io_uring_register_buffers_sparse(&kernel.ring, kFixedBuffersMax) == 0;
  self->features_.fixed_buffers = kernel.fixed_table;
  // Never reallocated: submissions hold pointers into both until the kernel has read them.
  kernel.iovecs.reserve(limits::kIovecArena);
  kernel.messages.reserve(limits::kSqEntries);
  kernel.early.reserve(limits::kReapBatch);
  return self;
}

// Submits everything that is queued. If the kernel wants its completions reaped before it takes
// more (EBUSY), sets them aside for reap().
void Ring::Kernel::submit_queued(RingCounters& counters) {
  while (io_uring_sq_ready(&ring) > 0) {
    int submitted = io_uring_submit(&ring);
    ++counters.enters;
    if (submitted >= 0) {
      counters.submissions += static_cast<uint64_t>(submitted);
      continue;
    }
    SLUICE_CHECK(submitted == -EBUSY || submitted == -EAGAIN || submitted == -EINTR);
    ++counters.busy;
    unsigned head = 0;
    unsigned taken = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring, head, cqe) {
      early.push_back({cqe->user_data, cqe->res, cqe->flags});
      ++taken;
    }
    io_uring_cq_advance(&ring, taken);
    io_uring_get_events(&ring);
  }
  // The kernel has copied the iovecs and messages (FEAT_SUBMIT_STABLE, 5.5).
  iovecs.clear();
  messages.clear();
}

io_uring_sqe* Ring::Kernel::next_sqe(RingCounters& counters) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  if (sqe) return sqe;
  submit_queued(counters);
  return io_uring_get_sqe(&ring);
}

void Ring::accept(int fd, bool multishot, uint64_t id) {
  io_uring_sqe* sqe = kernel_->next_sqe(counters_);
  if (multishot && features_.multishot_accept)
    io_uring_prep_multishot_accept(sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
  else
    io_uring_prep_accept(sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = id;
}

void Ring::connect(int fd, const sockaddr* address, socklen_t size, uint64_t id) {
  io_uring_sqe* sqe = kernel_->next_sqe(counters_);
  io_uring_prep_connect(sqe, fd, address, size);
  sqe->user_data = id;
}

void Ring::recv(int fd, uint16_t group, uint32_t budget, uint64_t id) {
  ++counters_.receives;
  io_uring_sqe* sqe = kernel_->next_sqe(counters_);
  if (features_.multishot_recv && features_.recv_budget) {
    io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
    sqe->file_index = budget;  // optlen of newer headers: the same place in the entry
  } else {
    io_uring_prep_recv(sqe, fd, nullptr, 0, 0);
  }
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = Kernel::kFirstGroup + group;
  sqe->user_data = id;
}

void Ring::send(int fd, std::span<const iovec> pieces, bool more, uint64_t id) {
  Kernel& kernel = *kernel_;
  ++counters_.sends;
  const unsigned flags = more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
  if (pieces.size() == 1) {
    io_uring_sqe* sqe = kernel.next_sqe(counters_);
    io_uring_prep_send(sqe, fd, pieces[0].iov_base, pieces[0].iov_len, static_cast<int>(flags));
    sqe->user_data = id;
    return;
  }
  // Makes room for the entry as well: a later submission for its sake would drop the description
  // made here.
  if (kernel.iovecs.size() + pieces.size() > kernel.iovecs.capacity() ||
      kernel.messages.size() == kernel.messages.capacity() ||
      io_uring_sq_space_left(&kernel.ring) == 0)
    kernel.submit_queued(counters_);
  size_t first = kernel.iovecs.size();
  kernel.iovecs.insert(kernel.iovecs.end(), pieces.begin(), pieces.end());
  msghdr& message = kernel.messages.emplace_back();
  message.msg_iov = &kernel.iovecs[first];
  message.msg_iovlen = pieces.size();
  io_uring_sqe* sqe = kernel.next_sqe(counters_);
  io_uring_prep_sendmsg(sqe, fd, &message, flags);
  sqe->user_data = id;
}

void Ring::poll(int fd, uint32_t events, uint64_t id) {
  io_uring_sqe* sqe = kernel_->next_sqe(counters_);
  io_uring_prep_poll_add(sqe, fd, events);
  sqe->user_data = id;
}

void Ring::read(int fd, void* into, uint32_t size, uint64_t id) {
  io_uring_sqe* sqe = kernel_->next_sqe(counters_);
  io_uring_prep_read(sqe, fd, into, size, 0);
  sqe->user_data = id;
}

void Ring::cancel(uint64_t target, uint64_t id) {
  io_uring_sqe* sqe = kernel_->next_sqe(counters_);
  io_uring_prep_cancel64(sqe, target, 0);
  sqe->user_data = id;
}

bool Ring::add_buffer_group(uint16_t group, uint16_t entries) {
  SLUICE_CHECK(group < kernel_->groups.size() && !kernel_->groups[group].ring);
  void* memory = mmap(nullptr, Kernel::ring_bytes(entries), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  kernel_->groups[group].ring = static_cast<io_uring_buf_ring*>(memory);
  kernel_->groups[group].entries = entries;
  int error = kernel_->register_group(group);
  errno = -error;
  return error == 0;
}

bool Ring::reset_buffer_group(uint16_t group) {
  int result = io_uring_unregister_buf_ring(&kernel_->ring, Kernel::kFirstGroup + group);
  SLUICE_CHECK(result == 0 || result == -ENOENT);  // ENOENT: the last call did not register it
  result = kernel_->register_group(group);
  errno = -result;
  return result == 0;
}

void Ring::provide_buffer(uint16_t group, void* data, uint32_t size, uint16_t buffer_id) {
  Kernel::BufferGroup& ring = kernel_->groups[group];
  io_uring_buf_ring_add(ring.ring, data, size, buffer_id, io_uring_buf_ring_mask(ring.entries),
                        ring.queued++);
}

void Ring::publish_buffers(uint16_t group) {
  Kernel::BufferGroup& ring = kernel_->groups[group];
  if (ring.queued == 0) return;
  io_uring_buf_ring_advance(ring.ring, ring.queued);
  ring.queued = 0;
}

bool Ring::register_memory(unsigned index, void* data, size_t size) {
  if (!kernel_->fixed_table || index >= kFixedBuffersMax) return false;
  iovec memory{data, size};
  __u64 tag = 0;
  int result = io_uring_register_buffers_update_tag(&kernel_->ring, index, &memory, &tag, 1);
  errno = result < 0 ? -result : 0;
  return result == 1;
}

// One io_uring_enter(2). liburing 2.3 has no call for a minimal wait, so this publishes the entries
// as io_uring_submit() would.
int Ring::Kernel::enter(unsigned wanted, uint64_t timeout_ns, uint64_t min_wait_ns) {
  io_uring_sq& sq = ring.sq;
  sq.sqe_head = sq.sqe_tail;
  io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
  __kernel_timespec timeout{.tv_sec = static_cast<int64_t>(timeout_ns / 1'000'000'000),
                            .tv_nsec = static_cast<long long>(timeout_ns % 1'000'000'000)};
  WaitArgument argument{.sigmask = 0,
                        .sigmask_size = _NSIG / 8,
                        .min_wait_us = static_cast<uint32_t>(min_wait_ns / 1000),
                        .timeout = reinterpret_cast<uint64_t>(&timeout)};
  unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  if (registered) flags |= IORING_ENTER_REGISTERED_RING;
  return io_uring_enter2(static_cast<unsigned>(ring.enter_ring_fd), io_uring_sq_ready(&ring),
                         wanted, flags, reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
}

void Ring::submit_and_wait(uint64_t timeout_ns, uint64_t gather_ns) {
  Kernel& kernel = *kernel_;
  bool wait = timeout_ns > 0 && kernel.early_taken == kernel.early.size();
  gather_ns = std::min(gather_ns, timeout_ns) / 1000 * 1000;  // whole microseconds, as the kernel
  unsigned queued = io_uring_sq_ready(&kernel.ring);
  ++counters_.enters;
  int result = 0;
  if (!wait)
    result = kernel.enter(0, 0, 0);
  else if (gather_ns == 0)
    result = kernel.enter(1, timeout_ns, 0);
  else if (features_.min_wait)
    result = kernel.enter(limits::kGatherCompletions, timeout_ns, gather_ns);
  else
    result = kernel.enter(limits::kGatherCompletions, gather_ns, 0);
  counters_.submissions += queued - io_uring_sq_ready(&kernel.ring);
  if (result == -EBUSY || result == -EAGAIN)
    ++counters_.busy;  // reap completions first; the queued entries go next turn
  else
    SLUICE_CHECK(result >= 0 || result == -ETIME || result == -EINTR);
  if (io_uring_sq_ready(&kernel.ring) == 0) {
    kernel.iovecs.clear();
    kernel.messages.clear();
  }
  counters_.overflows = *kernel.ring.cq.koverflow;
}

size_t Ring::reap(std::span<Completion> into) {
  Kernel& kernel = *kernel_;
  size_t count = 0;
  while (count < into.size() && kernel.early_taken < kernel.early.size())
    into[count++] = kernel.early[kernel.early_taken++];
  if (kernel.early_taken == kernel.early.size()) {
    kernel.early.clear();
    kernel.early_taken = 0;
  }
  unsigned head = 0;
  unsigned taken = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&kernel.ring, head, cqe) {
    if (count == into.size()) break;
    into[count++] = {cqe->user_data, cqe->res, cqe->flags};
    ++taken;
  }
  io_uring_cq_advance(&kernel.ring, taken);
  counters_.completions += count;
  return count;
}

}  // namespace sluice
