// HTTP/1 messages from bytes. Heads are read line by line (http1_guard.h) into a Head that the
// caller provides; a complete one is read once more by llhttp (8.1 strict or 9.x), which has to
// agree. Bodies are handed on as views into the fed bytes and are never copied. Owned by a
// connection, for its life or for one message, used on its worker's thread; no I/O. What comes out
// does not depend on how the bytes were split. A parser that has failed stays failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/http1_chunked.h"
#include "net/http1_head.h"

namespace sluice {

// Why a message was refused. Each is counted under its name (http1_error_name).
enum class Http1Error : uint8_t {
  kNone,
  kBadSyntax,      // the start line; request: 400, response: 502
  kBadField,       // a field line: 400, 502
  kBadFraming,     // ambiguous or wrong Content-Length or Transfer-Encoding: 400, 502
  kBadChunk,       // a chunk's size, extension or end, or a trailer: 400, 502
  kBadHost,        // missing, duplicate or invalid Host: 400
  kHeadTooLarge,   // --max-header-size, --max-headers, kConnectionOptionsMax: 431, 502
  kTargetTooLong,  // request line alone exceeds --max-header-size: 414
  kBadVersion,     // not HTTP/1.x: 505, response: 502
  kUnknownCoding,  // a transfer coding other than chunked: 501, response: 502
  kNotHttp,        // TLS or the HTTP/2 preface: 400, response: 502
  kBadStatus,      // response status outside 100..599, or a 101 nobody asked for: 502
  kMethodTooLong,  // more than kMethodBytesMax: 400
};
const char* http1_error_name(Http1Error error);
// The status to answer a refused request with (400, 414, 431, 501, 505). A refused response is
// the upstream's fault whatever its error: 502.
int http1_error_status(Http1Error error);

struct Http1Limits {
  size_t head_bytes_max = size_t{16} * 1024;  // start line and header fields together
  size_t fields_max = 128;
};

// Any token up to this is a method: what it means is the upstream's business.
constexpr size_t kMethodBytesMax = 64;

// More options than this in a message's Connection fields are refused as kHeadTooLarge.
constexpr size_t kConnectionOptionsMax = 32;

class Http1Parser {
 public:
  enum class Role : uint8_t { kRequest, kResponse };
  enum class Event : uint8_t {
    kNeedMore,  // all fed bytes were consumed, the message goes on
    kHead,      // the head is complete in *head; body bytes (if any) are not consumed yet
    kEnd,       // the message is complete; what was not consumed belongs to the next one
    kError,     // see error()
  };
  struct Step {
    size_t consumed;
    Event event;
  };

  Http1Parser(Role role, const Http1Limits& limits);

  // Begins a message; *head is cleared, filled during the head, and must live until kHead. After
  // kError in a request's head it holds the method and the target, where these were read.
  // A response needs to know whether its request was a HEAD (then it has no body).
  void begin(Head* head, bool response_to_head = false);

  // Feeds bytes of the current message. Call again with the rest after kHead, be it empty: a
  // message without a body ends there. After kEnd call begin() before feeding what is left.
  // A 1xx response is a message of its own: kHead then kEnd; the caller begins anew.
  Step feed(std::string_view bytes, BodySink& sink);

  // The peer has closed its sending side. True: that completes the message (a response body
  // delimited by close). False: the message is truncated, or none had begun (see idle()).
  bool finish();

  // True between begin() and the first byte of a message (leading CRLFs do not count).
  bool idle() const;

  Http1Error error() const { return error_; }

  // Valid from kHead on (until begin()): may the connection carry another message?
  bool keep_alive() const { return keep_alive_; }

 private:
  enum class State : uint8_t { kStartLine, kFields, kBody, kBodyDone, kEnded, kFailed };

  Step feed_head(std::string_view bytes);
  Step feed_body(std::string_view bytes, BodySink& sink);
  Http1Error too_large() const;
  Http1Error on_first_byte(char first) const;
  Http1Error on_line(std::string_view line);
  Http1Error on_leading_crlf();
  Http1Error on_start_line(std::string_view line);
  Http1Error read_start_of_request(std::string_view line);
  Http1Error on_field_line(std::string_view line);
  Http1Error on_head_end();
  Step fail(size_t consumed, Http1Error error);

  Head* head_ = nullptr;    // during the head only
  uint64_t body_left_ = 0;  // of kLength
  ChunkedDecoder chunks_;
  uint32_t head_bytes_max_;
  uint32_t fields_max_;
  uint32_t line_start_ = 0;  // of the line being received, in the head's arena
  Role role_;
  State state_ = State::kEnded;
  Http1Error error_ = Http1Error::kNone;
  BodyKind body_ = BodyKind::kNone;
  uint8_t leading_crlfs_ = 0;
  bool response_to_head_ = false;
  bool keep_alive_ = false;
};

}  // namespace sluice
