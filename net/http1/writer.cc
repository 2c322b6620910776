#include "net/http1/writer.h"

#include <cstddef>
#include <optional>

#include "core/text.h"
#include "net/http/chunk.h"
#include "net/http/encoded_head.h"
#include "net/http/fields.h"
#include "net/http/problem.h"
#include "net/http/semantics.h"
#include "net/http/status.h"
#include "net/http/target.h"
#include "net/http/text.h"

namespace sluice {
namespace {

void append_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_number_field(std::string_view name, uint64_t number, std::string& out) {
  out.append(name).append(": ");
  append_number(out, number);
  out.append("\r\n");
}

// Writes the head's fields, without those of the kinds in `left_out` and those that Connection
// names.
void append_fields(const Head& head, unsigned left_out, std::string& out) {
  const ConnectionOptions options(head);
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if ((kind_of(field.name) & left_out) != 0 || options.names(field.name)) continue;
    append_field(field.name, field.value, out);
  }
}

// Writes the start of a list field: its name and, if `keep`, the list in the head's fields of that
// name.
void begin_list_field(const Head& head, std::string_view name, bool keep, std::string& out) {
  out.append(name).append(": ");
  for (size_t i = 0; keep && i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (field.value.empty() || !equals_ignoring_case(field.name, name)) continue;
    out.append(field.value).append(", ");
  }
}

void append_list_field(const Head& head, std::string_view name, bool keep,
                       std::string_view addition, std::string& out) {
  begin_list_field(head, name, keep, out);
  out.append(addition).append("\r\n");
}

// The nearest trusted proxy's word, which is the last if several have added to the field; else
// ours.
void append_nearest_hop_field(const Head& head, std::string_view name, bool keep,
                              std::string_view ours, std::string& out) {
  std::string_view nearest;
  for (size_t i = 0; keep && i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (!equals_ignoring_case(field.name, name)) continue;
    any_list_element(field.value, [&nearest](std::string_view element) {
      if (!element.empty()) nearest = element;
      return false;
    });
  }
  append_field(name, nearest.empty() ? ours : nearest, out);
}

// `version`: in which the message was received.
void append_via(const Head& head, std::string_view version, std::string_view pseudonym,
                std::string& out) {
  begin_list_field(head, "Via", /*keep=*/true, out);
  out.append(version).append(" ").append(pseudonym).append("\r\n");
}

std::string_view version_of(const Head& head) {
  return head.version_minor() == 0 ? "1.0" : "1.1";
}

void append_status_line(int status, std::string& out) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<uint64_t>(status));
  out.append(" ").append(reason_phrase(status)).append("\r\n");
}

std::string_view host_of(const Head& head, const Target& target, std::string_view default_host) {
  if (target.form == TargetForm::kAbsolute) return target.authority;
  return head.find("host").value_or(default_host);
}

void append_request_line(const Head& head, const Target& target, std::string& out) {
  out.append(head.method()).append(" ");
  if (target.form != TargetForm::kAbsolute) {
    out.append(head.target());
  } else if (target.path.empty() && target.query.empty() && head.method() == "OPTIONS") {
    out.append("*");  // RFC 9112 section 3.2.4
  } else {
    out.append(target.path.empty() ? "/" : target.path).append(target.query);
  }
  out.append(" HTTP/1.1\r\n");
}

void append_max_forwards(const Head& request, std::string& out) {
  const std::optional<uint64_t> limit = max_forwards(request);
  if (limit && *limit > 0) append_number_field("Max-Forwards", *limit - 1, out);
}

// Tells the client where the body ends.
WrittenHead append_response_framing(const Head& head, const ResponseRewrite& rewrite,
                                    bool client_http10, std::string& out) {
  const int status = head.status();
  if (head.body() == BodyKind::kNone) {
    // The length of a GET's answer (RFC 9110 section 8.6); not on 1xx and 204.
    const bool length_allowed = status >= 200 && status != 204 && !rewrite.event_stream;
    if (length_allowed && head.find("content-length"))
      append_number_field("Content-Length", head.content_length(), out);
    return {};
  }
  if (head.body() == BodyKind::kLength && !rewrite.changes_length()) {
    append_number_field("Content-Length", head.content_length(), out);
    return {};
  }
  if (client_http10) return {.ends_with_connection = true};
  append_field("Transfer-Encoding", "chunked", out);
  return {.framing = &kChunkedFraming};
}

void append_connection(bool keep_alive, bool client_http10, std::string& out) {
  if (!keep_alive) {
    append_field("Connection", "close", out);
  } else if (client_http10) {
    append_field("Connection", "keep-alive", out);
  }
}

}  // namespace

const BodyFraming kChunkedFraming = {
    .write_prefix = write_chunk_size, .ends = "\r\n0\r\n\r\n", .end_size = kChunkEnd.size()};
static_assert(BodyFraming::kPrefixBytesMax >= kChunkSizeLineMax);

const Http1ResponseWriter& http1_response_writer(uint8_t version_minor) {
  static constexpr Http1ResponseWriter kHttp10(true);
  static constexpr Http1ResponseWriter kHttp11(false);
  return version_minor == 0 ? kHttp10 : kHttp11;
}

