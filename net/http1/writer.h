// Messages as HTTP/1 has them (RFC 9112). Hop-by-hop fields and those that Connection names are
// removed in both directions; fields that we own cannot be removed by naming them. Start lines and
// framing fields are always written anew, so what the next hop reads is what our parser understood.
// Without state, for any thread.
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

  // The upstream's Content-Length is kept but for event streams, into which we write; else the body
  // is chunked, and ends with the connection towards HTTP/1.0: `Connection: close` goes out then
  // whatever rewrite.keep_alive says.
  WrittenHead write_head(const Head& head, const ResponseRewrite& rewrite,
                         std::string& out) const override;
  WrittenHead write_early_head(bool keep_alive, std::string_view date,
                               std::string& out) const override;
  // HTTP/1.0 has none (RFC 9110 section 15.2).
  bool knows_interim() const override { return !client_http10_; }
  void write_interim_head(const Head& head, std::string& out) const override;
  // application/problem+json (RFC 9457) with Content-Length. HTTP/1.0 would want to be told that
  // the connection stays: it ends.
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
  // authority of an absolute-form target. From a trusted client X-Forwarded-For is added to, and
  // the last of X-Forwarded-Proto and -Host is kept; else they are ours (the host is the
  // request's). What else says who the client is (X-Forwarded-*, X-Real-IP, Forwarded) passes from
  // trusted clients only. A field that differs from one of ours by '_' for '-' never passes.
  // Max-Forwards of TRACE and OPTIONS is decremented.
  const BodyFraming* write_head(const Head& head, const RequestRewrite& rewrite,
                                std::string& out) const override;
};
const Http1RequestWriter& http1_request_writer();

}  // namespace sluice
