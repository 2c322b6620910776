// The kernel's features beyond the floor (6.1), as found by trying them, less those that
// --uring-disable forces off. Read once at start, then constant; the same for every worker.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

struct Features {
  bool defer_taskrun = true;       // 6.1: completions run when we ask, on our thread
  bool single_issuer = true;       // 6.0: the ring belongs to one thread
  bool registered_ring_fd = true;  // 5.18: spares a file lookup in every enter
  bool multishot_accept = true;    // 5.19
  bool multishot_recv = true;      // 6.0: used where the receive can carry a byte budget
  bool recv_budget = true;         // 6.17: a multishot receive that ends after so many bytes
  bool min_wait = true;            // 6.12: a wait that gathers completions for a while
  bool fixed_buffers = true;       // registered (pinned) slabs; needs RLIMIT_MEMLOCK
  bool huge_pages = true;          // for the slabs
};

struct FeatureName {
  const char* name;
  bool Features::*member;
};

inline constexpr std::array<FeatureName, 9> kFeatureNames{{
    {"defer-taskrun", &Features::defer_taskrun},
    {"single-issuer", &Features::single_issuer},
    {"registered-ring-fd", &Features::registered_ring_fd},
    {"multishot-accept", &Features::multishot_accept},
    {"multishot-recv", &Features::multishot_recv},
    {"recv-budget", &Features::recv_budget},
    {"min-wait", &Features::min_wait},
    {"fixed-buffers", &Features::fixed_buffers},
    {"huge-pages", &Features::huge_pages},
}};

// Names separated by commas. Unknown names are ignored here, since the configuration has refused
// them.
inline Features features_without(std::string_view disabled) {
  Features features;
  while (!disabled.empty()) {
    size_t comma = disabled.find(',');
    std::string_view name = disabled.substr(0, comma);
    for (const FeatureName& feature : kFeatureNames)
      if (name == feature.name) features.*feature.member = false;
    disabled.remove_prefix(comma == std::string_view::npos ? disabled.size() : comma + 1);
  }
  return features;
}

}  // namespace sluice
