// What a proxy changes in a head (RFC 9110 section 7.6, 9112; DESIGN.md). Pure functions from a
// parsed Head to the bytes of the head for the next hop, any thread; `out` is appended to.
// Hop-by-hop fields and those that Connection names are removed in both directions; fields that
// we own cannot be removed by naming them. Start lines and framing fields are always written
// anew, so what the next hop reads is what our parser understood.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http1_head.h"

namespace sluice {

struct RequestRewrite {
  std::string_view client_ip;   // of the connection, in text form; IPv6 without brackets
  bool client_trusted = false;  // in --trusted-proxies: its word about the client counts
  std::string_view scheme = "http";
  std::string_view via = "sluice";  // pseudonym
  std::string_view default_host;    // Host for an HTTP/1.0 client that sent none
  std::string_view request_id;      // "" leaves X-Request-Id out
};

// Appends the request head for the upstream to `out`, HTTP/1.1, with the body framing of the
// client's message (Content-Length kept, chunked kept) and keep-alive. The target goes out in
// origin-form (or * for OPTIONS); Host is the client's, or the authority of an absolute-form
// target. From a trusted client X-Forwarded-For is added to, and the last of X-Forwarded-Proto and
// -Host is kept; else they are ours (the host is the request's). What else says who the client is
// (X-Forwarded-*, X-Real-IP, Forwarded) passes from trusted clients only. A field that differs from
// one of ours by '_' for '-' never passes. Max-Forwards of TRACE and OPTIONS is decremented.
void write_request_head(const Head& head, const RequestRewrite& rewrite, std::string& out);

// A Via field names us: the request has come back.
bool has_passed(const Head& request, std::string_view pseudonym);

// Sending the request twice has the effect of sending it once (RFC 9110 section 9.2.2; QUERY and
// WebDAV's by their own RFCs). Of a method that is not known it is not assumed.
bool is_idempotent(std::string_view method);

// TRACE or OPTIONS with Max-Forwards 0: to be answered here (RFC 9110 section 7.6.2).
bool max_forwards_exhausted(const Head& request);

// Accept lists text/event-stream.
bool wants_event_stream(const Head& request);
// Content-Type is text/event-stream, whatever its parameters.
bool has_event_stream_type(const Head& response);
// The same, and no content coding is applied ("identity", "none" and an empty name are none).
bool is_event_stream(const Head& response);
// Cache-Control lists no-transform (requests and responses).
bool has_no_transform(const Head& head);

struct ResponseRewrite {
  bool client_http10 = false;
  bool keep_alive = true;     // towards the client
  bool event_stream = false;  // unencoded text/event-stream: our stream fields apply
  bool chunked = false;       // we frame the body in chunks (never towards HTTP/1.0)
  std::string_view via = "sluice";
  std::string_view date = {};  // an HTTP date for a head without one (RFC 9110 section 6.6.1)
};
// A body that is framed neither by chunks nor by the upstream's Content-Length ends with the
// connection, so `Connection: close` goes out then whatever keep_alive says.
void write_response_head(const Head& head, const ResponseRewrite& rewrite, std::string& out);

// An interim (1xx) response head for the client, hop-by-hop fields removed.
void write_interim_head(const Head& head, std::string& out);

// A complete response of our own: application/problem+json (RFC 9457), Content-Length,
// `Connection: close` if close. `detail` is one plain ASCII sentence. With head_only (the answer
// to a HEAD) the body is left out. retry_after_s > 0 adds Retry-After.
struct ProblemResponse {
  int status;
  std::string_view detail;
  bool close = true;
  bool head_only = false;
  int retry_after_s = 0;
  std::string_view date = {};  // an HTTP date; "" leaves the field out
};
void write_problem(const ProblemResponse& problem, std::string& out);

// The head that commits a 200 event stream before the upstream has answered
// (--heartbeat-head-after).
void write_early_stream_head(bool client_http10, bool keep_alive, bool chunked,
                             std::string_view date, std::string& out);

// A Date (IMF-fixdate, RFC 9110 section 5.6.7) of milliseconds since 1970.
std::string http_date(uint64_t wall_ms);

// The standard reason phrase, or "Unknown". Never llhttp's, which aborts on what it does not know.
std::string_view reason_phrase(int status);

// The path of a request target for routing: origin-form up to '?', the path of an absolute-form,
// "*" as it is. Not normalised.
std::string_view target_path(std::string_view target);

}  // namespace sluice
