// As much of HTTP/1.1 as the load tools need of each other and of a gateway between them: finding
// a head, reading its fields, and taking a body out of its framing (RFC 9112 sections 6 and 7).
// Strict where a gateway's mistake must show, without the defences of a server on the internet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/http/text.h"
#include "perf/flags.h"

namespace sluice::perf {

// The size of a complete head at the front of `bytes`, or 0.
inline size_t head_size(std::string_view bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : end + 4;
}

// The value of the first field of that name, without the blanks around it.
inline std::optional<std::string_view> find_field(std::string_view head, std::string_view name) {
  size_t line = head.find("\r\n");
  while (line != std::string_view::npos && line + 2 < head.size()) {
    head.remove_prefix(line + 2);
    line = head.find("\r\n");
    const std::string_view field = head.substr(0, line);
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos || !equals_ignoring_case(field.substr(0, colon), name)) {
      continue;
    }
    return trim_blanks(field.substr(colon + 1));
  }
  return std::nullopt;
}

class BodyDecoder {
 public:
  enum class Kind : uint8_t { kLength, kChunked, kUntilClose };

  // Takes the framing from a head. False: a Content-Length that is no number.
  bool begin(std::string_view head, Kind without_framing) {
    state_ = State::kData;
    left_ = 0;
    kind_ = without_framing;
    if (auto coding = find_field(head, "transfer-encoding")) {
      kind_ = Kind::kChunked;
      state_ = State::kSize;
      digits_ = 0;
      return equals_ignoring_case(*coding, "chunked");
    }
    if (auto length = find_field(head, "content-length")) {
      kind_ = Kind::kLength;
      if (!parse_number(*length, &left_)) return false;
    }
    if (kind_ == Kind::kLength && left_ == 0) state_ = State::kDone;
    return true;
  }

  // Takes body bytes from `bytes` and returns how many; what is left belongs to the next message.
  // on_data(span) is called for each piece of the content, on_chunk_end() after each chunk.
  template <typename OnData, typename OnChunkEnd>
  size_t feed(std::string_view bytes, OnData&& on_data, OnChunkEnd&& on_chunk_end) {
    size_t at = 0;
    while (at < bytes.size() && state_ != State::kDone && state_ != State::kFailed) {
      if (state_ != State::kData) {
        on_framing(bytes[at++], on_chunk_end);
        continue;
      }
      const size_t room = bytes.size() - at;
      const size_t size = kind_ == Kind::kUntilClose ? room : std::min<uint64_t>(room, left_);
      on_data(bytes.substr(at, size));
      at += size;
      if (kind_ == Kind::kUntilClose) continue;
      left_ -= size;
      if (left_ == 0) state_ = kind_ == Kind::kChunked ? State::kDataCr : State::kDone;
    }
    return at;
  }

  bool done() const { return state_ == State::kDone; }
  bool failed() const { return state_ == State::kFailed; }
  // The peer has closed: does that complete the message?
  bool complete_at_close() const { return done() || kind_ == Kind::kUntilClose; }

 private:
  enum class State : uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone,
    kFailed
  };

  template <typename OnChunkEnd>
  void on_framing(char c, OnChunkEnd&& on_chunk_end) {
    switch (state_) {
      case State::kSize:
        return on_size(c);
      case State::kExtension:
        if (c == '\r') state_ = State::kSizeLf;
        return;
      case State::kSizeLf:
        return expect(c, '\n', left_ == 0 ? State::kTrailerStart : State::kData);
      case State::kDataCr:
        return expect(c, '\r', State::kDataLf);
      case State::kDataLf:
        on_chunk_end();
        left_ = 0;
        digits_ = 0;
        return expect(c, '\n', State::kSize);
      case State::kTrailerStart:
        state_ = c == '\r' ? State::kEndLf : State::kTrailer;
        return;
      case State::kTrailer:
        if (c == '\r') state_ = State::kTrailerLf;
        return;
      case State::kTrailerLf:
        return expect(c, '\n', State::kTrailerStart);
      case State::kEndLf:
        return expect(c, '\n', State::kDone);
      case State::kData:
      case State::kDone:
      case State::kFailed:
        return;
    }
  }

  // Hex, a digit at a time: a read may end inside a size.
  void on_size(char c) {
    if (is_hex_digit(c) && digits_ < 15) {
      const int digit = is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10;
      left_ = left_ * 16 + static_cast<uint64_t>(digit);
      ++digits_;
    } else if (digits_ > 0 && c == '\r') {
      state_ = State::kSizeLf;
    } else if (digits_ > 0 && (c == ';' || c == ' ')) {
      state_ = State::kExtension;
    } else {
      state_ = State::kFailed;
    }
  }

  void expect(char c, char wanted, State next) { state_ = c == wanted ? next : State::kFailed; }

  State state_ = State::kDone;
  Kind kind_ = Kind::kLength;
  unsigned digits_ = 0;
  uint64_t left_ = 0;  // of the body or the chunk
};

}  // namespace sluice::perf
