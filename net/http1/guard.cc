#include "net/http1/guard.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>

#include "core/text.h"
#include "net/http/fields.h"
#include "net/http/target.h"
#include "net/http/text.h"

namespace sluice {
namespace {

constexpr std::string_view kHttp2PrefaceLine = "PRI * HTTP/2.0";  // RFC 9113 section 3.4

// "HTTP/1.x". Versions after 1.1 are taken for 1.1, since they have to be compatible with it (RFC
// 9110 section 2.5).
ParseError read_version(std::string_view text, uint8_t& minor) {
  constexpr std::string_view kPrefix = "HTTP/";
  if (text.size() != kPrefix.size() + 3 || !text.starts_with(kPrefix) || text[6] != '.' ||
      !is_digit(text[5]) || !is_digit(text[7]))
    return ParseError::kBadSyntax;
  if (text[5] != '1') return ParseError::kBadVersion;
  minor = text[7] == '0' ? 0 : 1;
  return ParseError::kNone;
}

// Looks at eight bytes at once. If one of them is below the space or DEL, looks at each: it may be
// a tab.
bool is_text(std::string_view text) {
  constexpr uint64_t kEach = 0x0101010101010101;
  constexpr size_t kStep = sizeof(uint64_t);
  const auto all_text = [](std::string_view some) {
    return std::ranges::all_of(some, is_text_char);
  };
  for (; text.size() >= kStep; text.remove_prefix(kStep)) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, text.data(), kStep);
    const uint64_t no_del = bytes ^ kEach * 0x7f;
    const uint64_t low = ((bytes - kEach * ' ') & ~bytes) | ((no_del - kEach) & ~no_del);
    if ((low & kEach * 0x80) != 0 && !all_text(text.substr(0, kStep))) return false;
  }
  return all_text(text);
}

// Printable ASCII without '#': a fragment never goes over the wire (RFC 9112 section 3.2).
bool is_target(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c >= '\x7f' || c == '#') return false;
  }
  return !text.empty();
}

// A line cut at its first space; nullopt if it has none.
struct Cut {
  std::string_view before;
  std::string_view after;
};
std::optional<Cut> cut_at_space(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return Cut{text.substr(0, space), text.substr(space + 1)};
}

bool target_suits_method(const Target& target, std::string_view method) {
  if (method == "CONNECT") {
    return target.form == TargetForm::kAuthority && is_authority(target.authority, Port::kRequired);
  }
  switch (target.form) {
    case TargetForm::kOrigin:
      return true;
    case TargetForm::kAbsolute:
      return is_authority(target.authority, Port::kOptional);
    case TargetForm::kAsterisk:
      return method == "OPTIONS";
    case TargetForm::kAuthority:
      return false;
  }
  return false;
}

// RFC 9112 section 3.2. An absolute-form target overrides Host, so there it may be empty;
// elsewhere an http URI without a host is invalid (RFC 9110 section 4.2.1).
ParseError check_host(const Head& head, TargetForm form) {
  std::optional<std::string_view> host;
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (!equals_ignoring_case(field.name, "host")) continue;
    if (host) return ParseError::kBadHost;
    host = field.value;
  }
  if (!host) return head.version_minor() == 0 ? ParseError::kNone : ParseError::kBadHost;
  if (host->empty() && form == TargetForm::kAbsolute) return ParseError::kNone;
  return is_authority(*host, Port::kOptional) ? ParseError::kNone : ParseError::kBadHost;
}

// The only transfer coding that we accept is chunked, once. An empty element, or one behind
// chunked, is bad framing (RFC 9112 section 6.1); any other list names a coding that we do not
// know.
ParseError check_transfer_encoding(std::string_view value) {
  if (equals_ignoring_case(value, "chunked")) return ParseError::kNone;
  bool ambiguous = false;
  bool chunked_before = false;
  any_list_element(value, [&](std::string_view coding) {
    ambiguous |= coding.empty() || chunked_before;
    chunked_before |= equals_ignoring_case(coding, "chunked");
    return ambiguous;
  });
  return ambiguous ? ParseError::kBadFraming : ParseError::kUnknownCoding;
}

