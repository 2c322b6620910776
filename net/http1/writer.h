// Writes messages as HTTP/1 has them (RFC 9112). Both directions drop hop-by-hop fields and those
// that Connection names; naming a field that we own does not remove it. Start lines and framing
// fields are always written anew, so the next hop reads what our parser understood. Without state,
// for any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/head.h"
#include "net/http/message_writer.h"
#include "net/http/rewrite.h"

namespace sluice {

// One chunk for the bytes that leave together.
extern const BodyFraming kChunkedFraming;

class Http1ResponseWriter final : public ResponseWriter {
 public:
  explicit constexpr Http1ResponseWriter(bool client_http10) : client_http10_(client_http10) {}

  // Keeps the upstream's Content-Length, except for event streams, into which we write. Any other
  // body is chunked; towards HTTP/1.0 it ends with the connection, and `Connection: close` goes out
  // whatever rewrite.keep_alive says.
  WrittenHead write_head(const Head& head, const ResponseRewrite& rewrite,
                         std::string& out) const override;
  WrittenHead write_early_head(bool keep_alive, std::string_view date,
                               std::string& out) const override;
  // HTTP/1.0 has no interim responses (RFC 9110 section 15.2).
  bool knows_interim() const override { return !client_http10_; }
  void write_interim_head(const Head& head, std::string& out) const override;
  // application/problem+json (RFC 9457) with Content-Length. An HTTP/1.0 client would have to be
  // told that the connection stays, so it ends.
  bool write_problem(const ProblemResponse& problem, std::string& out) const override;

 private:
  bool client_http10_;
};
// For a client that speaks HTTP/1.`version_minor`.
const Http1ResponseWriter& http1_response_writer(uint8_t version_minor);

class Http1RequestWriter final : public RequestWriter {
 public:
  // HTTP/1.1, with the body framing of the client's message (Content-Length kept, chunked kept) and
  // keep-alive. The target goes out in origin-form (or * for OPTIONS); Host is the client's, or the
  // authority of an absolute-form target. For a trusted client, adds to X-Forwarded-For and keeps
  // the last X-Forwarded-Proto and -Host; else writes its own (the host is the request's). Other
  // fields about the client (X-Forwarded-*, X-Real-IP, Forwarded) pass from trusted clients only. A
  // field that differs from one of ours by '_' for '-' never passes. Max-Forwards of TRACE and
  // OPTIONS is decremented.
  const BodyFraming* write_head(const Head& head, const RequestRewrite& rewrite,
                                std::string& out) const override;
};
const Http1RequestWriter& http1_request_writer();

}  // namespace sluice
