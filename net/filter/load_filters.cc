#include "net/filter/load_filters.h"

#include <algorithm>
#include <thread>

#include "core/units.h"
#include "net/filter/filters.h"

namespace sluice {

namespace {

std::string unknown(const Route& route, const std::string& name,
                    const std::vector<FilterRule>& rules) {
  std::vector<std::string> names;
  names.reserve(rules.size());
  for (const FilterRule& rule : rules) names.push_back(rule.name);
  std::string near = closest_name(name, names);
  return route.filters_where + ": no [[filter]] of the file is called '" + name + "'" +
         (near.empty() ? "" : "; did you mean " + near + "?");
}

}  // namespace

std::string load_filters(Config& config, std::vector<std::string>& warnings) {
  std::string wrong;
  std::vector<const FilterRule*> all;
  for (const FilterRule& rule : config.filters) all.push_back(&rule);
  // Also those that no route names.
  Filters every(config.filters, all, 1, wrong);
  if (!wrong.empty()) return wrong;
  unsigned workers = config.threads > 0 ? config.threads : std::thread::hardware_concurrency();
  std::vector<bool> used(all.size());
  for (Route& route : config.routes) {
    std::vector<const FilterRule*> named;
    for (const std::string& name : route.filter_names) {
      auto found = std::ranges::find(config.filters, name, &FilterRule::name);
      if (found == config.filters.end()) return unknown(route, name, config.filters);
      named.push_back(&*found);
      used[static_cast<size_t>(found - config.filters.begin())] = true;
    }
    if (!named.empty())
      route.filters = std::make_shared<const Filters>(config.filters, named, workers, wrong);
  }
  for (const FilterRule* rule : all)
    if (!used[static_cast<size_t>(rule - config.filters.data())])
      warnings.push_back(rule->where + ": no route names filter " + rule->name + ": filters = [\"" +
                         rule->name + "\"]");
  return wrong;
}

}  // namespace sluice
