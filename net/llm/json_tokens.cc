#include "net/llm/json_tokens.h"

#include <algorithm>

#include "core/text.h"

namespace sluice {

void JsonTokens::keep(std::string_view bytes) {
  size_t kept = std::min(bytes.size(), text_.size() - kept_);
  bytes.copy(text_.data() + kept_, kept);
  kept_ = static_cast<uint8_t>(kept_ + kept);
  size_ += bytes.size();
}

bool JsonTokens::next(std::string_view& piece, Token& token) {
  while (!piece.empty()) {
    if (state_ == State::kScalar) {
      if (in_scalar(piece, token)) return true;
      continue;
    }
    if (state_ != State::kBetween) {
      if (in_string(piece, token)) return true;
      continue;
    }
    char c = piece.front();
    switch (c) {
      case '{':
      case '[':
      case '}':
      case ']':
        piece.remove_prefix(1);
        if (begin_or_end(c, token)) return true;
        break;
      case ',':
        name_is_due_ = in_object();
        [[fallthrough]];
      case ':':
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        piece.remove_prefix(1);
        break;
      case '"':
        piece.remove_prefix(1);
        [[fallthrough]];
      default:
        state_ = c == '"' ? State::kString : State::kScalar;
        kept_ = 0;
        size_ = 0;
    }
  }
  piece = {};
  return false;
}

bool JsonTokens::begin_or_end(char bracket, Token& token) {
  kept_ = 0;
  size_ = 0;
  bool object = bracket == '{' || bracket == '}';
  if (bracket == '{' || bracket == '[') {
    token = told(Kind::kBegin);
    if (depth_ < kDepthMax) {
      uint64_t bit = uint64_t{1} << depth_;
      objects_ = object ? objects_ | bit : objects_ & ~bit;
    }
    ++depth_;
    name_is_due_ = in_object();
  } else {
    if (depth_ == 0) return false;
    --depth_;
    name_is_due_ = false;
    token = told(Kind::kEnd);
  }
  token.object = object;
  return true;
}

// Most bytes of a text stand in strings, so these are searched rather than walked.
bool JsonTokens::in_string(std::string_view& piece, Token& token) {
  if (state_ == State::kEscape) {
    keep(piece.substr(0, 1));
    piece.remove_prefix(1);
    state_ = State::kString;
  }
  size_t end = 0;
  while ((end = find_either(piece, '"', '\\', end)) < piece.size() && piece[end] == '\\') {
    if (end + 1 == piece.size()) state_ = State::kEscape;
    end = std::min(end + 2, piece.size());
  }
  std::string_view text = piece.substr(0, end);
  if (end == piece.size()) {
    keep(text);
    piece = {};
    return false;
  }
  piece.remove_prefix(end + 1);
  state_ = State::kBetween;
  Kind kind = name_is_due_ ? Kind::kName : Kind::kString;
  name_is_due_ = false;
  if (size_ == 0) {  // all of it is in this piece
    std::string_view told_text = text.substr(0, kTextBytesMax);
    token = {.kind = kind, .depth = depth_, .text = told_text, .size = text.size()};
  } else {
    keep(text);
    token = told(kind);
  }
  return true;
}

bool JsonTokens::in_scalar(std::string_view& piece, Token& token) {
  size_t end = std::min(piece.find_first_of(",:]}[{\" \t\r\n"), piece.size());
  keep(piece.substr(0, end));
  piece.remove_prefix(end);
  if (piece.empty()) return false;
  state_ = State::kBetween;
  token = told(Kind::kScalar);
  return true;
}

}  // namespace sluice
