// Certificates of clients: which of them count, and whom they name. A client is verified when it
// shakes hands. A session that it resumes keeps its certificate, so a session is good only where
// clients are asked for the same certificates as where it began: that is a part of its context's
// name. Used where a configuration is read, and then by handshakes, on any thread.
#pragma once

#include <string>

#include "net/tls/handles.h"

namespace sluice {

struct ClientTrust {
  std::string ca_file;  // of those who sign them, in PEM form; empty: clients are not asked
  bool required = true;
};

// Has that context ask for them. "" or what is wrong.
std::string trust_clients(ssl_ctx_st* context, const ClientTrust& trust);

// The subject of the certificate that the client has shown, as RFC 2253 writes it; "": none.
std::string client_subject(ssl_st* ssl);

}  // namespace sluice
