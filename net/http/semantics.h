// A message's wishes and properties, as far as a gateway acts on them (RFC 9110). Pure functions of
// a head, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/base/content_coding.h"
#include "net/http/head.h"

namespace sluice {

// A Via field names us: the request has come back.
bool has_passed(const Head& request, std::string_view pseudonym);

// Sending the request twice has the effect of sending it once (RFC 9110 section 9.2.2; QUERY and
// WebDAV's methods by their own RFCs). An unknown method is not assumed to be idempotent.
bool is_idempotent(std::string_view method);

// TRACE or OPTIONS with Max-Forwards 0: we have to answer it (RFC 9110 section 7.6.2).
bool max_forwards_exhausted(const Head& request);

// Accept lists text/event-stream.
bool wants_event_stream(const Head& request);
// Content-Type is text/event-stream, whatever its parameters.
bool has_event_stream_type(const Head& response);
// The same, and no content coding is applied ("identity", "none" and an empty name are none).
bool is_event_stream(const Head& response);
AppliedCoding applied_coding(const Head& response);
// Its body is the whole of what it represents, and no range of it.
bool is_whole(const Head& response);
// A content coding may be applied to its body: that is a text, whole (no range of one), without a
// coding, and not too short to be worth it.
bool may_be_encoded(const Head& response);
// Cache-Control lists no-transform (requests and responses).
bool has_no_transform(const Head& head);

// The first cookie of that name (RFC 6265 section 5.4).
std::optional<std::string_view> find_cookie(const Head& request, std::string_view name);

// TRACE and OPTIONS: Max-Forwards counts (RFC 9110 section 7.6.2).
bool limits_forwards(const Head& request);
// nullopt: absent or not a number. Too large a number counts as the largest.
std::optional<uint64_t> max_forwards(const Head& request);

// Retry-After of a response, in seconds or as a date, as a time from now (`wall_ms` since 1970).
// nullopt: it has none, or none that can be read.
std::optional<uint64_t> retry_after_ms(const Head& response, uint64_t wall_ms);

}  // namespace sluice
