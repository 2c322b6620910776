#include "net/http1_rewrite.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <ctime>
#include <iterator>
#include <limits>
#include <optional>
#include <system_error>

#include "core/check.h"
#include "core/text.h"
#include "net/http1_parser.h"
#include "net/http1_target.h"
#include "net/http1_text.h"

namespace sluice {
namespace {

// What a field is to a proxy. What we write ourselves is left out by its kind and written anew,
// so naming it in Connection has no effect; any other field can be removed by naming it.
enum FieldKind : unsigned {
  kEndToEnd = 0,
  kHopByHop = 1U << 0,
  kHost = 1U << 1,
  kContentLength = 1U << 2,
  kVia = 1U << 3,
  kXForwarded = 1U << 4,
  kForwarded = 1U << 5,  // what else says who the client is: a trusted proxy's word only
  kMaxForwards = 1U << 6,
  kRequestId = 1U << 7,
  // With '_' in the place of '-': a server that hands fields on as CGI variables (RFC 3875 section
  // 4.1.18) would take it for the field of one of the kinds above.
  kAlias = 1U << 8,
};

struct KnownField {
  std::string_view name;
  FieldKind kind;
};
constexpr KnownField kKnownFields[] = {
    {"host", kHost},
    {"connection", kHopByHop},
    {"content-length", kContentLength},
    {"transfer-encoding", kHopByHop},
    {"te", kHopByHop},
    {"trailer", kHopByHop},  // we drop trailers
    {"upgrade", kHopByHop},
    {"keep-alive", kHopByHop},
    {"proxy-connection", kHopByHop},
    {"proxy-authenticate", kHopByHop},
    {"proxy-authentication-info", kHopByHop},
    {"proxy-authorization", kHopByHop},
    {"via", kVia},
    {"x-forwarded-for", kXForwarded},
    {"x-forwarded-proto", kXForwarded},
    {"x-forwarded-host", kXForwarded},
    {"forwarded", kForwarded},
    {"x-real-ip", kForwarded},
    {"max-forwards", kMaxForwards},
    {"x-request-id", kRequestId},
};

// As equals_ignoring_case(), and '_' is read as '-'.
bool equals_as_variable(std::string_view name, std::string_view known) {
  if (name.size() != known.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i] == '_' ? '-' : ascii_lower(name[i]);
    if (c != known[i]) return false;
  }
  return true;
}

FieldKind kind_of(std::string_view name) {
  constexpr std::string_view kXForwardedPrefix = "x-forwarded-";
  FieldKind kind = kEndToEnd;
  for (const KnownField& known : kKnownFields) {
    if (!equals_as_variable(name, known.name)) continue;
    kind = known.kind;
    break;
  }
  if (kind == kEndToEnd &&
      equals_as_variable(name.substr(0, kXForwardedPrefix.size()), kXForwardedPrefix))
    kind = kForwarded;
  return kind != kEndToEnd && name.find('_') != std::string_view::npos ? kAlias : kind;
}

// The options of all Connection fields; the guard bounds how many there are.
class ConnectionOptions {
 public:
  explicit ConnectionOptions(const Head& head) {
    for (size_t i = 0; i < head.field_count(); ++i) {
      const Head::Field field = head.field(i);
      if (!equals_ignoring_case(field.name, "connection")) continue;
      any_list_element(field.value, [this](std::string_view option) {
        SLUICE_CHECK(count_ < options_.size());
        options_[count_++] = option;
        return false;
      });
    }
  }

  bool names(std::string_view field) const {
    for (size_t i = 0; i < count_; ++i) {
      if (equals_ignoring_case(options_[i], field)) return true;
    }
    return false;
  }

 private:
  std::array<std::string_view, kConnectionOptionsMax> options_;
  size_t count_ = 0;
};

void append_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_number_field(std::string_view name, uint64_t number, std::string& out) {
  out.append(name).append(": ");
  append_number(out, number);
  out.append("\r\n");
}

// The fields of the head without those of the kinds in `left_out` and those that Connection names.
void append_fields(const Head& head, unsigned left_out, std::string& out) {
  const ConnectionOptions options(head);
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if ((kind_of(field.name) & left_out) != 0 || options.names(field.name)) continue;
    append_field(field.name, field.value, out);
  }
}

// The start of a list field: its name and, if `keep`, what the head's fields of that name list.
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

// What the nearest trusted proxy wrote, which is last where several have added to it; else ours.
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

