// What the load tools add to core's sockets and net's addresses: sockets that do not block, since
// an epoll loop, unlike io_uring, wants O_NONBLOCK; one text for TCP and unix addresses
// ("127.0.0.1:9000", "[::1]:9000", ":9000", "unix:/path"). Start-up errors end the program with one
// line, since a tool could do nothing else.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/socket.h"
#include "net/base/address.h"

namespace sluice::perf {

[[noreturn]] inline void die(const std::string& what, int error = 0) {
  (void)std::fprintf(stderr, "%s%s%s\n", what.c_str(), error != 0 ? ": " : "",
                     error != 0 ? std::strerror(error) : "");
  std::exit(2);
}

inline Address address_of(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  std::string error;
  const auto address = text.starts_with(kUnix) ? unix_address(text.substr(kUnix.size()), &error)
                                               : parse_address(text, &error);
  if (!address) die("bad address: " + error);
  return *address;
}

inline void make_non_blocking(int fd) {
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl", errno);
}

// Listens (blocking), and puts the port that the kernel chose for port 0 into the address.
inline int listen_on(Address& address) {
  if (address.is_unix()) unlink(reinterpret_cast<sockaddr_un*>(address.sa())->sun_path);
  std::string error;
  const int fd = open_listener(address.sa(), address.size, false, &error);
  if (fd < 0) die("listen: " + error);
  address.size = local_address(fd, &address.storage);
  return fd;
}

inline void close_with_reset(int fd) {
  reset_on_close(fd);
  close_socket(fd);
}

inline void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace sluice::perf
