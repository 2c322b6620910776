// How the file descriptors that the process may have (RLIMIT_NOFILE) are shared out, so that no
// part of it takes those that another counts on: the process's own and the workers' first, then the
// admin port's clients, the demo's, and the gateway's. Pure; the server asks once, at its start.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

struct FdUsers {
  unsigned workers;
  size_t listeners;  // of each worker
  bool admin;
  bool demo;
  size_t probed = 0;       // upstreams that have a health check
  size_t stores = 0;       // of hubs
  size_t sources = 0;      // of hubs, with a connection each
  bool only_hubs = false;  // so no client has an upstream
};

struct FdShares {
  uint64_t needed;  // the least limit to start with; the rest holds from there on
  uint64_t admin_connections;
  uint64_t demo_connections;
  uint64_t clients;  // of all workers together (net/transport/client_limit.h)
};

FdShares share_fds(uint64_t limit, const FdUsers& users);

}  // namespace sluice
