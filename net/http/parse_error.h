// The mistakes that a message can have, whatever its protocol, and the limits of a head. Plain
// values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

// Why a message was refused. Each is counted under its name (parse_error_name).
enum class ParseError : uint8_t {
  kNone,
  kBadSyntax,      // the start line; request: 400, response: 502
  kBadField,       // a field line: 400, 502
  kBadFraming,     // ambiguous or wrong Content-Length or Transfer-Encoding: 400, 502
  kBadChunk,       // a chunk's size, extension or end, or a trailer: 400, 502
  kBadHost,        // missing, duplicate or invalid Host: 400
  kHeadTooLarge,   // --max-header-size, --max-headers, kConnectionOptionsMax: 431, 502
  kTargetTooLong,  // the request line alone exceeds --max-header-size: 414
  kBadVersion,     // not HTTP/1.x: 505, response: 502
  kUnknownCoding,  // a transfer coding other than chunked: 501, response: 502
  kNotHttp,        // TLS or the HTTP/2 preface: 400, response: 502
  kBadStatus,      // response status outside 100..599, or an unasked 101: 502
  kMethodTooLong,  // more than kMethodBytesMax: 400
};
const char* parse_error_name(ParseError error);
// The status for a refused request (400, 414, 431, 501, 505). A refused response is the upstream's
// fault whatever its error: 502.
int parse_error_status(ParseError error);

struct HeadLimits {
  size_t head_bytes_max = size_t{16} * 1024;  // start line and header fields together
  size_t fields_max = 128;
};

}  // namespace sluice
