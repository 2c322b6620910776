#include "net/http/fields.h"

#include "core/check.h"
#include "net/http/text.h"

namespace sluice {
namespace {

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
    {"http2-settings", kHopByHop},  // of an upgrade that is not made
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
    {"last-event-id", kLastEventId},
    {"accept-encoding", kAcceptEncoding},
    {"etag", kEntityTag},
    {"accept-ranges", kOfPlainBody},
    {"content-encoding", kOfPlainBody},
    {"content-md5", kOfPlainBody},
    {"digest", kOfPlainBody},
    {"content-digest", kOfPlainBody},
    {"repr-digest", kOfPlainBody},
    {"x-client-cert-subject", kClientCertificate},
};

// Like equals_ignoring_case(), but reads '_' as '-'.
bool equals_as_variable(std::string_view name, std::string_view known) {
  if (name.size() != known.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i] == '_' ? '-' : ascii_lower(name[i]);
    if (c != known[i]) return false;
  }
  return true;
}

}  // namespace

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
  if (kind == kLastEventId || kind == kAcceptEncoding || kind == kOfPlainBody) return kind;
  return kind != kEndToEnd && name.find('_') != std::string_view::npos ? kAlias : kind;
}

ConnectionOptions::ConnectionOptions(const Head& head) {
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

bool ConnectionOptions::names(std::string_view field) const {
  for (size_t i = 0; i < count_; ++i) {
    if (equals_ignoring_case(options_[i], field)) return true;
  }
  return false;
}

}  // namespace sluice
