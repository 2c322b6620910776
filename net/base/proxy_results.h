// What came of PROXY headers, which a load balancer writes before all else on a connection: a
// closed set, for counters. The names are the labels that operators see.
#pragma once

#include <cstdint>

namespace sluice {

enum class ProxyResult : uint8_t {
  kAddress,    // it names the client
  kLocal,      // it is the balancer's own connection, or of a family that has no IP address
  kMissing,    // something else came
  kInvalid,    // it begins as one, and is broken
  kTimedOut,   // it was not complete within --header-timeout
  kAbandoned,  // the peer left before it was complete
};
inline constexpr unsigned kProxyResults = static_cast<unsigned>(ProxyResult::kAbandoned) + 1;
const char* proxy_result_name(ProxyResult result);

}  // namespace sluice
