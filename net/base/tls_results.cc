#include "net/base/tls_results.h"

namespace sluice {

const char* tls_result_name(TlsResult result) {
  constexpr const char* kNames[kTlsResults] = {
      "full",        "resumed",        "plain_http", "version", "cipher",   "protocol",
      "certificate", "no_certificate", "alert",      "invalid", "abandoned"};
  return kNames[static_cast<unsigned>(result)];
}

const char* tls_version_name(TlsVersion version) {
  constexpr const char* kNames[kTlsVersions] = {"none", "1.2", "1.3"};
  return kNames[static_cast<unsigned>(version)];
}

}  // namespace sluice
