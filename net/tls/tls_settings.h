// What TLS is like on either side: versions, ciphers, and what is off.
#pragma once

#include <openssl/ssl.h>

namespace sluice {

inline void set_up_versions(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Of TLS 1.2 those that are forward secret and sound (RFC 9325 section 4.2), which HTTP/2 asks
  // for, too. All that TLS 1.3 has are fine.
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // 33 KB less for a connection that is idle.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}

}  // namespace sluice