void append_via(const Head& head, std::string_view pseudonym, std::string& out) {
  begin_list_field(head, "Via", /*keep=*/true, out);
  out.append(head.version_minor() == 0 ? "1.0 " : "1.1 ").append(pseudonym).append("\r\n");
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

bool limits_forwards(const Head& request) {
  return request.method() == "TRACE" || request.method() == "OPTIONS";
}

// nullopt: absent or not a number. What is too large counts as the largest.
std::optional<uint64_t> max_forwards(const Head& request) {
  const std::optional<std::string_view> text = request.find("max-forwards");
  if (!text) return std::nullopt;
  const char* const end = text->data() + text->size();
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc{} ? number : std::numeric_limits<uint64_t>::max();
}

void append_max_forwards(const Head& request, std::string& out) {
  const std::optional<uint64_t> limit = max_forwards(request);
  if (limit && *limit > 0) append_number_field("Max-Forwards", *limit - 1, out);
}

// Returns whether the client can tell the body's end without the connection's.
bool append_response_framing(const Head& head, const ResponseRewrite& rewrite, std::string& out) {
  const int status = head.status();
  if (head.body() == BodyKind::kNone) {
    // What a GET would have been answered with (RFC 9110 section 8.6); not on 1xx and 204.
    const bool length_allowed = status >= 200 && status != 204 && !rewrite.event_stream;
    if (length_allowed && head.find("content-length"))
      append_number_field("Content-Length", head.content_length(), out);
    return true;
  }
  if (rewrite.chunked) {
    append_field("Transfer-Encoding", "chunked", out);
    return true;
  }
  if (head.body() != BodyKind::kLength || rewrite.event_stream) return false;
  append_number_field("Content-Length", head.content_length(), out);
  return true;
}

void append_connection(bool keep_alive, bool client_http10, std::string& out) {
  if (!keep_alive) {
    append_field("Connection", "close", out);
  } else if (client_http10) {
    append_field("Connection", "keep-alive", out);
  }
}

}  // namespace

void write_request_head(const Head& head, const RequestRewrite& rewrite, std::string& out) {
  const Target target = split_target(head.target());
  const std::string_view host = host_of(head, target, rewrite.default_host);
  append_request_line(head, target, out);
  append_field("Host", host, out);

  unsigned left_out = kHopByHop | kHost | kContentLength | kVia | kXForwarded | kRequestId | kAlias;
  if (!rewrite.client_trusted) left_out |= kForwarded;
  if (limits_forwards(head)) left_out |= kMaxForwards;
  append_fields(head, left_out, out);

  if (limits_forwards(head)) append_max_forwards(head, out);
  if (head.body() == BodyKind::kLength)
    append_number_field("Content-Length", head.content_length(), out);
  if (head.body() == BodyKind::kChunked) append_field("Transfer-Encoding", "chunked", out);
  const bool keep = rewrite.client_trusted;
  append_list_field(head, "X-Forwarded-For", keep, rewrite.client_ip, out);
  append_nearest_hop_field(head, "X-Forwarded-Proto", keep, rewrite.scheme, out);
  append_nearest_hop_field(head, "X-Forwarded-Host", keep, host, out);
  append_via(head, rewrite.via, out);
  if (!rewrite.request_id.empty()) append_field("X-Request-Id", rewrite.request_id, out);
  out.append("\r\n");
}

bool has_passed(const Head& request, std::string_view pseudonym) {
  for (size_t i = 0; i < request.field_count(); ++i) {
    const Head::Field field = request.field(i);
    if (!equals_ignoring_case(field.name, "via")) continue;
    // An element is a protocol, a name, and maybe a comment (RFC 9110 section 7.6.3).
    const bool found = any_list_element(field.value, [pseudonym](std::string_view element) {
      const size_t blank = element.find_first_of(" \t");
      if (blank == std::string_view::npos) return false;
      const std::string_view by = trim_blanks(element.substr(blank));
      return by.substr(0, by.find_first_of(" \t(")) == pseudonym;
    });
    if (found) return true;
  }
  return false;
}

bool is_idempotent(std::string_view method) {
  constexpr std::string_view kIdempotent[] = {"GET",    "HEAD",     "OPTIONS", "TRACE",  "PUT",
                                              "DELETE", "PROPFIND", "REPORT",  "SEARCH", "QUERY"};
  return std::ranges::find(kIdempotent, method) != std::end(kIdempotent);
}

