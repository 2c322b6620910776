#include "net/http2/response_writer.h"

#include "core/check.h"
#include "core/text.h"
#include "net/http/encoded_head.h"
#include "net/http/fields.h"
#include "net/http/problem.h"
#include "net/http/semantics.h"
#include "net/http/text.h"

namespace sluice {

namespace {

constexpr char kEnd = '\0';  // in no name and no value

void append_field(std::string_view name, std::string_view value, std::string& out) {
  for (char c : name) out += ascii_lower(c);
  out += kEnd;
  out.append(value) += kEnd;
}

void append_number_field(std::string_view name, uint64_t number, std::string& out) {
  out.append(name) += kEnd;
  append_number(out, number);
  out += kEnd;
}

void append_fields(const Head& head, unsigned left_out, std::string& out) {
  const ConnectionOptions options(head);
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if ((kind_of(field.name) & left_out) != 0 || options.names(field.name)) continue;
    append_field(field.name, field.value, out);
  }
}

void append_via(const Head& head, std::string_view pseudonym, std::string& out) {
  out.append("via") += kEnd;
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (field.value.empty() || !equals_ignoring_case(field.name, "via")) continue;
    out.append(field.value).append(", ");
  }
  out.append(head.version_minor() == 0 ? "1.0 " : "1.1 ").append(pseudonym) += kEnd;
}

}  // namespace

const Http2ResponseWriter& http2_response_writer() {
  static constexpr Http2ResponseWriter kWriter;
  return kWriter;
}

WrittenHead Http2ResponseWriter::write_head(const Head& head, const ResponseRewrite& rewrite,
                                            std::string& out) const {
  const int status = head.status();
  append_number_field(":status", static_cast<uint64_t>(status), out);
  append_fields(head, kHopByHop | kContentLength | kVia | left_out_of_encoded(rewrite), out);
  for_fields_of_encoding(
      head, rewrite,
      [&out](std::string_view name, std::string_view prefix, std::string_view value) {
        append_field(name, std::string(prefix).append(value), out);
      });
  if (!rewrite.date.empty() && !head.find("date")) append_field("date", rewrite.date, out);
  if (has_event_stream_type(head) && !head.find("x-accel-buffering"))
    append_field("x-accel-buffering", "no", out);
  // The length of a GET's answer, where that has no body (RFC 9110 section 8.6); not on 204.
  const bool has_length = head.body() == BodyKind::kNone
                              ? status != 204 && head.find("content-length").has_value()
                              : head.body() == BodyKind::kLength;
  if (has_length && !rewrite.changes_length())
    append_number_field("content-length", head.content_length(), out);
  append_via(head, rewrite.via, out);
  out += kEnd;
  return {};
}

WrittenHead Http2ResponseWriter::write_early_head(bool, std::string_view date,
                                                  std::string& out) const {
  append_field(":status", "200", out);
  if (!date.empty()) append_field("date", date, out);
  append_field("content-type", "text/event-stream", out);
  append_field("cache-control", "no-cache", out);
  append_field("x-accel-buffering", "no", out);
  out += kEnd;
  return {};
}

void Http2ResponseWriter::write_interim_head(const Head& head, std::string& out) const {
  append_number_field(":status", static_cast<uint64_t>(head.status()), out);
  append_fields(head, kHopByHop | kContentLength, out);
  out += kEnd;
}

bool Http2ResponseWriter::write_problem(const ProblemResponse& problem, std::string& out) const {
  const std::string body = problem_body(problem.status, problem.detail);
  append_number_field(":status", static_cast<uint64_t>(problem.status), out);
  if (!problem.date.empty()) append_field("date", problem.date, out);
  append_field("content-type", "application/problem+json", out);
  append_number_field("content-length", body.size(), out);
  if (problem.retry_after_s > 0)
    append_number_field("retry-after", static_cast<uint64_t>(problem.retry_after_s), out);
  if (!problem.location.empty()) append_field("location", problem.location, out);
  out += kEnd;
  if (!problem.head_only) out.append(body);
  return true;
}

size_t read_written_head(std::string_view text, std::vector<Http2Field>& fields) {
  fields.clear();
  size_t at = 0;
  auto next = [&] {
    const size_t end = text.find(kEnd, at);
    SLUICE_CHECK(end != text.npos);
    const std::string_view part = text.substr(at, end - at);
    at = end + 1;
    return part;
  };
  for (std::string_view name = next(); !name.empty(); name = next())
    fields.push_back({name, next()});
  return at;
}

bool is_interim(const std::vector<Http2Field>& fields) {
  return fields.front().value.starts_with('1');
}

}  // namespace sluice
