// TLS 1.3 behind its handshake without OpenSSL's SSL object (--tls-records=lean): some 400 bytes a
// connection in the place of 14 KB. It is the server's side, and takes over from a TlsTransform
// whose handshake is done, which tells it all that it has to know; records and their keys are
// net/tls/lean_records.h. Owned by the WireQueue of one connection, used on its worker's thread.
//
// What a client says beside its bytes is read as RFC 8446 has it, and where it breaks a rule it
// gets the alert that the rule names and the connection is over. What is to be said in return are
// flags, not bytes: a client that asks for ever and reads nothing makes nothing grow. Keys are
// wiped as soon as nothing more is to be read, or to be said.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/base/tls_results.h"
#include "net/tls/lean_records.h"
#include "net/tls/record_sizes.h"
#include "net/transport/transform.h"

namespace sluice {

// What is left of a handshake.
struct LeanStart {
  CipherSuite suite;
  std::unique_ptr<const TrafficSecrets> secrets;  // complete
  uint64_t sealed = 0;        // records under the server's secret: tickets, and no others
  std::string said = {};      // what the handshake has to say still, those tickets among it
  std::string protocol = {};  // agreed to by ALPN
  std::string subject = {};   // of the client's certificate, if any
};

std::unique_ptr<Transform> make_lean_transform(LeanStart start, TlsCounters& counters,
                                               uint64_t records_per_key = kRecordsPerKey);

}  // namespace sluice
