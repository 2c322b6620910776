// Takes the chunked transfer coding (RFC 9112 section 7.1) off a body, for both directions,
// strictly: only CRLF ends a line, sizes fit signed arithmetic, extensions and trailers are
// well-formed. Extensions and trailers are dropped; trailers that name the framing are an error.
// Owned by an Http1Parser, used on its thread; no I/O, no allocation. Data is handed on as views
// into the fed bytes, and the result does not depend on how the bytes were split.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

// Receives body bytes during feed(), as a view into the bytes given to that feed(). It may record
// them, and move them within those bytes (BodyRun); it must not feed, close or destroy the parser.
class BodySink {
 public:
  virtual void on_body(std::string_view bytes) = 0;

 protected:
  ~BodySink() = default;
};

class ChunkedDecoder {
 public:
  struct Limits {
    uint32_t framing_bytes_max;  // between two body bytes, and behind the last one
    uint32_t trailers_max;
  };
  enum class Event : uint8_t {
    kNeedMore,  // all fed bytes were consumed
    kEnd,       // the body is complete; unconsumed bytes lie behind it
    kError,     // feed no more
  };
  struct Step {
    size_t consumed;
    Event event;
  };

  Step feed(std::string_view bytes, const Limits& limits, BodySink& sink);

 private:
  // What the next byte may be.
  enum class State : uint8_t {
    kSizeStart,
    kSize,
    kExtension,  // behind a blank: an extension has to follow
    kNameStart,
    kName,
    kNameEnd,
    kValueStart,
    kValue,
    kQuoted,
    kQuotedPair,
    kQuotedEnd,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kEnded,
    kFailed,
  };

  bool add_framing(size_t bytes, const Limits& limits);
  State next(char c, const Limits& limits);
  State in_size(char c);
  State in_trailer_name(char c);

  uint64_t left_ = 0;           // the chunk's size as read so far, then its bytes to come
  uint32_t framing_bytes_ = 0;  // since the last body byte
  uint32_t trailers_ = 0;
  State state_ = State::kSizeStart;
  uint8_t framing_names_ = 0;  // a bit for each name that the trailer's may still become
  uint8_t name_bytes_ = 0;     // of the trailer's name, as far as it matters
};

}  // namespace sluice
