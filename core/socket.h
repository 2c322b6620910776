// Socket system calls outside the ring: making, shaping, shutting down. Part of the seam: a
// simulated kernel supplies its own. None of them blocks. Callable from any thread on fds that
// the caller owns.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace sluice {

// The fds are blocking ones for read(2) and the like: io_uring polls by itself, and gives up with
// EAGAIN if O_NONBLOCK is set.

// A close-on-exec stream socket, TCP with TCP_NODELAY, or -1 with errno set.
int open_stream_socket(int family);
// A bound, listening socket with SO_REUSEPORT, or -1 and *error in words. `first` of its port:
// refused if any other socket listens there, since SO_REUSEPORT alone would share the port with it.
int open_listener(const sockaddr* address, socklen_t size, bool first, std::string* error);
// A client of this listener is accepted with its first bytes, or after 1 s without any
// (TCP_DEFER_ACCEPT), so that the first receive finds them.
void accept_with_bytes(int listener);

void set_no_delay(int fd);
// Lets the kernel acknowledge received data with the next send or after 40 ms, instead of after
// each read (TCP_QUICKACK off). Once that timer has run out, the kernel goes back to its own way.
void delay_acks(int fd);
// Bytes of socket buffer, which the kernel doubles for its own bookkeeping (socket(7)). 0: the
// kernel sizes the buffer, as traffic needs it; of a receive buffer, unless a size was set before.
// The receive buffer of a connection is never to become smaller: the kernel would drop what comes
// in the window that it has announced.
void set_receive_buffer(int fd, uint64_t bytes);
// What the connection is made with bounds its window for good. So a receive buffer that may grow is
// let grow before the socket connects, after its first size was set; held once it has connected;
// and then grows once. False: the system allows no more than there was (net.core.rmem_max).
void let_receive_buffer_grow(int fd, uint64_t most);
void hold_receive_buffer(int fd, uint64_t most);
bool grow_receive_buffer(int fd, uint64_t most);
void set_send_buffer(int fd, uint64_t bytes);
// With this many unsent bytes a socket stops being writable (TCP_NOTSENT_LOWAT); 0: the system's
// default.
void set_unsent_low_water(int fd, uint64_t bytes);

// TCP probes a peer that has been silent for this long, and so notices within about twice the time
// (in whole seconds, at most 9 hours) that it has vanished. 0: never.
void set_keepalive(int fd, uint64_t ms);

// Makes close_socket() reset the connection instead of ending it in order.
void reset_on_close(int fd);
void shutdown_socket(int fd);   // both directions
void shutdown_sending(int fd);  // a FIN after the written bytes
void close_socket(int fd);
// A client that has connected to a listening socket and waits; -1: none does.
int accept_waiting(int listener);
// From here on who begins to connect there gets no answer, and asks again after a second; who has
// begun goes on.
void ignore_new_clients(int listener);

// Whether a receive would find nothing yet: no bytes, no end, no error. Takes nothing.
bool receive_would_wait(int fd);

// The peer's address; size 0 if there is no peer any more.
socklen_t peer_address(int fd, sockaddr_storage* into);
socklen_t local_address(int fd, sockaddr_storage* into);
// Written bytes that the peer has not acknowledged (SIOCOUTQ).
uint32_t unacknowledged_bytes(int fd);

}  // namespace sluice
