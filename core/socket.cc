#include "core/socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <linux/filter.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace sluice {

namespace {

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof(value));
}

int option_of(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof(value);
  getsockopt(fd, level, name, &value, &size);
  return value;
}

}  // namespace

int open_stream_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && family != AF_UNIX) set_no_delay(fd);
  return fd;
}

namespace {

// A socket that is about to listen, or -1 with errno set.
int bind_to(const sockaddr* address, socklen_t size, bool shared_port) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (shared_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (address->sa_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(fd, address, size) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

int open_listener(const sockaddr* address, socklen_t size, bool first, std::string* error) {
  // It must not listen: whoever connected to it would be reset.
  int trial = first ? bind_to(address, size, false) : -1;
  if (trial >= 0) close(trial);
  int fd = first && trial < 0 ? -1 : bind_to(address, size, true);
  if (fd >= 0 && listen(fd, SOMAXCONN) == 0) return fd;
  *error = std::strerror(errno);
  if (fd >= 0) close(fd);
  return -1;
}

void accept_with_bytes(int listener) {
  set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
}

void set_no_delay(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void delay_acks(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
}

void set_receive_buffer(int fd, uint64_t bytes) {
  if (bytes > 0) set_option(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(bytes));
}

// The window's scale is settled with the connection: for a locked size it would have no room for
// more, and without the clamp it would be as coarse as the system's largest buffer wants it.
void let_receive_buffer_grow(int fd, uint64_t most) {
  set_option(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
  set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, static_cast<int>(most));
}

// Connecting has set another clamp.
void hold_receive_buffer(int fd, uint64_t most) {
  set_option(fd, SOL_SOCKET, SO_BUF_LOCK, SOCK_RCVBUF_LOCK);
  set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, static_cast<int>(most));
}

// Newer kernels (6.18) have fitted the clamp to the small buffer since. Older ones have not, and so
// it is not set anew there: before 6.1.68 a window that is shut at that moment never opens again.
bool grow_receive_buffer(int fd, uint64_t most) {
  int before = option_of(fd, SOL_SOCKET, SO_RCVBUF);
  set_receive_buffer(fd, most);
  if (option_of(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP) < static_cast<int>(most))
    set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, static_cast<int>(most));
  return option_of(fd, SOL_SOCKET, SO_RCVBUF) > before;
}

// A size that was set holds, and the kernel sizes no more, until that lock is undone.
void set_send_buffer(int fd, uint64_t bytes) {
  if (bytes > 0) {
    set_option(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>(bytes));
    return;
  }
  int locks = option_of(fd, SOL_SOCKET, SO_BUF_LOCK);
  if ((locks & SOCK_SNDBUF_LOCK) != 0)
    set_option(fd, SOL_SOCKET, SO_BUF_LOCK, locks & ~SOCK_SNDBUF_LOCK);
}

void set_unsent_low_water(int fd, uint64_t bytes) {
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, static_cast<int>(bytes));
}

void set_keepalive(int fd, uint64_t ms) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, ms > 0 ? 1 : 0);
  if (ms == 0) return;
  auto seconds = static_cast<int>((ms + 999) / 1000);
  int probes = std::min(seconds, 4);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds / probes);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}

void reset_on_close(int fd) {
  linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void shutdown_socket(int fd) {
  shutdown(fd, SHUT_RDWR);
}
void shutdown_sending(int fd) {
  shutdown(fd, SHUT_WR);
}
int accept_waiting(int listener) {
  ::fcntl(listener, F_SETFL, O_NONBLOCK);  // it may have left meanwhile
  return accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
}

// There is no other way: listen(2) with no backlog still takes one, shutdown(2) drops all that
// wait.
void ignore_new_clients(int listener) {
  constexpr uint32_t kFlagsAt = 13;  // within the header of TCP
  constexpr uint32_t kSyn = 0x02;
  constexpr uint32_t kAck = 0x10;
  sock_filter drops_first_segments[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlagsAt),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSyn | kAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  sock_fprog program{std::size(drops_first_segments), drops_first_segments};
  setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void close_socket(int fd) {
  close(fd);
}

bool receive_would_wait(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

socklen_t peer_address(int fd, sockaddr_storage* into) {
  socklen_t size = sizeof(*into);
  return getpeername(fd, reinterpret_cast<sockaddr*>(into), &size) == 0 ? size : 0;
}

socklen_t local_address(int fd, sockaddr_storage* into) {
  socklen_t size = sizeof(*into);
  return getsockname(fd, reinterpret_cast<sockaddr*>(into), &size) == 0 ? size : 0;
}

uint32_t unacknowledged_bytes(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<uint32_t>(bytes) : 0;
}

}  // namespace sluice