bool max_forwards_exhausted(const Head& request) {
  return limits_forwards(request) && max_forwards(request) == uint64_t{0};
}

bool wants_event_stream(const Head& request) {
  return request.lists_token("accept", "text/event-stream");
}

bool has_event_stream_type(const Head& response) {
  const std::string_view type = response.find("content-type").value_or("");
  return equals_ignoring_case(without_parameters(type), "text/event-stream");
}

// "identity" does not belong there (RFC 9110 section 8.4.1), "none" is nobody's: both are sent.
bool is_encoded(const Head& response) {
  for (size_t i = 0; i < response.field_count(); ++i) {
    const Head::Field field = response.field(i);
    if (!equals_ignoring_case(field.name, "content-encoding")) continue;
    const bool encoded = any_list_element(field.value, [](std::string_view coding) {
      return !coding.empty() && !equals_ignoring_case(coding, "identity") &&
             !equals_ignoring_case(coding, "none");
    });
    if (encoded) return true;
  }
  return false;
}

bool is_event_stream(const Head& response) {
  return has_event_stream_type(response) && !is_encoded(response);
}

bool has_no_transform(const Head& head) {
  return head.lists_token("cache-control", "no-transform");
}

void write_response_head(const Head& head, const ResponseRewrite& rewrite, std::string& out) {
  SLUICE_CHECK(!(rewrite.chunked && rewrite.client_http10));
  append_status_line(head.status(), out);
  append_fields(head, kHopByHop | kContentLength | kVia, out);
  if (!rewrite.date.empty() && !head.find("date")) append_field("Date", rewrite.date, out);
  // An encoded event stream, too, must not be gathered up by a proxy in front of us.
  if (has_event_stream_type(head) && !head.find("x-accel-buffering"))
    append_field("X-Accel-Buffering", "no", out);
  const bool framed = append_response_framing(head, rewrite, out);
  append_via(head, rewrite.via, out);
  append_connection(rewrite.keep_alive && framed, rewrite.client_http10, out);
  out.append("\r\n");
}

void write_interim_head(const Head& head, std::string& out) {
  append_status_line(head.status(), out);
  append_fields(head, kHopByHop | kContentLength, out);
  out.append("\r\n");
}

void write_problem(const ProblemResponse& problem, std::string& out) {
  std::string body = R"({"type":"about:blank","title":")";
  append_json_escaped(body, reason_phrase(problem.status));
  body.append(R"(","status":)");
  append_number(body, static_cast<uint64_t>(problem.status));
  body.append(R"(,"detail":")");
  append_json_escaped(body, problem.detail);
  body.append("\"}\n");

  append_status_line(problem.status, out);
  if (!problem.date.empty()) append_field("Date", problem.date, out);
  append_field("Content-Type", "application/problem+json", out);
  append_number_field("Content-Length", body.size(), out);
  if (problem.retry_after_s > 0)
    append_number_field("Retry-After", static_cast<uint64_t>(problem.retry_after_s), out);
  append_connection(!problem.close, /*client_http10=*/false, out);
  out.append("\r\n");
  if (!problem.head_only) out.append(body);
}

void write_early_stream_head(bool client_http10, bool keep_alive, bool chunked,
                             std::string_view date, std::string& out) {
  SLUICE_CHECK(!(chunked && client_http10));
  append_status_line(200, out);
  if (!date.empty()) append_field("Date", date, out);
  append_field("Content-Type", "text/event-stream", out);
  append_field("Cache-Control", "no-cache", out);
  append_field("X-Accel-Buffering", "no", out);
  if (chunked) append_field("Transfer-Encoding", "chunked", out);
  append_connection(keep_alive && chunked, client_http10, out);
  out.append("\r\n");
}

std::string http_date(uint64_t wall_ms) {
  const auto seconds = static_cast<time_t>(wall_ms / 1000);
  tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  return {text.data(), ::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 208:
      return "Already Reported";
    case 226:
      return "IM Used";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 305:
      return "Use Proxy";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 506:
      return "Variant Also Negotiates";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return "Unknown";
  }
}

std::string_view target_path(std::string_view target) {
  const Target split = split_target(target);
  switch (split.form) {
    case TargetForm::kOrigin:
      return split.path;
    case TargetForm::kAbsolute:
      return split.path.empty() ? "/" : split.path;
    case TargetForm::kAsterisk:
    case TargetForm::kAuthority:
      return target;
  }
  return target;
}

}  // namespace sluice
