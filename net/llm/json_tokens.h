// The tokens of a JSON text that comes in pieces, cut anywhere, for looking at some of its members
// while it passes. It keeps nothing of the text but where it is: the kinds of the containers around
// it, and the first bytes of the token that is being read. It is no check: a text that is not valid
// JSON has some tokens or none, and neither does harm. Allocates nothing; one text, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

class JsonTokens {
 public:
  // Of a token that is longer, only so many bytes are told.
  static constexpr size_t kTextBytesMax = 64;
  // Inside more containers than this names are told as strings.
  static constexpr unsigned kDepthMax = 64;

  enum class Kind : uint8_t { kName, kString, kScalar, kBegin, kEnd };

  struct Token {
    Kind kind{};
    unsigned depth = 0;  // the containers around it
    // Of a name or string what is between its quotes, escapes as they are; until the next call, and
    // as long as the piece.
    std::string_view text;
    uint64_t size = 0;    // of that text, all of it
    bool object = false;  // of a begin or an end; else it is an array's
  };

  // Takes bytes from the front of the next piece, up to the last one of a token. A number's or
  // literal's end shows with the byte behind it, which is not taken. False: all bytes are taken.
  bool next(std::string_view& piece, Token& token);

 private:
  enum class State : uint8_t { kBetween, kString, kEscape, kScalar };

  bool begin_or_end(char bracket, Token& token);
  bool in_string(std::string_view& piece, Token& token);
  bool in_scalar(std::string_view& piece, Token& token);
  void keep(std::string_view bytes);
  Token told(Kind kind) const {
    return {.kind = kind, .depth = depth_, .text = {text_.data(), kept_}, .size = size_};
  }
  bool in_object() const {
    return depth_ > 0 && depth_ <= kDepthMax && (objects_ >> (depth_ - 1) & 1) != 0;
  }

  uint64_t objects_ = 0;  // a bit for each container around: it is an object
  uint64_t size_ = 0;     // of the text being read
  unsigned depth_ = 0;
  State state_ = State::kBetween;
  bool name_is_due_ = false;
  uint8_t kept_ = 0;
  std::array<char, kTextBytesMax> text_;
};

}  // namespace sluice
