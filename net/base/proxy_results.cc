#include "net/base/proxy_results.h"

namespace sluice {

const char* proxy_result_name(ProxyResult result) {
  constexpr const char* kNames[kProxyResults] = {"address", "local",     "missing",
                                                 "invalid", "timed_out", "abandoned"};
  return kNames[static_cast<unsigned>(result)];
}

}  // namespace sluice
