// What came of TLS handshakes: a closed set, for counters and log, and the counters of one side of
// a worker (its clients, its upstreams). The names are the labels that operators see. The counters
// are plain integers that only the worker's thread writes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/base/record_counters.h"

namespace sluice {

enum class TlsResult : uint8_t {
  kFull,
  kResumed,
  kPlainHttp,      // the client spoke HTTP without TLS
  kVersion,        // no version that both have
  kCipher,         // nor a cipher
  kProtocol,       // nor a protocol within (ALPN)
  kCertificate,    // the peer's is not trusted
  kNoCertificate,  // the client has shown none
  kAlert,          // the peer gave up, and said so
  kInvalid,        // bytes that are no TLS, or not valid
  kAbandoned,      // ended before it was done: the peer left, or it took too long
};
inline constexpr unsigned kTlsResults = static_cast<unsigned>(TlsResult::kAbandoned) + 1;
const char* tls_result_name(TlsResult result);

enum class TlsVersion : uint8_t { kNone, k12, k13 };  // none: of a handshake that was not done
inline constexpr unsigned kTlsVersions = static_cast<unsigned>(TlsVersion::k13) + 1;
const char* tls_version_name(TlsVersion version);

struct TlsCounters {
  uint64_t& of(TlsResult result, TlsVersion version = TlsVersion::kNone) {
    return handshakes[static_cast<unsigned>(result)][static_cast<unsigned>(version)];
  }

  std::array<std::array<uint64_t, kTlsVersions>, kTlsResults> handshakes{};
  // Connections that broke behind their handshake: records that were not valid.
  uint64_t broken = 0;
  uint64_t renegotiations_refused = 0;  // of TLS 1.2
  RecordCounters records;               // of connections with lean records
};

}  // namespace sluice
