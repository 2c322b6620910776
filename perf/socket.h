// Sockets of the load tools: non-blocking stream sockets over TCP or a unix socket, by address
// text ("127.0.0.1:9000", "[::1]:9000", ":9000", "unix:/path"). Start-up errors end the program
// with one line, since there is nothing else that a tool could do.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice::perf {

[[noreturn]] inline void die(const std::string& what, int error = 0) {
  std::fprintf(stderr, "%s%s%s\n", what.c_str(), error != 0 ? ": " : "",
               error != 0 ? std::strerror(error) : "");
  std::exit(2);
}

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* sa() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* sa() { return reinterpret_cast<sockaddr*>(&storage); }
  bool tcp() const { return storage.ss_family != AF_UNIX; }
};

inline Endpoint parse_endpoint(const std::string& text) {
  Endpoint endpoint;
  if (text.starts_with("unix:")) {
    auto* address = reinterpret_cast<sockaddr_un*>(&endpoint.storage);
    const std::string path = text.substr(5);
    if (path.empty() || path.size() >= sizeof address->sun_path) die("bad address " + text);
    address->sun_family = AF_UNIX;
    std::memcpy(address->sun_path, path.c_str(), path.size() + 1);
    endpoint.size = sizeof(sockaddr_un);
    return endpoint;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) die("bad address " + text + ": there is no port");
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                text.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) die("bad address " + text + ": " + gai_strerror(error));
  std::memcpy(&endpoint.storage, found->ai_addr, found->ai_addrlen);
  endpoint.size = found->ai_addrlen;
  freeaddrinfo(found);
  return endpoint;
}

inline uint16_t endpoint_port(const Endpoint& endpoint) {
  if (endpoint.storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&endpoint.storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&endpoint.storage)->sin_port);
}

inline void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

inline int new_socket(const Endpoint& endpoint) {
  return socket(endpoint.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// Listens, and puts the port that the kernel chose for port 0 into the endpoint.
inline int listen_on(Endpoint& endpoint) {
  const int fd = new_socket(endpoint);
  if (fd < 0) die("socket", errno);
  if (endpoint.tcp()) {
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  } else {
    unlink(reinterpret_cast<sockaddr_un*>(&endpoint.storage)->sun_path);
  }
  if (bind(fd, endpoint.sa(), endpoint.size) != 0) die("bind", errno);
  if (listen(fd, 4096) != 0) die("listen", errno);
  getsockname(fd, endpoint.sa(), &endpoint.size);
  return fd;
}

// Closes with a RST instead of a FIN.
inline void reset_socket(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

inline void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace sluice::perf
