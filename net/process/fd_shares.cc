#include "net/process/fd_shares.h"

#include <algorithm>

#include "net/base/limits.h"
#include "net/httpd/httpd.h"

namespace sluice {
namespace {

// Standard streams 3, signals, workers that have stopped; the log's file, its wake-up, a file that
// is opened anew, stdout and stderr likewise; what a scrape reads of /proc 2; and as many again as
// whoever started the process may have left open.
constexpr uint64_t kProcessFds = 16;
// Ring, mailbox, and one to spare.
constexpr uint64_t kFdsPerWorker = 3;
// The socket, and the client that it may accept beyond the limit, with its upstream.
constexpr uint64_t kFdsPerListener = 3;
// Its lock; file, log and shared memory of the writer's connection and of the reader's; ballast.
constexpr uint64_t kFdsPerStore = 8;

constexpr uint64_t kAdminConnectionsMin = 4;
constexpr uint64_t kAdminConnectionsMax = 64;
// The admin port may have so much of what is left.
constexpr uint64_t kAdminFraction = 16;

}  // namespace

FdShares share_fds(uint64_t limit, const FdUsers& users) {
  uint64_t workers = users.workers;
  uint64_t own = kProcessFds + workers * (kFdsPerWorker + users.listeners * kFdsPerListener);
  own += std::min<size_t>(users.probed, limits::kProbesMax);
  own += users.stores * kFdsPerStore + users.sources;
  if (users.admin) own += Httpd::kOwnFds + kAdminConnectionsMin;
  if (users.demo) own += Httpd::kOwnFds;
  // A request takes its client's, its upstream's and, where that is the demo, the other end of it.
  uint64_t each = users.demo ? 3 : 2;
  FdShares shares{
      .needed = own + each * workers, .admin_connections = 0, .demo_connections = 0, .clients = 0};
  if (limit < shares.needed) return shares;
  uint64_t left = limit - own;
  if (users.admin) {
    uint64_t more = std::min((limit - shares.needed) / kAdminFraction,
                             kAdminConnectionsMax - kAdminConnectionsMin);
    shares.admin_connections = kAdminConnectionsMin + more;
    left -= more;
  }
  if (users.demo) {
    shares.demo_connections = std::min<uint64_t>(left / each, HttpdLimits{}.connections_max);
    left -= shares.demo_connections;
  }
  shares.clients = users.only_hubs ? left : left / 2;
  return shares;
}

}  // namespace sluice
