// HTTP/1 messages from bytes. The parser reads heads line by line (guard.h) into a Head of the
// caller's; llhttp (8.1 strict or 9.x) then reads a complete head once more, and has to agree.
// Bodies are handed on as views into the fed bytes and are never copied. Owned by a connection, for
// its life or for one message, used on its worker's thread; no I/O. The result does not depend on
// how the bytes were split. A parser that has failed stays failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/http/head.h"
#include "net/http/parse_error.h"
#include "net/http1/chunked_decoder.h"

namespace sluice {

// Any token up to this length is a method: the upstream knows its meaning.
constexpr size_t kMethodBytesMax = 64;

// The line by which a client says that it speaks HTTP/2.
inline constexpr std::string_view kHttp2PrefaceStart = "PRI * HTTP/2.0\r\n";

class Http1Parser {
 public:
  enum class Role : uint8_t { kRequest, kResponse };
  enum class Event : uint8_t {
    kNeedMore,  // all fed bytes were consumed, the message goes on
    kHead,      // the head is complete in *head; body bytes (if any) are not consumed yet
    kEnd,       // the message is complete; unconsumed bytes belong to the next one
    kError,     // see error()
  };
  struct Step {
    size_t consumed;
    Event event;
  };

  Http1Parser(Role role, const HeadLimits& limits);

  // For messages that begin from here on.
  void limit(const HeadLimits& limits);

  // Begins a message. *head is cleared, is filled during the head, and must live until kHead. After
  // kError in a request's head it holds the method and the target, if these were read. A response
  // has no body if its request was a HEAD, so the parser needs to know.
  void begin(Head* head, bool response_to_head = false);

  // Feeds bytes of the current message. Call again with the rest after kHead, even with no bytes: a
  // message without a body ends there. After kEnd call begin() before feeding the rest. A 1xx
  // response is a message of its own: kHead, then kEnd; the caller begins anew.
  Step feed(std::string_view bytes, BodySink& sink);

  // The peer has closed its sending side. True: that completes the message (a response body
  // delimited by close). False: the message is truncated, or none had begun (see idle()).
  bool finish();

  // True between begin() and the first byte of a message (leading CRLFs do not count).
  bool idle() const;

  // What has come of a head is the first line of HTTP/2's preface (RFC 9113 section 3.4), or a part
  // of it. The whole line is kError.
  bool reads_http2_preface() const;

  ParseError error() const { return error_; }

  // Valid from kHead on (until begin()): may the connection carry another message?
  bool keep_alive() const { return keep_alive_; }

 private:
  enum class State : uint8_t { kStartLine, kFields, kBody, kBodyDone, kEnded, kFailed };

  Step feed_head(std::string_view bytes);
  Step feed_body(std::string_view bytes, BodySink& sink);
  ParseError too_large() const;
  ParseError on_first_byte(char first) const;
  ParseError on_line(std::string_view line);
  ParseError on_leading_crlf();
  ParseError on_start_line(std::string_view line);
  ParseError read_start_of_request(std::string_view line);
  ParseError on_field_line(std::string_view line);
  ParseError on_head_end();
  Step fail(size_t consumed, ParseError error);

  Head* head_ = nullptr;    // during the head only
  uint64_t body_left_ = 0;  // of kLength
  ChunkedDecoder chunks_;
  uint32_t head_bytes_max_;
  uint32_t fields_max_;
  uint32_t line_start_ = 0;  // of the line being received, in the head's arena
  Role role_;
  State state_ = State::kEnded;
  ParseError error_ = ParseError::kNone;
  BodyKind body_ = BodyKind::kNone;
  uint8_t leading_crlfs_ = 0;
  bool response_to_head_ = false;
  bool keep_alive_ = false;
};

}  // namespace sluice