const Http1RequestWriter& http1_request_writer() {
  static constexpr Http1RequestWriter kWriter;
  return kWriter;
}

const BodyFraming* Http1RequestWriter::write_head(const Head& head, const RequestRewrite& rewrite,
                                                  std::string& out) const {
  const Target target = split_target(head.target());
  const std::string_view host = host_of(head, target, rewrite.default_host);
  append_request_line(head, target, out);
  append_field("Host", host, out);

  unsigned left_out = kHopByHop | kHost | kContentLength | kVia | kXForwarded | kRequestId |
                      kClientCertificate | kAlias;
  if (!rewrite.client_trusted) left_out |= kForwarded;
  if (limits_forwards(head)) left_out |= kMaxForwards;
  if (!rewrite.last_event_id.empty()) left_out |= kLastEventId;
  if (rewrite.identity) left_out |= kAcceptEncoding;
  append_fields(head, left_out, out);

  if (rewrite.identity) append_field("Accept-Encoding", "identity", out);
  if (limits_forwards(head)) append_max_forwards(head, out);
  if (head.body() == BodyKind::kLength)
    append_number_field("Content-Length", head.content_length() + rewrite.body_growth, out);
  if (head.body() == BodyKind::kChunked) append_field("Transfer-Encoding", "chunked", out);
  if (!rewrite.ours) {
    const bool keep = rewrite.client_trusted;
    append_list_field(head, "X-Forwarded-For", keep, rewrite.client_ip, out);
    append_nearest_hop_field(head, "X-Forwarded-Proto", keep, rewrite.scheme, out);
    append_nearest_hop_field(head, "X-Forwarded-Host", keep, host, out);
  }
  if (!rewrite.client_subject.empty())
    append_field("X-Client-Cert-Subject", rewrite.client_subject, out);
  const std::string_view received = rewrite.received_protocol;
  append_via(head, received.empty() ? version_of(head) : received.substr(received.find('/') + 1),
             rewrite.via, out);
  if (!rewrite.request_id.empty()) append_field("X-Request-Id", rewrite.request_id, out);
  if (!rewrite.last_event_id.empty()) append_field("Last-Event-ID", rewrite.last_event_id, out);
  out.append("\r\n");
  return head.body() == BodyKind::kChunked ? &kChunkedFraming : nullptr;
}

WrittenHead Http1ResponseWriter::write_head(const Head& head, const ResponseRewrite& rewrite,
                                            std::string& out) const {
  append_status_line(head.status(), out);
  append_fields(head, kHopByHop | kContentLength | kVia | left_out_of_encoded(rewrite), out);
  for_fields_of_encoding(
      head, rewrite,
      [&out](std::string_view name, std::string_view prefix, std::string_view value) {
        out.append(name).append(": ").append(prefix).append(value).append("\r\n");
      });
  if (!rewrite.date.empty() && !head.find("date")) append_field("Date", rewrite.date, out);
  // A proxy in front of us must not gather up an encoded event stream, either.
  if (has_event_stream_type(head) && !head.find("x-accel-buffering"))
    append_field("X-Accel-Buffering", "no", out);
  const WrittenHead written = append_response_framing(head, rewrite, client_http10_, out);
  append_via(head, version_of(head), rewrite.via, out);
  append_connection(rewrite.keep_alive && !written.ends_with_connection, client_http10_, out);
  out.append("\r\n");
  return written;
}

void Http1ResponseWriter::write_interim_head(const Head& head, std::string& out) const {
  append_status_line(head.status(), out);
  append_fields(head, kHopByHop | kContentLength, out);
  out.append("\r\n");
}

bool Http1ResponseWriter::write_problem(const ProblemResponse& problem, std::string& out) const {
  const std::string body = problem_body(problem.status, problem.detail);
  const bool keep_alive = !problem.close && !client_http10_;
  append_status_line(problem.status, out);
  if (!problem.date.empty()) append_field("Date", problem.date, out);
  append_field("Content-Type", "application/problem+json", out);
  append_number_field("Content-Length", body.size(), out);
  if (problem.retry_after_s > 0)
    append_number_field("Retry-After", static_cast<uint64_t>(problem.retry_after_s), out);
  if (!problem.location.empty()) append_field("Location", problem.location, out);
  append_connection(keep_alive, client_http10_, out);
  out.append("\r\n");
  if (!problem.head_only) out.append(body);
  return keep_alive;
}

WrittenHead Http1ResponseWriter::write_early_head(bool keep_alive, std::string_view date,
                                                  std::string& out) const {
  append_status_line(200, out);
  if (!date.empty()) append_field("Date", date, out);
  append_field("Content-Type", "text/event-stream", out);
  append_field("Cache-Control", "no-cache", out);
  append_field("X-Accel-Buffering", "no", out);
  if (!client_http10_) append_field("Transfer-Encoding", "chunked", out);
  append_connection(keep_alive && !client_http10_, client_http10_, out);
  out.append("\r\n");
  if (client_http10_) return {.ends_with_connection = true};
  return {.framing = &kChunkedFraming};
}

}  // namespace sluice
