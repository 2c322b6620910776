// What each field of a head is to a proxy (RFC 9110 section 7.6): the list of hop-by-hop fields,
// those that we write ourselves, and what Connection names. Pure, any thread; it never allocates.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "net/http/head.h"

namespace sluice {

// More options than this in a message's Connection fields are refused as kHeadTooLarge.
constexpr size_t kConnectionOptionsMax = 32;

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

// By its name, whatever its case.
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
