// A kernel made of memory: memory_kernel.cc implements the seam (core/ring.h, core/socket.h,
// core/clock.h) without a system call, so that what a benchmark measures is the data path's own
// time. Linked in place of sluice_kernel. Everything succeeds at once and completions keep their
// order: it measures, it tests nothing. What the other ends of the sockets do is said by the
// calls below; fds are numbers of its own. One thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::perf {

int open_listener();
// A client connects; the fd of our end.
int connect_client(int listener);
// Our end of the latest connection to an upstream.
int latest_upstream();
// Somebody receives on the socket, so that bytes may arrive.
bool receiving(int fd);
// Bytes arrive, in one slot.
void arrive(int fd, std::string_view bytes);
// Bytes sent so far.
uint64_t sent_bytes(int fd);

}  // namespace sluice::perf
