// A configuration as it is run: immutable, shared by all threads, and replaced as a whole by a
// reload. Its routes are sorted for the search, and its routes, upstreams and filters have numbers
// that stay the same over reloads (net/config/numbers.h), so that counters and connections outlive
// a snapshot. Made on the main thread; each worker counts for itself who uses one
// (net/context/config_ref.h), and the last worker to let go deletes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/config.h"
#include "net/config/upstream_board.h"

namespace sluice {

class ConfigSnapshot {
 public:
  // `before`: the snapshot that this one replaces; null for the first.
  explicit ConfigSnapshot(Config config, const ConfigSnapshot* before = nullptr);
  ConfigSnapshot(const ConfigSnapshot&) = delete;
  ConfigSnapshot& operator=(const ConfigSnapshot&) = delete;

  const Config& config() const { return config_; }
  // 1 for the first.
  uint64_t generation() const { return generation_; }
  // Sorted by path.
  const std::vector<Route>& routes() const { return config_.routes; }
  // What applies before a route is known: the default route's settings, else the global ones.
  const StreamSettings& default_settings() const { return *default_settings_; }

  // The route of a request path: the longest prefix that matches at a segment end ("/v1" matches
  // "/v1", "/v1/x" and "/v1?x", not "/v10"; a prefix that ends in "/" matches as it is). Null:
  // none.
  const Route* find_route(std::string_view path) const;

  // By the numbers of routes, upstreams and filters: also of those that only former snapshots had.
  const std::vector<std::string>& route_paths() const { return routes_.names(); }
  const std::vector<std::string>& upstream_urls() const { return upstreams_.names(); }
  const std::vector<std::string>& filter_names() const { return filters_.names(); }
  // The numbers that this snapshot has given to other routes and upstreams than the one before:
  // what is known by them is to be forgotten.
  const std::vector<uint32_t>& renamed_routes() const { return routes_.renamed(); }
  const std::vector<uint32_t>& renamed_upstreams() const { return upstreams_.renamed(); }
  // The numbers of the upstreams that its own routes name, in order.
  std::vector<uint32_t> upstreams_in_use() const;
  // The number of that url among them.
  std::optional<uint32_t> find_upstream(std::string_view url) const;
  // What workers know of upstreams by those numbers; it outlives the snapshot, like them.
  UpstreamBoard& board() const { return *board_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  void number_them();
  void link_prefixes();

  Config config_;
  uint64_t generation_ = 1;
  const StreamSettings* default_settings_;
  // For each route, the one with the longest path that begins its own.
  std::vector<uint32_t> prefixes_;
  Numbers routes_;
  Numbers upstreams_;
  Numbers filters_;
  std::vector<InUse> filters_in_use_;
  std::shared_ptr<UpstreamBoard> board_;
};

}  // namespace sluice
