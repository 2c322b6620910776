// TLS between a socket and its protocol: OpenSSL's SSL object, fed with whole records and drained
// into slots. A record that came in one piece is opened in its place; events that leave together
// share a record. Records are small after a pause, so that a client can use the first bytes at
// once, and as large as a slot once there is much to send. Owned by the WireQueue of one
// connection, used on its worker's thread; it counts how its handshake ended. Bytes that are not
// valid, and peers that are refused, break it for good: what it says then is an alert. A key seals
// so many records: then another one takes its place, which TLS 1.2 has no way to do. There the
// connection breaks.
#pragma once

#include <cstdint>
#include <memory>

#include "net/base/tls_results.h"
#include "net/tls/handles.h"
#include "net/tls/record_sizes.h"
#include "net/transport/transform.h"

namespace sluice {

// `settings`: what the object's callbacks use, and a server's context is a part of; it lives as
// long as the handshake of a server, and as the transform of a client.
std::unique_ptr<Transform> make_tls_server(ssl_ctx_st& context,
                                           std::shared_ptr<const void> settings,
                                           TlsCounters& counters,
                                           uint64_t records_per_key = kRecordsPerKey);
std::unique_ptr<Transform> make_tls_client(Handle<ssl_st> ssl, std::shared_ptr<const void> settings,
                                           TlsCounters& counters,
                                           uint64_t records_per_key = kRecordsPerKey);

// Of any context for these, which refuses them by itself.
void count_renegotiations(ssl_ctx_st* context);

// Of a server's context: a connection with TLS 1.3 goes on without its SSL object once its
// handshake is done (net/tls/lean_transform.h), if its cipher allows that.
void let_go_after_handshakes(ssl_ctx_st* context);

}  // namespace sluice
