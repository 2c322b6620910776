// One io_uring: submissions, completions and the buffers that the kernel fills. This header is the
// seam between sluice and the operating system's ring: core/ring.cc implements it over liburing; a
// simulation may take its place at link time. A ring belongs to the worker that created it and is
// used on that thread only.
//
// Every submission carries an id that the caller chooses (core/loop.h). The ring answers each with
// one or more completions of that id, and only the one without more() retires the operation. The
// ring copies or consumes a submission's iovecs and addresses before submit_and_wait() returns; the
// bytes that iovecs point at must live until the terminal completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/features.h"

namespace sluice {

struct Completion {
  uint64_t id;
  int32_t result;  // bytes, an fd, or a negated errno
  uint32_t flags;

  // In `flags`, as the kernel has them.
  static constexpr uint32_t kHasBuffer = 1U << 0;
  static constexpr uint32_t kMore = 1U << 1;
  static constexpr unsigned kBufferIdShift = 16;

  bool more() const { return (flags & kMore) != 0; }  // the operation goes on
  // buffer_id() names a slot that is ours now, whatever the result.
  bool has_buffer() const { return (flags & kHasBuffer) != 0; }
  uint16_t buffer_id() const { return static_cast<uint16_t>(flags >> kBufferIdShift); }
};

struct RingCounters {
  uint64_t enters = 0;
  uint64_t submissions = 0;
  uint64_t completions = 0;
  uint64_t receives = 0;  // receive operations: armed for the first time or anew
  uint64_t sends = 0;
  uint64_t overflows = 0;  // completions that did not fit the queue (the kernel kept them)
  uint64_t busy = 0;       // enters refused with EBUSY or EAGAIN and tried again
};

class Ring {
 public:
  // Tries which of `wanted` this kernel has, on a ring that is thrown away. On failure *error says
  // in one line why io_uring is refused and what to do about it.
  static bool probe(const Features& wanted, Features* available, std::string* error);

  // A ring for the calling thread. `features` come from probe().
  static std::unique_ptr<Ring> create(const Features& features, std::string* error);

  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  const Features& features() const { return features_; }
  const RingCounters& counters() const { return counters_; }

  // Accepts on a listening socket: the result is a close-on-exec fd. Multishot, for as long as
  // connections come, if the kernel has that feature; else once.
  void accept(int fd, bool multishot, uint64_t id);
  void connect(int fd, const sockaddr* address, socklen_t size, uint64_t id);
  // Receives into a slot of `group`. With multishot_recv and recv_budget the operation goes on
  // until `budget` bytes have arrived (it ends after the slot that crosses it); else it is one
  // receive of at most a slot, whatever the budget.
  void recv(int fd, uint16_t group, uint32_t budget, uint64_t id);
  // One gathered send, which may be short. `more` (MSG_MORE): a FIN is about to follow and may
  // share the last segment, which waits for it.
  void send(int fd, std::span<const iovec> pieces, bool more, uint64_t id);
  // Completes when one of `events` (poll(2)), an error or a hang-up occurs.
  void poll(int fd, uint32_t events, uint64_t id);
  void read(int fd, void* into, uint32_t size, uint64_t id);
  // Asks for the end of the operation `target`. It is a request only: the target's own terminal
  // completion says how it ended, and may still carry data.
  void cancel(uint64_t target, uint64_t id);

  // Makes a group of provided buffers with room for `entries` (a power of two up to 32768). False
  // with errno set: the kernel refused.
  bool add_buffer_group(uint16_t group, uint16_t entries);
  // Empties a group: every provided slot is ours again. Receives that are armed on the group stay
  // armed (they look the group up when data comes). False with errno set: the kernel has not taken
  // the group back, and receives find no slot until another call succeeds.
  bool reset_buffer_group(uint16_t group);
  // Queues a slot for the kernel, which sees it from publish_buffers() on.
  void provide_buffer(uint16_t group, void* data, uint32_t size, uint16_t buffer_id);
  void publish_buffers(uint16_t group);

  // Registers (pins) memory as fixed buffer `index` (below kFixedBuffersMax). False with errno set:
  // ENOMEM means that RLIMIT_MEMLOCK is too small. data = nullptr ends the registration.
  static constexpr unsigned kFixedBuffersMax = 256;
  bool register_memory(unsigned index, void* data, size_t size);

  // Submits everything and waits for a completion, or until `timeout_ns` has passed (0: does not
  // wait). One kernel entry in the usual case. The loop sleeps nowhere else. With `gather_ns` the
  // wait goes on for that long, so that one wake-up serves all that has come by then. With
  // min-wait, a wait without a completion by then goes on to the first one; without it, the wait
  // ends then in any case. Less than a microsecond is nothing.
  void submit_and_wait(uint64_t timeout_ns, uint64_t gather_ns = 0);
  // Copies completions out, in order; returns their number.
  size_t reap(std::span<Completion> into);

 private:
  struct Kernel;  // the implementation's state

  Ring();

  Features features_;
  RingCounters counters_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace sluice
