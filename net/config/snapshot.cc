#include "net/config/snapshot.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/text.h"

namespace sluice {
namespace {

// The number of a name: its place in `names`, to which a new one is added.
class Numbers {
 public:
  explicit Numbers(std::vector<std::string>& names) : names_(names) {
    for (const std::string& name : names_) by_name_.emplace(name, by_name_.size());
  }
  uint32_t of(const std::string& name) {
    auto [entry, is_new] = by_name_.try_emplace(name, by_name_.size());
    if (is_new) names_.push_back(name);
    return static_cast<uint32_t>(entry->second);
  }

 private:
  std::vector<std::string>& names_;
  std::unordered_map<std::string, size_t> by_name_;
};

// Where `path` goes on behind the prefix, a segment has ended.
bool ends_a_segment(std::string_view prefix, std::string_view path) {
  std::string_view rest = path.substr(prefix.size());
  return rest.empty() || prefix.ends_with('/') || rest.front() == '/' || rest.front() == '?';
}

}  // namespace

ConfigSnapshot::ConfigSnapshot(Config config, const ConfigSnapshot* before)
    : config_(std::move(config)) {
  if (before) {
    generation_ = before->generation_ + 1;
    route_paths_ = before->route_paths_;
    upstream_urls_ = before->upstream_urls_;
    filter_names_ = before->filter_names_;
    board_ = before->board_;
  } else {
    board_ = std::make_shared<UpstreamBoard>();
  }
  number_them();
  std::ranges::sort(config_.routes, {}, &Route::path);
  link_prefixes();
  const Route* route = find_route("/");
  default_settings_ = route ? &route->settings : &config_.defaults;
}

void ConfigSnapshot::number_them() {
  Numbers routes(route_paths_);
  Numbers upstreams(upstream_urls_);
  for (Route& route : config_.routes) {
    route.id = routes.of(route.path);
    for (Upstream& upstream : route.upstreams) {
      upstream.id = upstreams.of(upstream.url);
      upstream.url_hash = hash_text(upstream.url);
    }
  }
  Numbers filters(filter_names_);
  for (FilterRule& rule : config_.filters) rule.id = filters.of(rule.name);
  board_->reserve(upstream_urls_.size());
}

// Paths that begin with the same prefix stand together, behind that prefix. So the nearest prefix
// of a path is the one before it, or one of that one's prefixes.
void ConfigSnapshot::link_prefixes() {
  const std::vector<Route>& all = config_.routes;
  prefixes_.resize(all.size());
  for (uint32_t i = 0; i < all.size(); ++i) {
    uint32_t before = i == 0 ? kNone : i - 1;
    while (before != kNone && !all[i].path.starts_with(all[before].path))
      before = prefixes_[before];
    prefixes_[i] = before;
  }
}

const Route* ConfigSnapshot::find_route(std::string_view path) const {
  const std::vector<Route>& all = config_.routes;
  auto behind = std::ranges::upper_bound(all, path, {}, &Route::path);
  auto at = static_cast<uint32_t>(behind - all.begin() - 1);  // kNone where that is the first
  while (at != kNone) {
    const Route& route = all[at];
    if (path.starts_with(route.path) && ends_a_segment(route.path, path)) return &route;
    at = prefixes_[at];
  }
  return nullptr;
}

std::vector<uint32_t> ConfigSnapshot::upstreams_in_use() const {
  std::vector<uint32_t> ids;
  for (const Route& route : config_.routes)
    for (const Upstream& upstream : route.upstreams) ids.push_back(upstream.id);
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::optional<uint32_t> ConfigSnapshot::find_upstream(std::string_view url) const {
  for (uint32_t id : upstreams_in_use())
    if (upstream_urls_[id] == url) return id;
  return std::nullopt;
}

}  // namespace sluice
