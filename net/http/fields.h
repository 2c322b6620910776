// The meaning of each field of a head for a proxy (RFC 9110 section 7.6): the hop-by-hop fields,
// the fields that we write ourselves, and the fields that Connection names. Pure, any thread; it
// never allocates.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "net/http/head.h"

namespace sluice {

// More options than this in a message's Connection fields are refused as kHeadTooLarge.
constexpr size_t kConnectionOptionsMax = 32;

// The kind of a field. Fields that we write ourselves are left out by their kind and written anew,
// so naming them in Connection has no effect; naming any other field removes it.
enum FieldKind : unsigned {
  kEndToEnd = 0,
  kHopByHop = 1U << 0,
  kHost = 1U << 1,
  kContentLength = 1U << 2,
  kVia = 1U << 3,
  kXForwarded = 1U << 4,
  kForwarded = 1U << 5,  // other fields about the client: passed on from trusted proxies only
  kMaxForwards = 1U << 6,
  kRequestId = 1U << 7,
  // A name with '_' for '-': a server that hands fields on as CGI variables (RFC 3875 section
  // 4.1.18) would take it for the field of one of the kinds above.
  kAlias = 1U << 8,
  kLastEventId = 1U << 9,
  kClientCertificate = 1U << 10,  // only we say who the client is
  kAcceptEncoding = 1U << 11,
  kEntityTag = 1U << 12,
  // What is said of a body that is not encoded: it is not true of one that we encode.
  kOfPlainBody = 1U << 13,
};

// The kind of the field with that name, in any case.
FieldKind kind_of(std::string_view name);

// The options of all Connection fields; the guard bounds how many there are.
class ConnectionOptions {
 public:
  explicit ConnectionOptions(const Head& head);
  bool names(std::string_view field) const;

 private:
  std::array<std::string_view, kConnectionOptionsMax> options_;
  size_t count_ = 0;
};

}  // namespace sluice
