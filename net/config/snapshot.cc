#include "net/config/snapshot.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace sluice {
namespace {

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
    routes_ = before->routes_;
    upstreams_ = before->upstreams_;
    filters_ = before->filters_;
    filters_in_use_ = before->filters_in_use_;
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
  std::vector<std::string_view> paths;
  std::vector<std::string_view> urls;
  std::vector<std::string_view> filters;
  for (const Route& route : config_.routes) {
    paths.push_back(route.path);
    for (const Upstream& upstream : route.upstreams) urls.push_back(upstream.url);
  }
  for (const FilterRule& rule : config_.filters) filters.push_back(rule.name);
  std::vector<Numbers::Number> of_routes = routes_.give(paths);
  std::vector<Numbers::Number> of_upstreams = upstreams_.give(urls);
  std::vector<Numbers::Number> of_filters = filters_.give(filters);
  auto next_route = of_routes.begin();
  auto next_upstream = of_upstreams.begin();
  for (Route& route : config_.routes) {
    route.id = next_route->id;
    route.id_in_use = std::move(next_route++->in_use);
    for (Upstream& upstream : route.upstreams) {
      upstream.id = next_upstream->id;
      upstream.id_in_use = std::move(next_upstream++->in_use);
      upstream.url_hash = hash_text(upstream.url);
    }
  }
  for (size_t i = 0; i < of_filters.size(); ++i) {
    config_.filters[i].id = of_filters[i].id;
    filters_in_use_.resize(filters_.names().size());
    filters_in_use_[of_filters[i].id] = of_filters[i].in_use;  // they are few, and kept for good
  }
  board_->reserve(upstream_urls().size());
  for (uint32_t id : upstreams_.renamed()) board_->forget(id);
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
    if (upstream_urls()[id] == url) return id;
  return std::nullopt;
}

}  // namespace sluice
