// Socket system calls outside the ring: making, shaping, shutting down. Part of the seam: a
// simulated kernel supplies its own. None of them blocks. Callable from any thread on fds that
// the caller owns.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace sluice {

// The fds block, as far as read(2) and the like go: io_uring polls by itself, and gives up with
// EAGAIN where O_NONBLOCK is set.

// A close-on-exec stream socket, TCP with TCP_NODELAY, or -1 with errno set.
int open_stream_socket(int family);
// A bound, listening socket with SO_REUSEPORT, or -1 and *error in words. `first` of its port:
// refused where anyone else listens there already, which SO_REUSEPORT alone would share with.
int open_listener(const sockaddr* address, socklen_t size, bool first, std::string* error);

void set_no_delay(int fd);
// Received data is acknowledged with what is sent, or when a timer of 40 ms runs out, not each time
// it has been read (TCP_QUICKACK off). Until that timer does run out: then the kernel goes back.
void delay_acks(int fd);
// Bytes of socket buffer; the kernel doubles them for its own bookkeeping (socket(7)).
// 0 changes nothing: the kernel's automatic sizing, unless a size was set before.
void set_receive_buffer(int fd, uint64_t bytes);
void set_send_buffer(int fd, uint64_t bytes);
// Unsent bytes beyond which a socket stops being writable (TCP_NOTSENT_LOWAT); 0: the
// system's default.
void set_unsent_low_water(int fd, uint64_t bytes);

// A peer that has gone without a word is noticed within about twice this time (in whole seconds, at
// most 9 hours): TCP probes one that has been silent for it. 0: never.
void set_keepalive(int fd, uint64_t ms);

// close_socket() will reset the connection instead of ending it in order.
void reset_on_close(int fd);
void shutdown_socket(int fd);   // both directions
void shutdown_sending(int fd);  // a FIN after what was written
void close_socket(int fd);

// Whether a receive would find nothing yet: no bytes, no end, no error. Takes nothing.
bool receive_would_wait(int fd);

// The peer's address; size 0 where there is none any more.
socklen_t peer_address(int fd, sockaddr_storage* into);
socklen_t local_address(int fd, sockaddr_storage* into);
// Bytes written that the peer has not acknowledged (SIOCOUTQ).
uint32_t unacknowledged_bytes(int fd);

}  // namespace sluice
