// Which content coding a client would like best (RFC 9110 section 12.5.3). A pure function of the
// request's head, any thread.
#pragma once

#include "net/base/content_coding.h"
#include "net/http/head.h"

namespace sluice {

// Of the codings in `order`, the one that the request's Accept-Encoding weighs most; of those that
// it weighs alike, the first in `order`. kIdentity: it accepts none of them, prefers none to them,
// or has no such field: a client that says nothing is not taken to decode.
ContentCoding preferred_coding(const Head& request, const CodingOrder& order);

}  // namespace sluice
