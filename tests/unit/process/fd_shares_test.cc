#include "net/process/fd_shares.h"

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/httpd/httpd.h"

namespace sluice {
namespace {

TEST(FdShares, AddUpToNoMoreThanTheLimit) {
  for (bool admin : {false, true}) {
    for (bool demo : {false, true}) {
      for (unsigned workers : {1U, 2U, 64U}) {
        FdUsers users{.workers = workers, .listeners = 2, .admin = admin, .demo = demo};
        uint64_t least = share_fds(0, users).needed;
        uint64_t own = least - uint64_t{workers} * (demo ? 3 : 2) - (admin ? 4 : 0);
        for (uint64_t limit : {least, least + 1, least + 100, least + 1000, uint64_t{1} << 20}) {
          FdShares shares = share_fds(limit, users);
          EXPECT_EQ(shares.needed, least);
          EXPECT_GE(shares.clients, workers);
          EXPECT_EQ(shares.admin_connections > 0, admin);
          // Each client may have an upstream, and that be the demo.
          uint64_t clients = shares.clients;
          EXPECT_GE(shares.demo_connections, demo ? std::min<uint64_t>(clients, 4096) : 0);
          EXPECT_LE(own + 2 * clients + shares.admin_connections + shares.demo_connections, limit);
        }
      }
    }
  }
}

TEST(FdShares, TheAdminPortHasFewAndEnough) {
  FdUsers users{.workers = 1, .listeners = 1, .admin = true, .demo = false};
  EXPECT_LE(share_fds(0, users).needed, 40U);
  EXPECT_EQ(share_fds(share_fds(0, users).needed, users).admin_connections, 4U);
  EXPECT_EQ(share_fds(2000, users).admin_connections, 64U);
  EXPECT_EQ(share_fds(1 << 20, users).admin_connections, 64U);
}

TEST(FdShares, ProbesOfUpstreamsAreSetAside) {
  FdUsers users{.workers = 1, .listeners = 1, .admin = false, .demo = false, .probed = 3};
  uint64_t clients =
      share_fds(2000, {.workers = 1, .listeners = 1, .admin = false, .demo = false}).clients;
  EXPECT_EQ(2 * (clients - share_fds(2000, users).clients), 4U) << "three, and a half of a pair";
  users.probed = 1'000'000;
  EXPECT_EQ(clients - share_fds(2000, users).clients, limits::kProbesMax / 2);
}

TEST(FdShares, StoresOfHubsAreSetAside) {
  FdUsers users{.workers = 1, .listeners = 1, .admin = false, .demo = false};
  uint64_t clients = share_fds(2000, users).clients;
  users.stores = 2;
  EXPECT_EQ(clients - share_fds(2000, users).clients, 8U) << "eight each, of two a client";
}

TEST(FdShares, SourcesOfHubsAreSetAside) {
  FdUsers users{.workers = 1, .listeners = 1, .admin = false, .demo = false, .only_hubs = true};
  uint64_t clients = share_fds(2000, users).clients;
  users.sources = 3;
  EXPECT_EQ(clients - share_fds(2000, users).clients, 3U);
}

TEST(FdShares, AHubsSubscribersHaveNoUpstream) {
  FdUsers users{.workers = 1, .listeners = 1, .admin = false, .demo = false};
  FdShares with_upstreams = share_fds(2000, users);
  users.only_hubs = true;
  FdShares shares = share_fds(2000, users);
  EXPECT_EQ(shares.clients / 2, with_upstreams.clients);
  EXPECT_EQ(shares.needed, with_upstreams.needed);
}

TEST(FdShares, BelowTheLeastOnlySayWhatThatIs) {
  FdShares shares = share_fds(20, {.workers = 2, .listeners = 1, .admin = true, .demo = true});
  EXPECT_GT(shares.needed, 20U);
  EXPECT_EQ(shares.clients, 0U);
}

}  // namespace
}  // namespace sluice