// 1*DIGIT, within what signed arithmetic on lengths can hold.
ParseError read_content_length(std::string_view value, uint64_t& length) {
  const auto number = parse_decimal(value, std::numeric_limits<int64_t>::max());
  length = number.value_or(0);
  return number ? ParseError::kNone : ParseError::kBadFraming;
}

struct FramingFields {
  std::optional<std::string_view> content_length;
  std::optional<std::string_view> transfer_encoding;
};

// Each at most once, and not both. (RFC 9112 section 6.3 permits a server to read on; an attacker
// wants it to.)
ParseError find_framing_fields(const Head& head, FramingFields& found) {
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    std::optional<std::string_view>* slot = nullptr;
    if (equals_ignoring_case(field.name, "content-length")) slot = &found.content_length;
    if (equals_ignoring_case(field.name, "transfer-encoding")) slot = &found.transfer_encoding;
    if (slot == nullptr) continue;
    if (*slot) return ParseError::kBadFraming;
    *slot = field.value;
  }
  const bool both = found.content_length && found.transfer_encoding;
  const bool coded_in_1_0 = found.transfer_encoding && head.version_minor() == 0;
  return both || coded_in_1_0 ? ParseError::kBadFraming : ParseError::kNone;
}

}  // namespace

ParseError read_request_line(std::string_view line, RequestLine& request) {
  if (line == kHttp2PrefaceLine) return ParseError::kNotHttp;
  const std::optional<Cut> method = cut_at_space(line);
  if (!method || !is_token(method->before)) return ParseError::kBadSyntax;
  request.method = method->before;
  const std::optional<Cut> target = cut_at_space(method->after);
  request.target = target ? target->before : method->after;
  if (method->before.size() > kMethodBytesMax) return ParseError::kMethodTooLong;
  if (!target || !is_target(target->before)) return ParseError::kBadSyntax;
  return read_version(target->after, request.version_minor);
}

ParseError read_status_line(std::string_view line, StatusLine& response) {
  const std::optional<Cut> version = cut_at_space(line);
  if (!version || !is_text(version->after)) return ParseError::kBadSyntax;
  const ParseError error = read_version(version->before, response.version_minor);
  if (error != ParseError::kNone) return error;

  // The reason phrase is optional; some servers leave out its space, too. It is never forwarded.
  const std::string_view code = version->after.substr(0, version->after.find(' '));
  const auto status = parse_decimal(code.substr(0, 4));
  if (!status && !code.empty()) return ParseError::kBadSyntax;
  // 101: sluice asks no upstream to switch protocols.
  if (code.size() != 3 || *status < 100 || *status > 599 || *status == 101)
    return ParseError::kBadStatus;
  response.status = static_cast<uint16_t>(*status);
  return ParseError::kNone;
}

ParseError read_field_line(std::string_view line, FieldLine& field) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return ParseError::kBadField;
  field.name = line.substr(0, colon);
  field.value = trim_blanks(line.substr(colon + 1));
  return is_token(field.name) && is_text(field.value) ? ParseError::kNone : ParseError::kBadField;
}

ParseError check_request(const Head& head) {
  const Target target = split_target(head.target());
  if (!target_suits_method(target, head.method())) return ParseError::kBadSyntax;
  return check_host(head, target.form);
}

ParseError check_connection(const Head& head) {
  size_t options = 0;
  for (size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (!equals_ignoring_case(field.name, "connection")) continue;
    any_list_element(field.value,
                     [&options](std::string_view) { return ++options > kConnectionOptionsMax; });
  }
  return options > kConnectionOptionsMax ? ParseError::kHeadTooLarge : ParseError::kNone;
}

ParseError read_framing(const Head& head, Http1Parser::Role role, Framing& framing) {
  FramingFields fields;
  ParseError error = find_framing_fields(head, fields);
  if (error != ParseError::kNone) return error;
  if (fields.transfer_encoding) {
    error = check_transfer_encoding(*fields.transfer_encoding);
    framing.body = BodyKind::kChunked;
  } else if (fields.content_length) {
    error = read_content_length(*fields.content_length, framing.content_length);
    framing.body = BodyKind::kLength;
  } else if (role == Http1Parser::Role::kResponse) {
    framing.body = BodyKind::kUntilClose;
  }
  return error;
}

}  // namespace sluice
